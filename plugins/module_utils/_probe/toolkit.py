# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's NVIDIA container toolkit and the CDI devices that it offers.

`parse_*` are pure.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .system import System

RUNTIME_HOOK = "nvidia-container-runtime-hook"
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
GUARD_RULE = "/etc/udev/rules.d/71-nvidia-dev-char.rules"


def parse_ctk_version(text: str) -> str | None:
    """The version in the answer of `nvidia-ctk --version`."""
    match = re.search(r"version\s+v?([0-9]+(?:\.[0-9]+)+)", text)
    return match.group(1) if match else None


def parse_cdi_list(text: str) -> list[str]:
    """The device names in the answer of `nvidia-ctk cdi list`, e.g. `nvidia.com/gpu=0`."""
    return re.findall(r"^\s*([\w.-]+/[\w.-]+=\S+)\s*$", text, re.MULTILINE)


def parse_cdi_spec(text: str) -> dict[str, Any]:
    """Whether a CDI specification is for NVIDIA GPUs, and the driver versions that it was written for.

    `driver_versions` are the versions in the names of the driver's libraries. They reveal a specification that was
    written before the driver was upgraded.
    """
    return {
        "nvidia": bool(re.search(r"\bnvidia\.com/gpu\b", text)),
        "driver_versions": sorted(set(re.findall(r"lib(?:cuda|nvidia-ml)\.so\.([0-9]+\.[0-9.]*[0-9])", text))),
    }


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
    }


def _cdi_specs(system: System) -> list[dict[str, Any]]:
    specs = []
    for folder in CDI_FOLDERS:
        for name in system.listing(folder):
            spec = parse_cdi_spec(system.read(f"{folder}/{name}") or "")
            if spec["nvidia"]:
                path = f"{folder}/{name}"
                changed = _changed_at(str(system.path(path)))
                specs.append({"path": path, "driver_versions": spec["driver_versions"], "changed_at_s": changed})
    return specs


def _changed_at(path: str | None) -> float | None:
    """When a file came to this host (its inode's change, which a package's own dates do not touch)."""
    return None if path is None else Path(path).stat().st_ctime
