# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's package manager has installed, keeps on hold and is busy with.

`parse_*` are pure.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from .process import probe_process
from .system import System

WATCHED = (
    "docker-ce",
    "docker-ce-cli",
    "docker-buildx-plugin",
    "docker-compose-plugin",
    "docker.io",
    "docker-cli",
    "docker-doc",
    "docker-compose",
    "docker-engine",
    "moby-engine",
    "podman-docker",
    "containerd",
    "containerd.io",
    "runc",
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)

_LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
)
_REBOOT_REQUIRED = "/run/reboot-required"
_VERSIONLOCK = "/etc/dnf/plugins/versionlock.list"


def parse_dpkg_query(text: str) -> tuple[dict[str, str], list[str]]:
    """Installed versions by package, and the packages on hold, from lines `WANT STATUS PACKAGE VERSION`."""
    versions, held = {}, []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[1] == "installed":
            versions[words[2]] = words[3]
            if words[0] == "hold":
                held.append(words[2])
    return versions, sorted(held)


def parse_rpm_query(text: str) -> dict[str, str]:
    """Installed versions by package, from lines `PACKAGE VERSION-RELEASE`; other lines are of absent packages."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def parse_versionlock(text: str) -> list[str]:
    """The watched packages that dnf's versionlock holds, from its list of `NAME-EPOCH:VERSION`."""
    return [name for name in WATCHED if re.search(rf"^{re.escape(name)}-\d+:", text, re.MULTILINE)]


def parse_proc_locks(text: str) -> dict[int, int]:
    """Who holds each locked file: process ID by inode, from `/proc/locks`. Waiting processes are left out."""
    holders: dict[int, int] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 8 and words[1] != "->" and words[4].lstrip("-").isdigit():
            inode = words[5].rpartition(":")[2]
            if inode.isdigit():
                holders.setdefault(int(inode), int(words[4]))
    return holders


def probe_packages(system: System) -> dict[str, Any]:
    """The package manager's state; `manager` is None on a system that has neither dpkg nor rpm.

    `python_modules` says, of the modules that Ansible's own modules need, which this Python has.
    """
    manager, versions, held = _installed(system)
    modules = {name: importlib.util.find_spec(name) is not None for name in ("apt", "debian", "requests")}
    return {
        "manager": manager,
        "versions": versions,
        "held": held,
        "python_modules": modules,
        "lock": _lock(system),
        "reboot_required": system.path(_REBOOT_REQUIRED).exists(),
    }


def _installed(system: System) -> tuple[str | None, dict[str, str], list[str]]:
    template = "${db:Status-Want} ${db:Status-Status} ${Package} ${Version}\n"
    answer = system.run(["dpkg-query", "--show", "--showformat", template, *WATCHED])
    if answer is not None:
        return ("apt", *parse_dpkg_query(answer.stdout))
    answer = system.run(["rpm", "--query", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\n", *WATCHED])
    if answer is not None:
        return "dnf", parse_rpm_query(answer.stdout), parse_versionlock(system.read(_VERSIONLOCK) or "")
    return None, {}, []


def _lock(system: System) -> dict[str, Any]:
    holders = parse_proc_locks(system.read("/proc/locks") or "")
    for name in _LOCKS:
        try:
            pid = holders.get(system.path(name).stat().st_ino)
        except OSError:
            continue
        if pid is not None:
            return {"held": True, "pid": pid, "command": probe_process(system, pid)["command"]}
    return {"held": False, "pid": None, "command": None}
