# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of earlier deployments can go from a host: images and compiled kernels that nothing runs with or goes back to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

from .._ownership import SERVER_LABEL
from .deployment import VOLUME_PREFIX


def prunable(
    name: str, kept: Mapping[str, Any], usage: Mapping[str, Any], known_images: Iterable[str]
) -> dict[str, Any]:
    """`images` and `volumes` that can go, each with `name` and `size_bytes`, `text`, which lists them, and `problems`.

    `name` is the server's, `kept` its rollback point, `usage` Docker's own account of its disk (`/system/df`), `known_images` every
    image that the engines' files name. Only repositories of these, and of what is kept, are looked at.
    """
    specs = [entry["spec"] for entry in (kept.get("current"), kept.get("before")) if entry]
    problems = list(_problems(name, specs, usage))
    images = [] if problems else list(_images(specs, usage, known_images))
    volumes = [] if problems else list(_volumes(specs, usage))
    return {
        "images": images,
        "volumes": volumes,
        "text": _text(images, volumes),
        "problems": [str(problem) for problem in problems],
    }


def _problems(name: str, specs: Sequence[Mapping[str, Any]], usage: Mapping[str, Any]) -> Iterator[Problem]:
    if not any(spec["runtime"] == "docker" for spec in specs):
        yield Problem(
            "no container of this server is deployed here, so nothing says what is to be kept",
            remedy="run the playbook deploy.yml first, or remove images with docker image rm",
        )
    labels = [(container.get("Labels") or {}).get(SERVER_LABEL) for container in usage.get("Containers") or []]
    others = sorted({label for label in labels if label and label != name})
    if others:
        yield Problem(
            f"the host has other servers too ({', '.join(others)}), and what they would go back to is not known here",
            remedy="docker image ls and docker image rm on the host",
        )


def _images(
    specs: Sequence[Mapping[str, Any]], usage: Mapping[str, Any], known_images: Iterable[str]
) -> Iterator[dict[str, Any]]:
    ours = {_repository(image) for image in [*known_images, *(str(spec.get("image") or "") for spec in specs)] if image}
    needed = {spec.get("image_id") for spec in specs}
    needed |= {container.get("ImageID") for container in usage.get("Containers") or []}
    names_needed = {spec.get("image") for spec in specs}
    for image in usage.get("Images") or []:
        tags = [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
        names = tags or [str(digest) for digest in image.get("RepoDigests") or []]
        if not names or image["Id"] in needed or names_needed & set(names):
            continue
        if all(_repository(each) in ours for each in names):
            yield from ({"name": each, "size_bytes": image.get("Size") or 0} for each in tags or [image["Id"]])


def _repository(image: str) -> str:
    """An image's name without tag and digest, as Docker shows it."""
    name = image.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return (head if colon and "/" not in tail else name).removeprefix("docker.io/")


def _volumes(specs: Sequence[Mapping[str, Any]], usage: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    mounts = [mount for spec in specs for item in spec["instances"] for mount in item.get("volumes") or []]
    needed = {str(mount).partition(":")[0] for mount in mounts}
    needed |= {
        mount.get("Name") for container in usage.get("Containers") or [] for mount in container.get("Mounts") or []
    }
    for volume in usage.get("Volumes") or []:
        if volume["Name"].startswith(VOLUME_PREFIX) and volume["Name"] not in needed:
            yield {"name": volume["Name"], "size_bytes": max((volume.get("UsageData") or {}).get("Size") or 0, 0)}


def _text(images: Sequence[Mapping[str, Any]], volumes: Sequence[Mapping[str, Any]]) -> str:
    """A line for each, and their sum; layers that images share count in each of them."""
    items = [*(("image", item) for item in images), *(("compiled kernels", item) for item in volumes)]
    if not items:
        return "nothing to remove"
    lines = [f"{item['size_bytes'] / 2**30:.2f} GiB  {kind}  {item['name']}" for kind, item in items]
    total = sum(item["size_bytes"] for _kind, item in items) / 2**30
    return "\n".join([*lines, f"{total:.2f} GiB at most, as images share layers"])
