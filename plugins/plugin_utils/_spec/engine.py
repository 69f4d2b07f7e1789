# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine's part of a server: its image, its arguments and what it must be able to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._server.weights import is_hub_name

from .._version import at_least
from .._version_floors import DRIVER_BY_CUDA
from .flags import Flags, merge_flags, parse_args, to_argv


def choose_image(images: Sequence[Mapping[str, Any]], driver_version: str | None) -> Mapping[str, Any]:
    """The first image whose CUDA family the host's driver runs; the first of all where no driver was found.

    Raises UserError when the driver is too old for each of them.
    """
    if not driver_version:
        return images[0]
    for candidate in images:
        if at_least(driver_version, DRIVER_BY_CUDA[candidate["cuda"]]):
            return candidate
    oldest = min(images, key=lambda candidate: int(candidate["cuda"]))
    raise UserError(
        Problem(
            f"the NVIDIA driver is {driver_version}",
            f"{DRIVER_BY_CUDA[oldest['cuda']]} or newer, for {oldest['image']} (CUDA {oldest['cuda']})",
            "upgrade the driver, or set inference_server_image to an image that fits it",
        )
    )


def image_name(
    want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any], driver_version: str | None
) -> str:
    """The image's name: the operator's own, else the published benchmark's, else the stable image that the driver can run."""
    if want["image"]:
        return str(want["image"])
    if want["release"] == "published":
        return str(recipe["published"][want["backend"]]["image"])
    images = engine.get("earlier", {}).get(want["engine_version"], engine["stable"]["images"])
    return str(choose_image(images, driver_version)["image"])


def release_of(image: str, backend: str) -> str | None:
    """The engine's release in an image, by the name that its makers give it; None for a name of another kind, a nightly or a candidate."""
    repository, _colon, tag = image.partition("@")[0].rpartition(":")
    own = ENGINES[backend].image_repository if backend in ENGINES else None
    found = re.match(r"v?(\d+\.\d+\.\d+(?:\.post\d+)?)(?:-|$)", tag)
    return found.group(1) if own and found and f"/{repository}".endswith(f"/{own}") else None


def known_release(
    want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any], driver_version: str | None
) -> str | None:
    """The release whose flags the arguments can be held against: that of the container's image; None where it is not known.

    Raises UserError when the driver is too old for each of the images.
    """
    if want["runtime"] != "docker" or want["release"] != "stable" or "stable" not in engine:
        return None
    return release_of(image_name(want, engine, recipe, driver_version), want["backend"])


def version_problems(want: Mapping[str, Any], engine: Mapping[str, Any]) -> list[Problem]:
    """The release that the operator wants of the engine is none of those whose images are known."""
    wanted = want["engine_version"]
    if not wanted or want["image"] or "stable" not in engine:
        return []
    versions = images_by_version(engine)
    if wanted in versions:
        return []
    found = f"inference_server_engine_version is {wanted!r}"
    return [
        Problem(found, f"one of {', '.join(versions)}", "or set inference_server_image to an image of that release")
    ]


def images_by_version(engine: Mapping[str, Any]) -> dict[str, list[str]]:
    """The images of each release that `inference_server_engine_version` can name, the pinned one first."""
    stable = engine.get("stable")
    releases = {stable["version"]: stable["images"], **engine.get("earlier", {})} if stable else {}
    return {version: [image["image"] for image in images] for version, images in releases.items()}


def engine_argv(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    values: Mapping[str, Any],
    adapters: Flags | None = None,
) -> list[str]:
    """The engine's arguments: the published benchmark's for `published`, else engine < recipe < intent < adapters < operator."""
    extra = parse_args(want["extra_args"])
    if want["release"] == "published":
        argv = [fill(token, values) for token in recipe["published"][want["backend"]]["argv"]]
        return argv + to_argv(extra)
    base = {name: _filled(value, values) for name, value in engine["flags"].items()}
    if want.get("model_revision"):
        base["--revision"] = want["model_revision"]
    own = recipe.get("flags", {}).get(want["backend"], {})
    return to_argv(merge_flags(base, own, engine["intents"][want["intent"]], adapters or {}, extra))


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    return fill(value, values) if isinstance(value, str) else value


def fill(template: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: str(values[match.group(1)]), template)


def flags_in(argv: Sequence[str]) -> list[str]:
    first = next((at for at, token in enumerate(argv) if token.startswith("--")), len(argv))
    return list(argv[first:])


def context_tokens(argv: Sequence[str], recipe: Mapping[str, Any]) -> int | None:
    """The context in tokens that the server was asked for; the model's own where the arguments name no number."""
    flags = parse_args(flags_in(argv))
    asked = str(flags.get("--max-model-len") or flags.get("--context-length") or "")
    return int(asked) if asked.isdigit() else recipe.get("context_tokens")


def smoke_tests(want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, str]:
    """What becomes of each smoke test: the recipe's word, the engine's over it, the operator's over both.

    The published commands set no reasoning parser and a lossy tool parser, so there abilities are only reported.
    """
    modes = {**recipe.get("smoke", {}), **engine.get("smoke", {})}
    if want["release"] == "published":
        modes = {name: "report" if mode == "required" else mode for name, mode in modes.items()}
    return {**modes, **want["smoke"]}


def is_prefetched(want: Mapping[str, Any]) -> bool:
    """Whether role model_cache brings the weights: a stable container whose model is a name on the hub and whose cache is on the host."""
    container = want["runtime"] == "docker" and want["release"] == "stable"
    return bool(want["prefetch"] and container and want["hf_cache_dir"] and is_hub_name(want["model"]))
