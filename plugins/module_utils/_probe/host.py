# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's operating system, memory, disks, clock and first boot.

`parse_*` are pure.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

from .system import System

MIB = 1024 * 1024

_RHEL_LIKE = {"rhel", "centos", "fedora", "rocky", "almalinux"}


def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of `/etc/os-release`, unquoted; other lines are left out."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        try:
            values[name] = "".join(shlex.split(value))
        except ValueError:  # an unbalanced quote
            values[name] = value.strip("\"'")
    return values


def os_family(release: dict[str, str]) -> str | None:
    """`debian` or `rhel` by `ID` and `ID_LIKE`, else None."""
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if names & {"debian", "ubuntu"}:
        return "debian"
    return "rhel" if names & _RHEL_LIKE else None


def parse_meminfo(text: str) -> dict[str, int]:
    """The figures of `/proc/meminfo` that count in kB, in MiB."""
    figures = {}
    for line in text.splitlines():
        words = line.replace(":", " ").split()
        if len(words) == 3 and words[2] == "kB" and words[1].isdigit():
            figures[words[0]] = int(words[1]) // 1024
    return figures


def probe_os(system: System) -> dict[str, Any]:
    """The operating system as packages know it (`distribution`, `version`, `codename`) and the kernel."""
    release = parse_os_release(system.read("/etc/os-release") or "")
    return {
        "system": platform.system(),
        "distribution": release.get("ID"),
        "version": release.get("VERSION_ID"),
        "codename": release.get("VERSION_CODENAME"),
        "family": os_family(release),
        "pretty_name": release.get("PRETTY_NAME") or platform.platform(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "hostname": platform.node(),
        "cpus": os.cpu_count(),
        "python_version": platform.python_version(),
        "boot_id": (system.read("/proc/sys/kernel/random/boot_id") or "").strip() or None,
        "service_manager": "systemd" if system.path("/run/systemd/system").is_dir() else None,
    }


def probe_memory(system: System) -> dict[str, int | None]:
    """Main memory in MiB; None where the system does not say."""
    figures = parse_meminfo(system.read("/proc/meminfo") or "")
    return {"total_mib": figures.get("MemTotal"), "available_mib": figures.get("MemAvailable")}


def probe_disk(system: System, path: str) -> dict[str, Any]:
    """Space on the file system that holds, or would hold, a path.

    `measured_path` is the path itself, or its nearest folder that exists.
    """
    nearest = Path(path)
    while not _exists(system.path(str(nearest))) and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        usage = shutil.disk_usage(str(system.path(str(nearest))))
        changed_at_s = system.path(str(nearest)).stat().st_mtime
    except OSError:
        unknown = dict.fromkeys(("measured_path", "changed_at_s", "total_mib", "free_mib", "readable", "writable"))
        return {"path": path, **unknown}
    return {
        "path": path,
        "measured_path": str(nearest),
        "changed_at_s": changed_at_s,
        "total_mib": usage.total // MIB,
        "free_mib": usage.free // MIB,
        "readable": os.access(str(system.path(str(nearest))), os.R_OK),
        "writable": os.access(str(system.path(str(nearest))), os.W_OK),
    }


def _exists(path: Path) -> bool:
    """Whether a path exists; False in a folder that the caller may not enter."""
    try:
        return path.exists()
    except OSError:
        return False


def probe_clock(system: System, reference_time_s: float | None) -> dict[str, Any]:
    """The host's clock against the controller's.

    `skew_s` also holds the time that the module took to reach the host, so a small positive figure means nothing.
    """
    now = time.time()
    answer = system.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    synchronized = answer.stdout.strip() if answer is not None and answer.rc == 0 else ""
    return {
        "epoch_s": now,
        "skew_s": None if reference_time_s is None else round(now - reference_time_s, 3),
        "synchronized": {"yes": True, "no": False}.get(synchronized),
    }


def probe_cloud_init(system: System) -> dict[str, Any]:
    """How far cloud-init is with the host's first boot; `status` is None where it is not installed."""
    answer = system.run(["cloud-init", "status"])
    status = answer.stdout.partition("status:")[2].split() if answer is not None else []
    return {"installed": answer is not None, "status": status[0] if status else None}
