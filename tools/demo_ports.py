#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints a port for each host of the demo, in the order of inventory/demo/hosts.yml: the one that its server has, else a free one.

LLMFLEET_DEMO_PORTS="$(tools/demo_ports.py .demo)" ansible-playbook -i inventory/demo playbooks/deploy.yml
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

PREFERRED = {"demo-b200": 18200, "demo-h100": 18100, "demo-a100": 18080}


def main(arguments: list[str]) -> str:
    """The ports in one line."""
    return " ".join(map(str, ports(Path(arguments[0]))))


def ports(folder: Path) -> list[int]:
    """A port for each host, no two the same. `folder` holds the state folder of each."""
    chosen: list[int] = []
    for host, preferred in PREFERRED.items():
        kept = port_of(folder / host)
        chosen.append(kept or next(port for port in from_on(preferred) if port not in chosen and is_free(port)))
    return chosen


def port_of(state: Path) -> int | None:
    """The port of a host's server; None where none is recorded, or where it has ended and another program took its port."""
    try:
        record = json.loads((state / "llmfleet-server" / "process.json").read_text())
        fact = json.loads((state / "facts.d" / "llmfleet_server.fact").read_text())
        pid, port = int(record["pid"]), int(fact["instances"][0]["port"])
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return port if is_free(port) or Path(f"/proc/{pid}").exists() else None


def from_on(port: int) -> Iterator[int]:
    """The ports from one on."""
    yield from range(port, 65536)


def is_free(port: int) -> bool:
    """Whether nothing listens there, on loopback or on every address."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                if probe.connect_ex((address, port)) == 0:
                    return False
        except OSError:
            continue  # a machine without that family
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    print(main(sys.argv[1:]))
