# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a host keeps what belongs to one of its servers: by the server's name, which is its identity. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..module_utils._errors import Problem, UserError
from ..module_utils._probe.servers import BASE, SERVERS
from ..module_utils._text import one_line

DEFAULT_SERVER = "llmfleet-server"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)  # of a container, as Docker has it
_TAIL = BASE.lstrip("~")


def state_dir_of(server: str) -> str:
    """The state folder of a server whose operator names none. That with the default name has the folder above all others'."""
    return BASE if server in ("", DEFAULT_SERVER) else f"{BASE}/{SERVERS}/{server.replace('/', '_')}"


class Place(NamedTuple):
    """A server, the folder that is its own by its name, and the one where it may be instead.

    Before each server had a folder, all were in the one above: a fleet that was deployed then stays where it is, and what is there may be
    another server's.
    """

    server: str
    folder: str
    instead: str


def place_of(state_dir: str) -> Place | None:
    """Whose a state folder is, by its path; None for one that the operator chose."""
    base, slash, server = state_dir.rpartition(f"/{SERVERS}/")
    if slash and base.endswith(_TAIL) and NAME.fullmatch(server):
        return Place(server, state_dir, base)
    if state_dir.endswith(_TAIL):
        return Place(DEFAULT_SERVER, state_dir, f"{state_dir}/{SERVERS}/{DEFAULT_SERVER}")
    return None


def server_of(facts: Mapping[str, Any]) -> str | None:
    """The name of the server that the facts of a state folder describe: its first instance's. None where they describe none."""
    fact = facts.get("llmfleet_server")
    instances = fact.get("instances") if isinstance(fact, Mapping) else None
    first = instances[0] if isinstance(instances, list) and instances else None
    name = first.get("name") if isinstance(first, Mapping) else None
    return str(name) if name else None


def needs_the_other(place: Place, facts: Mapping[str, Any]) -> bool:
    """Whether the other folder has to be read too: here is another server, or none and the server may be there."""
    found = server_of(facts)
    return found != place.server and (found is not None or place.server != DEFAULT_SERVER)


def settled(place: Place, facts: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The folder of the server, and its facts, by what both folders hold."""
    if server_of(other) == place.server:
        return place.instead, {**other, **({} if server_of(facts) else facts)}
    if server_of(facts) is None:
        return place.folder, dict(facts)
    return place.instead, {} if server_of(other) else dict(other)


def refuse_others(facts: Mapping[str, Any], typed: Mapping[str, Any], host: str) -> None:
    """Raises UserError where the state folder is another server's, or that of another host of the inventory: what is there would be
    taken for this one's, and removed or replaced.

    `host` is the inventory's name of this one, `typed` its settings.
    """
    found, name = server_of(facts), typed.get("name")
    if found and name and found != name:
        raise UserError(
            Problem(
                f"the state folder {typed['state_dir']} is that of the server {one_line(found, 80)}, which was not touched",
                "a state folder for each server of a host",
                f"leave inference_server_state_dir unset, or set it for {name} to another folder; to give the server another name, remove "
                f"it first under its old one: teardown.yml -e inference_server_name={one_line(found, 80)}",
            )
        )
    owner = (facts.get("llmfleet_server") or {}).get("owner") if found else None
    problem = owner_problem(str(found), owner, str(typed["state_dir"]), host, str(typed.get("renamed_from") or ""))
    if problem:
        raise UserError(problem)


def owner_problem(server: str, owner: Any, state_dir: str, host: str, renamed_from: str) -> Problem | None:
    """The server is another inventory host's on the same machine: the two would replace each other's for ever."""
    if not owner or owner in (host, renamed_from):
        return None
    other = one_line(str(owner), 80)
    return Problem(
        f"the server {one_line(server, 80)} is deployed from the inventory as {other} (state folder {state_dir}), and this is {host}. "
        "It was not touched",
        "one inventory name for each server of a machine",
        f"work on it as {other}; if the host was renamed, say so once: add -l {host} -e inference_server_renamed_from={other}; for a "
        "server beside it, set inference_server_name and inference_server_port of this one",
    )
