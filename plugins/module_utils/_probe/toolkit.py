# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's NVIDIA container toolkit and the CDI devices that it offers.

`parse_*` are pure.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, Iterable, Mapping

from .system import System

RUNTIME_HOOK = "nvidia-container-runtime-hook"
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
# What Docker's CDI library takes for a specification, how many of them are looked at, and how much of each.
_SPEC_NAMES = (".yaml", ".json")
_SPECS_AT_MOST = 64
_SPEC_CHARACTERS = 4 * 1024 * 1024
GUARD_RULE = "/etc/udev/rules.d/71-nvidia-dev-char.rules"
START_UNIT = "/etc/systemd/system/llmfleet-start.service"
_CDI_VERSION = re.compile(
    r"""(?:^|[{,])\s*["']?cdiVersion["']?\s*:\s*["']?v?([0-9]{1,4}(?:\.[0-9]{1,4}){1,2})\b""", re.MULTILINE
)
# The devices of a driver that a container of a serving engine opens.
_DEVICE = re.compile(r"nvidia(\d+|ctl|-uvm|-uvm-tools)")


def parse_ctk_version(text: str) -> str | None:
    """The version in the answer of `nvidia-ctk --version`."""
    match = re.search(r"version\s+v?([0-9]+(?:\.[0-9]+)+)", text)
    return match.group(1) if match else None


def parse_cdi_list(text: str) -> list[str]:
    """The device names in the answer of `nvidia-ctk cdi list`, e.g. `nvidia.com/gpu=0`."""
    return re.findall(r"^\s*([\w.-]+/[\w.-]+=\S+)\s*$", text, re.MULTILINE)


def parse_cdi_spec(text: str) -> dict[str, Any]:
    """Whether a CDI specification is for NVIDIA GPUs, its own version, and the driver versions that it was written for.

    `cdi_version` is what an engine compares with what it can read; None when the file names none. `driver_versions` are the
    versions in the names of the driver's libraries: they reveal a specification that was written before the driver was upgraded.
    """
    version = _CDI_VERSION.search(text)
    return {
        "nvidia": bool(re.search(r"\bnvidia\.com/gpu\b", text)),
        "cdi_version": version.group(1) if version else None,
        "driver_versions": sorted(set(re.findall(r"lib(?:cuda|nvidia-ml)\.so\.([0-9]+\.[0-9.]*[0-9])", text))),
    }


def missing_links(devices: Mapping[str, int], links: Iterable[str]) -> list[str]:
    """The devices (name below /dev, and its number) that no link in /dev/char names as `MAJOR:MINOR`."""
    present = set(links)
    return sorted(name for name, number in devices.items() if f"{os.major(number)}:{os.minor(number)}" not in present)


def probe_toolkit(system: System) -> dict[str, Any]:
    """Everything about this host's toolkit; the keys are the same when it is not installed."""
    version = system.run(["nvidia-ctk", "--version"])
    devices = system.run(["nvidia-ctk", "cdi", "list"]) if version is not None else None
    hook = system.program(RUNTIME_HOOK)
    specs = _cdi_specs(system)
    return {
        "installed": version is not None,
        "version": parse_ctk_version(version.text) if version is not None else None,
        "hook_path": hook,
        "hook_changed_at_s": _changed_at(hook),
        "cdi_devices": parse_cdi_list(devices.text) if devices is not None and devices.rc == 0 else [],
        "cdi_specs": specs,
        "guard_rule": system.read(GUARD_RULE),
        "start_unit": system.read(START_UNIT),
        "device_links_missing": missing_links(_devices(system), system.listing("/dev/char")),
    }


def _cdi_specs(system: System) -> list[dict[str, Any]]:
    paths = [
        f"{folder}/{name}" for folder in CDI_FOLDERS for name in system.listing(folder) if name.endswith(_SPEC_NAMES)
    ]
    specs = []
    for path in paths[:_SPECS_AT_MOST]:
        spec = parse_cdi_spec(system.read(path, _SPEC_CHARACTERS) or "")
        if spec.pop("nvidia"):
            specs.append({"path": path, **spec, "changed_at_s": _changed_at(str(system.path(path)))})
    return specs


def _devices(system: System) -> dict[str, int]:
    """The driver's devices and their numbers; /dev may hold anything else under such a name."""
    found = {}
    for name in system.listing("/dev"):
        if not _DEVICE.fullmatch(name):
            continue
        try:
            status = system.path(f"/dev/{name}").stat()
        except OSError:  # a link that leads nowhere
            continue
        if stat.S_ISCHR(status.st_mode):
            found[name] = status.st_rdev
    return found


def _changed_at(path: str | None) -> float | None:
    """When a file came to this host (its inode's change, which a package's own dates do not touch)."""
    return None if path is None else Path(path).stat().st_ctime
