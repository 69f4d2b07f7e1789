# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a container is, by its label. What is not this server's is left alone.

Pure functions over what module host_info reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
