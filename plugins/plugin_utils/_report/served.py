# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment came to: which host serves what, where, and what became of the others. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from .._border import cross
from .._plain import mapping, number, sequence
from . import facts
from .fact_schema import SHAPES
from .numbers import MISSING
from .tables import SIMULATED

RECORDS = "llmfleet.serving.host_fact"  # the module that writes a server's description
HEADER = ["Host", "GPU", "Server", "Model", "Endpoint", "Ready in", "Changed"]
_LONGEST_CELL, _LONGEST_REASON = 60, 160  # characters
_MORE = "What failed is said above, once; -v adds the last lines of a server's log. For these alone: --limit "
_LONGEST_LIMIT = 400
# What Ansible says of privileges that it did not get, in any of its releases -> what to type.
_NO_PRIVILEGES = re.compile(r"Missing sudo password|sudo: a password is required|Incorrect sudo password")
_ASK = " (run it again with --ask-become-pass, or --become-password-file FILE)"
_CHANGES = {  # module -> what it changed, in a word
    "community.docker.docker_image_pull": "image",
    "community.docker.docker_container": "server",
    "llmfleet.serving.server_process": "server",
    "llmfleet.serving.model_cache": "weights",
    "llmfleet.serving.docker_daemon_config": "Docker",
    "ansible.builtin.apt": "packages",
    "ansible.builtin.dnf": "packages",
    RECORDS: "",
}


@dataclass
class _Host:
    """What became of a host so far."""

    server: dict[str, Any] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seen: bool = False


class Run:
    """A run over the hosts of a fleet, from what its tasks return."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._predicted = False

    def expect(self, hosts: Iterable[str], *, predicted: bool) -> None:
        """The hosts of a play; `predicted` in check mode."""
        self._predicted = predicted
        for host in hosts:
            self._hosts.setdefault(host, _Host())

    def done(self, host: str, action: str, task: str, *, changed: bool, facts: Mapping[str, Any]) -> None:
        """A task that came to its end. `facts` is what was recorded there, by name."""
        known = self._known(host)
        if facts.get("llmfleet_server"):
            known.server = mapping(cross(facts["llmfleet_server"], SHAPES["llmfleet_server"]).value)
        what = _CHANGES.get(action, task.rpartition("|")[2].strip()) if changed else ""
        if what and what not in known.changes:
            known.changes.append(what)

    def failed(self, host: str, message: str) -> None:
        """A task that failed, also one that a rescue follows."""
        self._known(host).failures.append(message)

    def unreachable(self, host: str, message: str) -> None:
        """A host that could not be reached."""
        self._known(host).failures.append(f"unreachable: {message}")

    def _known(self, host: str) -> _Host:
        known = self._hosts.setdefault(host, _Host())
        known.seen = True
        return known

    def table(self, lost: Iterable[str]) -> str:
        """The table; empty where no play asked for it. `lost` are the hosts that failed or were not reached in the end."""
        lost = set(lost)
        rows = [self._row(name, host, lost=name in lost) for name, host in self._hosts.items()]
        again = ",".join(name for name, host in self._hosts.items() if name in lost or not host.seen)
        more = [one_line(f"{_MORE}{again}", _LONGEST_LIMIT)] if lost else []
        return "\n".join([_aligned(rows), *more]) if rows else ""

    def _row(self, name: str, host: _Host, *, lost: bool) -> list[str]:
        """Seven cells, or two for a host without a server to show: its name and the reason."""
        if lost:
            return [name, _reason(host.failures)]
        if not host.seen:
            return [name, "not reached: the run ended before its turn"]
        if not host.server:
            return [name, _changed(host.changes, predicted=self._predicted) + "; no server"]
        started = "server" in host.changes
        server = {**host.server, "ready_s": None} if self._predicted and started else host.server
        return [name, *_cells(server), _changed(host.changes, predicted=self._predicted)]


def _cells(server: Mapping[str, Any]) -> list[str]:
    gpu, ready_s = mapping(server.get("gpu")), number(server.get("ready_s"))
    cells = [
        f"{number(gpu.get('count')) or 1:g}× {gpu.get('name') or gpu.get('class') or 'no GPU'}",
        _engine(server),
        str(server.get("model") or MISSING),
        str(server.get("endpoint") or MISSING),
        MISSING if ready_s is None else f"{ready_s:.1f} s",
    ]
    return [one_line(cell, _LONGEST_CELL) for cell in cells]


def _engine(server: Mapping[str, Any]) -> str:
    """`vllm 0.33.0`, `8 × vllm 0.33.0`, `vllm SIMULATED`."""
    count = len(sequence(server.get("instances")))
    version = SIMULATED if server.get("simulated") else server.get("engine_version")
    name = " ".join(str(part) for part in (facts.engine(dict(server)), version) if part)
    return f"{count} × {name}" if count > 1 else name


def _changed(changes: list[str], *, predicted: bool) -> str:
    if not changes:
        return "nothing"
    return ("would change: " if predicted else "") + ", ".join(changes)


def _reason(failures: list[str]) -> str:
    """Why a host has failed, in one line: what was found first, and what became of its former server."""
    if not failures:
        return "FAILED: see its messages above"
    found = failures[0].partition(" Expected: ")[0].partition(" Remedy: ")[0]
    ends = {"Rolled back": "; rolled back", "Nothing was stopped": "; the former server still answers"}
    back = next((end for begin, end in ends.items() if failures[-1].startswith(begin)), "")
    ask = _ASK if _NO_PRIVILEGES.search(found) else ""
    return f"FAILED: {one_line(found, _LONGEST_REASON).rstrip('.')}{ask}{back}"


def _aligned(rows: list[list[str]]) -> str:
    """The rows below each other. A row of two cells counts for the first width alone; among such rows alone there is no heading."""
    whole = [row for row in rows if len(row) == len(HEADER)]
    widths = [max(map(len, column)) for column in zip(HEADER, *whole)]
    widths[0] = max(widths[0], *(len(row[0]) for row in rows))
    heading = [HEADER, ["-" * width for width in widths]] if whole else []
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in [*heading, *rows])
