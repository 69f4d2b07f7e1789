# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which TCP ports are taken on a host, and by which process.

`parse_*` are pure.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from typing import Any, Iterable, NamedTuple

from .._errors import ANOTHER_PORT, Problem
from .process import probe_process
from .system import System

_LISTEN = "0A"
_UNSEEN = {"pid": None, "command": None, "session_id": None, "container_id": None}


class Listener(NamedTuple):
    """One listening TCP socket."""

    address: str
    port: int
    inode: str


def parse_proc_net_tcp(text: str) -> list[Listener]:
    """The listening sockets of `/proc/net/tcp` or `tcp6`."""
    listeners = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 10 or words[3] != _LISTEN:
            continue
        address, _colon, port = words[1].partition(":")
        try:
            listeners.append(Listener(parse_kernel_address(address), int(port, 16), words[9]))
        except ValueError:
            continue
    return listeners


def parse_kernel_address(text: str) -> str:
    """An address as the kernel prints it (32-bit words in the machine's byte order), in the usual form.

    Raises ValueError when it is neither IPv4 nor IPv6.
    """
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words)))


def probe_ports(system: System, ports: Iterable[int]) -> list[dict[str, Any]]:
    """For each port: is it taken, and by whom.

    The fields of an owner (`pid`, `command`, ...) are None where the caller may not look into other users' processes.
    Without `/proc` (macOS) a connection to loopback decides, and no owner is known.
    """
    wanted = sorted(set(ports))
    tables = [table for table in (system.read("/proc/net/tcp"), system.read("/proc/net/tcp6")) if table is not None]
    if not tables:
        return [{"port": port, "in_use": _accepts(port), "owners": []} for port in wanted]
    listeners = [item for table in tables for item in parse_proc_net_tcp(table) if item.port in wanted]
    holders = _holders(system, {item.inode for item in listeners}) if listeners else {}
    return [
        {
            "port": port,
            "in_use": any(item.port == port for item in listeners),
            "owners": [_owner(system, item, holders.get(item.inode)) for item in listeners if item.port == port],
        }
        for port in wanted
    ]


def taken_port(entry: dict[str, Any]) -> Problem:
    """A taken port: who holds it and what to do. `entry` is an item of `probe_ports`."""
    owners = {owner["pid"]: f"{owner['command']} (pid {owner['pid']})" for owner in entry["owners"] if owner["pid"]}
    who, stop = ", ".join(owners.values()), f"stop it (kill {' '.join(map(str, owners))})"
    if not owners:
        who, stop = "a process of another user", f"stop it (sudo ss -ltnp 'sport = :{entry['port']}' names it)"
    return Problem(f"port {entry['port']} is in use by {who}", remedy=f"{stop}, or {ANOTHER_PORT}")


def _owner(system: System, listener: Listener, pid: int | None) -> dict[str, Any]:
    process = _UNSEEN if pid is None else probe_process(system, pid)
    return {"address": listener.address, **process}


def _holders(system: System, inodes: set[str]) -> dict[str, int]:
    """The first process that holds each socket. Stops as soon as every socket has a holder."""
    holders: dict[str, int] = {}
    for pid in (name for name in system.listing("/proc") if name.isdigit()):
        folder = f"/proc/{pid}/fd/"
        for descriptor in system.listing(folder):
            match = re.match(r"socket:\[(\d+)\]$", system.link(folder + descriptor) or "")
            if match and match.group(1) in inodes:
                holders.setdefault(match.group(1), int(pid))
        if len(holders) == len(inodes):
            break
    return holders


def _accepts(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
