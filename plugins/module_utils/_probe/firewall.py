# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The firewall that a host's owner manages, ufw or firewalld, and which ports it opens.

`parse_*` are pure.
"""

from __future__ import annotations

import re
from typing import Any

from .system import System

_UFW_RULE = re.compile(r"(\d+)(?::(\d+))?(?:/tcp)?(?: \(v6\))?\s+(?:ALLOW|LIMIT)\b")
_FIREWALLD_PORT = re.compile(r"(\d+)(?:-(\d+))?/tcp")
_STRICT = re.compile(r"^\s*StrictForwardPorts\s*=\s*(yes|true)\s*$", re.IGNORECASE | re.MULTILINE)


def parse_ufw(text: str) -> list[list[int]] | None:
    """Ranges of ports that `ufw status` allows, from wherever; None where it is not active. Rules by an application's name have no port."""
    if not re.search(r"^Status: active", text, re.MULTILINE):
        return None
    return [_range(match) for match in map(_UFW_RULE.match, text.splitlines()) if match]


def parse_firewalld_ports(text: str) -> list[list[int]]:
    """Ranges of TCP ports that `firewall-cmd --list-ports` names."""
    return [_range(match) for match in map(_FIREWALLD_PORT.fullmatch, text.split()) if match]


def _range(match: re.Match[str]) -> list[int]:
    return [int(match.group(1)), int(match.group(2) or match.group(1))]


def probe_firewall(system: System) -> dict[str, Any]:
    """`name`, None where neither is active; `allowed`, ranges of ports; `strict_forwarding`, firewalld keeps Docker's ports closed too.

    Needs root: without it, no firewall is seen.
    """
    ufw = system.run(["ufw", "status"])
    allowed = parse_ufw(ufw.stdout) if ufw is not None and ufw.rc == 0 else None
    if allowed is not None:
        return {"name": "ufw", "allowed": allowed, "strict_forwarding": False}
    state = system.run(["firewall-cmd", "--state"])
    if state is None or state.rc != 0:
        return {"name": None, "allowed": [], "strict_forwarding": False}
    ports = system.run(["firewall-cmd", "--list-ports"])
    return {
        "name": "firewalld",
        "allowed": parse_firewalld_ports(ports.stdout if ports is not None else ""),
        "strict_forwarding": bool(_STRICT.search(system.read("/etc/firewalld/firewalld.conf") or "")),
    }
