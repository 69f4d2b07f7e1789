# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of this collection that a host has, running or not, as their state folders describe them."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from .._files import read_json
from .._owners import as_owner, owner_of
from .process import home_of_caller
from .system import System

# The state folder of the server with the default name, and below it a folder for each of the others.
BASE = "~/.local/state/llmfleet"
SERVERS = "servers"
FACT = "llmfleet_server.fact"

_MOST_SERVERS = 64
_MOST_BYTES = 1024 * 1024
_LONGEST = 200  # characters of a name


def probe_servers(system: System, state_dir: str | None) -> list[dict[str, Any]]:
    """What the state folders of a host say of its servers: those of the user who connected, and those beside `state_dir`.

    Read as the user whose they are: root follows no link of theirs.
    """
    bases = [home_of_caller() + BASE[1:], *([base_of(state_dir)] if state_dir else [])]
    found = [entry for base in dict.fromkeys(bases) for entry in _below(system, base)]
    found += _beside(system, state_dir) if state_dir and state_dir == base_of(state_dir) != bases[0] else []
    return [entry for entry in found if entry]


def base_of(state_dir: str) -> str:
    """The folder that holds the state folders of all servers, by the state folder of one."""
    base, slash, name = state_dir.rpartition(f"/{SERVERS}/")
    return base if slash and "/" not in name else state_dir


def _below(system: System, base: str) -> list[dict[str, Any] | None]:
    folder = system.path(base)
    try:
        facts = as_owner(owner_of(folder), lambda: _facts(folder, base))
    except (OSError, RuntimeError):
        return []
    return [shape_server(place, fact) for place, fact in facts]


def _beside(system: System, state_dir: str) -> list[dict[str, Any] | None]:
    """The servers in the folders beside one that the operator chose, such as one for each of the inventory's hosts."""
    above, own = str(Path(state_dir).parent), Path(state_dir).name
    found = []
    for name in _names(system.path(above)):
        folder = system.path(f"{above}/{name}")
        if name == own or not (folder / "facts.d" / FACT).exists():
            continue
        with suppress(OSError, RuntimeError):
            found.append(shape_server(f"{above}/{name}", as_owner(owner_of(folder), partial(_fact, folder))))
    return found


def _facts(folder: Path, base: str) -> list[list[Any]]:
    names = _names(folder / SERVERS)
    return [[base, _fact(folder)], *([f"{base}/{SERVERS}/{name}", _fact(folder / SERVERS / name)] for name in names)]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())[:_MOST_SERVERS]
    except OSError:
        return []


def _fact(state_dir: Path) -> Any:
    path = state_dir / "facts.d" / FACT
    try:
        return read_json(path, _MOST_BYTES) if path.is_file() else None
    except OSError:
        return None


def shape_server(state_dir: str, fact: Any) -> dict[str, Any] | None:
    """A server in the form that is compared with others: None where its fact describes none."""
    instances = fact.get("instances") if isinstance(fact, dict) else None
    found = [_instance(item) for item in (instances if isinstance(instances, list) else []) if isinstance(item, dict)]
    if not found:
        return None
    return {
        "name": found[0]["name"],
        "state_dir": state_dir,
        "owner": _text(fact.get("owner")) or None,
        "runtime": _text(fact.get("runtime")),
        "model": _text(fact.get("model")),
        "instances": found,
    }


def _instance(item: dict[str, Any]) -> dict[str, Any]:
    port, gpus = item.get("port"), item.get("gpu_uuids")
    return {
        "name": _text(item.get("name")),
        "port": port if isinstance(port, int) else None,
        "gpu_uuids": [_text(uuid) for uuid in gpus[:_MOST_SERVERS]] if isinstance(gpus, list) else [],
    }


def _text(value: Any) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""
