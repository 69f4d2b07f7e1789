# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a container, a port and a GPU of a host is: this server's, another server's of this collection, or someone else's.

What is not this server's is left alone.

Pure functions over what module host_info reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

SERVER_LABEL = "org.llmfleet.server"
_LONGEST_NAME = 120  # characters of what the engine says of a container


def containers_of(host: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The containers of a host; none where Docker was not asked."""
    return list((host.get("docker") or {}).get("containers") or [])


def is_ours(container: Mapping[str, Any], server: str) -> bool:
    """Whether a container is of that server. One of ours from before servers had names counts as it."""
    return bool(container["labels"]) and container["labels"].get(SERVER_LABEL, server) == server


def not_ours(containers: Iterable[Mapping[str, Any]], server: str) -> set[str]:
    """The names of the containers that are not of that server."""
    return {container["name"] for container in containers if not is_ours(container, server)}


def container_problems(
    names: Iterable[str], server: str, containers: Iterable[Mapping[str, Any]], become: bool = False
) -> list[Problem]:
    """Containers that have a name this server needs, and are not this server's. `become`: Docker is asked with privileges."""
    wanted = set(names)
    return [
        _taken_name(container, become)
        for container in containers
        if container["name"] in wanted and not is_ours(container, server)
    ]


def _taken_name(container: Mapping[str, Any], become: bool) -> Problem:
    name, other = container["name"], container["labels"].get(SERVER_LABEL)
    image = one_line(str(container.get("image")), _LONGEST_NAME)
    whose = f"the server {one_line(other, _LONGEST_NAME)} of this collection" if other else "someone else"
    return Problem(
        f"the container {name} ({image}, {container.get('state') or 'state unknown'}) is of {whose}. It was not touched",
        "no container of that name, or this server's own",
        f"if it is not needed, remove it on the host: {'sudo ' if become else ''}docker rm --force {name}; else give this server "
        "another name: inference_server_name, in the inventory",
    )


class Other(NamedTuple):
    """Another server of this collection on the host, running or not."""

    name: str
    owner: str | None  # the inventory's name of the host that deployed it
    ports: frozenset[int]
    gpus: frozenset[str]  # UUIDs, or `all`

    def __str__(self) -> str:
        """The server as messages name it."""
        owner = f" of inventory host {one_line(self.owner, _LONGEST_NAME)}" if self.owner else ""
        return f"the server {one_line(self.name, _LONGEST_NAME)}{owner}"


def others_of(host: Mapping[str, Any], server: str) -> list[Other]:
    """The other servers of a host: those with a container there, and those with a state folder.

    Of a server that runs in Docker the containers are what counts, where Docker was asked.
    """
    docker, described = host.get("docker") or {}, host.get("servers") or []
    answered = bool(docker) and docker.get("state", "running") == "running"
    names = {entry["name"] for entry in described} | {_server_of(container) for container in containers_of(host)}
    found = []
    for name in sorted(names - {server, ""}):
        containers = [container for container in containers_of(host) if _server_of(container) == name]
        facts = [entry for entry in described if entry["name"] == name]
        kept = [each for entry in facts if not answered or entry["runtime"] != "docker" for each in entry["instances"]]
        if containers or kept:
            found.append(_other(name, facts, containers, kept))
    return found


def _server_of(container: Mapping[str, Any]) -> str:
    return str(container["labels"].get(SERVER_LABEL, ""))


def _other(
    name: str,
    facts: Iterable[Mapping[str, Any]],
    containers: Iterable[Mapping[str, Any]],
    kept: Iterable[Mapping[str, Any]],
) -> Other:
    ports = [port for container in containers for port in (*container["host_ports"], *container.get("bound_ports", ()))]
    gpus = {uuid for container in containers for uuid in container.get("gpus", ())}
    known = {uuid for entry in facts for each in entry["instances"] for uuid in each["gpu_uuids"]}
    if "all" in gpus and known:  # all that there were when it was deployed
        gpus = gpus - {"all"} | known
    owner = next((str(entry["owner"]) for entry in facts if entry.get("owner")), None)
    return Other(
        name,
        owner,
        frozenset([*ports, *(each["port"] for each in kept if each["port"])]),
        frozenset([*gpus, *(uuid for each in kept for uuid in each["gpu_uuids"])]),
    )


def port_holders(host: Mapping[str, Any], server: str) -> dict[int, Other]:
    """The ports of the other servers of a host, also of those that do not run now."""
    return {port: other for other in others_of(host, server) for port in other.ports}


def server_port_problem(
    port: int, other: Other, host: Mapping[str, Any], taken: Iterable[int], count: int = 1
) -> Problem:
    """A port that another server has. `taken` are the ports of all of them, `count` how many ports this one needs."""
    used = {*taken, *(entry["port"] for entry in host.get("ports") or [] if entry["in_use"])}
    free = next(first for first in range(max(1024, port + 1), 65536) if used.isdisjoint(range(first, first + count)))
    return Problem(
        f"port {port} is that of {other}, which is on this host too",
        "a port for each server of a host",
        f"set inference_server_port of this server to a free one, such as {free}",
    )


def gpu_holders(host: Mapping[str, Any], server: str) -> dict[str, str]:
    """The GPUs of a host that its other servers have, by UUID, with who has each."""
    uuids = [str(gpu["uuid"]) for gpu in (host.get("gpu") or {}).get("cards") or []]
    return {
        uuid: f"held by {other}"
        for other in others_of(host, server)
        for uuid in (uuids if "all" in other.gpus else other.gpus)
    }
