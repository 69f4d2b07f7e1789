# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's NVIDIA GPUs are and whether they are healthy, from one call of nvidia-smi and a few kernel files.

Everything but `probe_gpu` is pure.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

from .process import probe_process, redact_command
from .system import Output, System

SMI = ["nvidia-smi", "-q", "-x"]
SMI_TIMEOUT_S = 60.0  # a host of eight GPUs without persistence mode takes 20 s and more

_NVIDIA_VENDOR = "0x10de"
_PCI_DISPLAY = "0x03"  # VGA and 3D controllers: the GPUs
_PCI_BRIDGE_OTHER = "0x0680"  # NVSwitch up to Hopper; Blackwell's switches do not show as NVIDIA devices

# What nvidia-smi says when it fails, and what that means. First match wins.
_FAILURES = (
    (re.compile(r"driver/library version mismatch", re.IGNORECASE), "driver_library_mismatch"),
    (re.compile(r"couldn't communicate with the nvidia driver|driver not loaded", re.IGNORECASE), "driver_not_loaded"),
    (re.compile(r"no devices were found", re.IGNORECASE), "no_device"),
)


_NO_FIGURE = ("", "N/A", "[N/A]", "Not Supported", "[Not Supported]", "Requested functionality has been deprecated")
# What stands in the place of a figure that the driver could not read: the GPU is in trouble. Compared without brackets and case.
_UNREADABLE = ("unknown error", "err!", "gpu is lost", "gpu requires reset")
# The figures that every GPU has, which say whether it answers.
_TELLING = {
    "gpu_recovery_action": "recovery action",
    "fb_memory_usage/total": "memory",
    "temperature/gpu_temp": "temperature",
    "gpu_power_readings/instant_power_draw": "power draw",
    "gpu_power_readings/power_draw": "power draw",
    "power_readings/power_draw": "power draw",
}


class SmiError(ValueError):
    """The output is not a report of nvidia-smi -q -x."""


def parse_smi_xml(text: str) -> dict[str, Any]:
    """The report of `nvidia-smi -q -x` in plain types.

    `driver_version`, `cuda_version` (the newest CUDA the driver can run) and `cards`, the GPUs in the driver's order.
    A figure that the GPU does not report is None. Raises SmiError when the text is not such a report.
    """
    start = text.find("<nvidia_smi_log>")
    if start < 0:
        raise SmiError("no <nvidia_smi_log> in the output")
    try:
        log = ET.fromstring(text[start:])
    except ET.ParseError as error:
        raise SmiError(f"the XML does not parse: {error}") from error
    return {
        "driver_version": _text(log, "driver_version"),
        "cuda_version": _text(log, "cuda_version"),
        "cards": [_gpu(index, node) for index, node in enumerate(log.findall("gpu"))],
    }


def classify_failure(output: Output) -> str:
    """The state that a failed nvidia-smi stands for: `host.gpu.state` of the module host_info."""
    if output.rc is None:
        return "timeout"
    for pattern, state in _FAILURES:
        if pattern.search(output.text):
            return state
    return "failed"


def parse_library_version(text: str) -> str | None:
    """The version of the user-space library, as the message of a driver/library mismatch names it (since 530)."""
    match = re.search(r"NVML library version:\s*([0-9][0-9.]*)", text)
    return match.group(1) if match else None


def parse_kernel_module(version: str | None, proc_version: str | None) -> dict[str, Any]:
    """The loaded kernel module, from `/sys/module/nvidia/version` and `/proc/driver/nvidia/version`.

    `flavour` is `open` or `proprietary`: Blackwell needs the open one.
    """
    banner = (proc_version or "").partition("\n")[0]
    match = re.search(r"Kernel Module(?: for \S+)?\s+([0-9][0-9.]*)", banner)
    flavour = None
    if match:
        flavour = "open" if "Open Kernel Module" in banner else "proprietary"
    loaded = (version or "").strip() or (match.group(1) if match else None)
    return {"loaded": loaded is not None, "version": loaded, "flavour": flavour}


def parse_fabric_manager_version(text: str) -> str | None:
    """The version in the answer of `nv-fabricmanager --version`."""
    match = re.search(r"version is\s*:?\s*([0-9][0-9.]*)", text, re.IGNORECASE)
    return match.group(1) if match else None


def _gpu(index: int, node: ET.Element) -> dict[str, Any]:
    power = _first(node, "gpu_power_readings", "power_readings")
    reasons = _first(node, "clocks_event_reasons", "clocks_throttle_reasons")
    processes = [_process(item) for item in node.findall("processes/process_info")]
    return {
        "index": index,
        "name": _text(node, "product_name"),
        "architecture": _text(node, "product_architecture"),
        "uuid": _text(node, "uuid"),
        "pci_bus_id": _text(node, "pci/pci_bus_id"),
        "memory_total_mib": _whole(node, "fb_memory_usage/total"),
        "memory_used_mib": _whole(node, "fb_memory_usage/used"),
        "memory_free_mib": _whole(node, "fb_memory_usage/free"),
        "persistence_mode": _enabled(node, "persistence_mode"),
        "compute_mode": _text(node, "compute_mode"),
        "mig_mode": _enabled(node, "mig_mode/current_mig"),
        "mig_mode_pending": _enabled(node, "mig_mode/pending_mig"),
        "mig_devices": [_mig_device(item) for item in node.findall("mig_devices/mig_device")],
        "ecc_mode": _enabled(node, "ecc_mode/current_ecc"),
        "ecc_uncorrectable_volatile": _uncorrectable(node.find("ecc_errors/volatile")),
        "ecc_uncorrectable_aggregate": _uncorrectable(node.find("ecc_errors/aggregate")),
        "row_remap_pending": _yes(node, "remapped_rows/remapped_row_pending"),
        "row_remap_failure": _yes(node, "remapped_rows/remapped_row_failure"),
        "recovery_action": _recovery_action(node),
        "unreadable": _unreadable(node),
        "power_draw_w": _figure(power, "instant_power_draw", "power_draw"),
        "power_limit_w": _figure(power, "current_power_limit", "enforced_power_limit", "power_limit"),
        "power_limit_default_w": _figure(power, "default_power_limit"),
        "power_limit_max_w": _figure(power, "max_power_limit"),
        "temperature_c": _whole(node, "temperature/gpu_temp"),
        "utilization_pct": _whole(node, "utilization/gpu_util"),
        "clock_sm_mhz": _whole(node, "clocks/sm_clock"),
        "clock_sm_max_mhz": _whole(node, "max_clocks/sm_clock"),
        "clock_memory_mhz": _whole(node, "clocks/mem_clock"),
        "clock_memory_max_mhz": _whole(node, "max_clocks/mem_clock"),
        "throttle_reasons": _active_reasons(reasons),
        "fabric_state": _text(node, "fabric/state"),
        "fabric_status": _text(node, "fabric/status"),
        "compute_processes": [item for item in processes if "C" in (item["type"] or "")],
    }


def _mig_device(node: ET.Element) -> dict[str, Any]:
    return {
        "index": _whole(node, "index"),
        "gpu_instance_id": _whole(node, "gpu_instance_id"),
        "compute_instance_id": _whole(node, "compute_instance_id"),
        "memory_total_mib": _whole(node, "fb_memory_usage/total"),
    }


def _process(node: ET.Element) -> dict[str, Any]:
    name = _text(node, "process_name")
    return {
        "pid": _whole(node, "pid"),
        "type": _text(node, "type"),
        "name": redact_command(name.split()) if name else None,
        "memory_used_mib": _whole(node, "used_memory"),
    }


def _is_unreadable(text: str) -> bool:
    return text.strip().strip("[]").lower() in _UNREADABLE


def _unreadable(node: ET.Element) -> list[str]:
    """What the driver could not read of a GPU that answers no more, or not rightly; empty for one that is well."""
    names = [name for path, name in _TELLING.items() if _is_unreadable(node.findtext(path) or "")]
    if (node.findtext("gpu_recovery_action") or "").strip().strip("[]") == "Unknown":
        names.append(_TELLING["gpu_recovery_action"])
    return list(dict.fromkeys(names))


def _recovery_action(node: ET.Element) -> str | None:
    """What the driver asks for after an error (`Reset`, `Reboot`, ...), or None when it asks for nothing or does not know."""
    action = _text(node, "gpu_recovery_action")
    if action is None and _yes(node, "gpu_reset_status/reset_required"):
        action = "Reset"
    return None if action == "None" or _TELLING["gpu_recovery_action"] in _unreadable(node) else action


def _uncorrectable(counts: ET.Element | None) -> int | None:
    """Uncorrectable ECC errors; newer drivers split them by cause."""
    if counts is None:
        return None
    figures = [_number(item.text) for item in counts if "uncorrectable" in item.tag]
    counted = [int(figure) for figure in figures if figure is not None]
    return sum(counted) if counted else None


def _active_reasons(reasons: ET.Element | None) -> list[str]:
    """Why the clocks are below their maximum now, e.g. `sw_power_cap`; an idle GPU has `gpu_idle`."""
    if reasons is None:
        return []
    return [re.sub(r"^clocks_(event|throttle)_reason_", "", item.tag) for item in reasons if item.text == "Active"]


def _first(node: ET.Element, *names: str) -> ET.Element | None:
    return next((child for child in (node.find(name) for name in names) if child is not None), None)


def _text(node: ET.Element, path: str) -> str | None:
    value = (node.findtext(path) or "").strip()
    return None if value in _NO_FIGURE or _is_unreadable(value) else value


def _number(text: str | None) -> float | None:
    match = re.match(r"\s*(-?[0-9]+(?:\.[0-9]+)?)", text or "")
    return float(match.group(1)) if match else None


def _whole(node: ET.Element, path: str) -> int | None:
    value = _number(node.findtext(path))
    return None if value is None else int(value)


def _figure(node: ET.Element | None, *names: str) -> float | None:
    if node is None:
        return None
    values = (_number(node.findtext(name)) for name in names)
    return next((value for value in values if value is not None), None)


def _enabled(node: ET.Element, path: str) -> bool | None:
    return {"Enabled": True, "Disabled": False}.get(node.findtext(path, "").strip())


def _yes(node: ET.Element, path: str) -> bool | None:
    return {"Yes": True, "No": False}.get(node.findtext(path, "").strip())


def probe_gpu(system: System) -> dict[str, Any]:
    """Everything about this host's GPUs; the keys are the same when there is none."""
    output = system.run(SMI, SMI_TIMEOUT_S)
    report: dict[str, Any] = {"driver_version": None, "cuda_version": None, "cards": []}
    state, message = _judge(output, report)
    pci = _nvidia_pci_devices(system)
    on_bus = [device for device in pci if device["class"].startswith(_PCI_DISPLAY)]
    gpus_on_bus = len(on_bus)
    if state == "absent" and gpus_on_bus:
        state = "driver_not_loaded"
        message = f"{gpus_on_bus} NVIDIA GPU(s) on the PCI bus, but no nvidia-smi: the driver is not installed"
    for process in (item for gpu in report["cards"] for item in gpu["compute_processes"]):
        owner = probe_process(system, process["pid"])
        process.update(session_id=owner["session_id"], container_id=owner["container_id"])
    return {
        "state": state,
        "message": message,
        "count": len(report["cards"]),
        "cards": report["cards"],
        "driver_version": report["driver_version"],
        "cuda_version": report["cuda_version"],
        "library_version": parse_library_version(message or "") or report["driver_version"],
        "kernel_module": parse_kernel_module(
            system.read("/sys/module/nvidia/version"), system.read("/proc/driver/nvidia/version")
        ),
        "pci_count": gpus_on_bus,
        "missing": missing_gpus(on_bus, report["cards"]),
        "nvswitch_count": sum(1 for device in pci if device["class"].startswith(_PCI_BRIDGE_OTHER)),
        "fabric_manager": _fabric_manager(system),
    }


def _judge(output: Output | None, report: dict[str, Any]) -> tuple[str, str | None]:
    """Fill the report from nvidia-smi's answer; the state that the answer stands for, and its message."""
    if output is None:
        return "absent", None
    if output.rc != 0:
        return classify_failure(output), output.text
    try:
        report.update(parse_smi_xml(output.stdout))
    except SmiError as error:
        return "failed", str(error)
    return ("present", None) if report["cards"] else ("no_device", "nvidia-smi reports no GPU")


def _nvidia_pci_devices(system: System) -> list[dict[str, Any]]:
    """The NVIDIA devices: `pci_bus_id`, PCI `class` and the `driver` that each is bound to. Virtual functions are parts of others."""
    folder, devices = "/sys/bus/pci/devices/", []
    for name in system.listing(folder):
        vendor = (system.read(folder + name + "/vendor") or "").strip()
        if vendor == _NVIDIA_VENDOR and system.link(folder + name + "/physfn") is None:
            driver = (system.link(folder + name + "/driver") or "").rpartition("/")[2] or None
            pci_class = (system.read(folder + name + "/class") or "").strip()
            devices.append({"pci_bus_id": name, "class": pci_class, "driver": driver})
    return devices


def missing_gpus(on_bus: list[dict[str, Any]], gpus: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The GPUs on the PCI bus that the driver does not offer, with `pci_bus_id` and the `driver` that each is bound to."""
    offered = {_bus_key(gpu["pci_bus_id"] or "") for gpu in gpus}
    return [
        {"pci_bus_id": device["pci_bus_id"], "driver": device["driver"]}
        for device in on_bus
        if _bus_key(device["pci_bus_id"]) not in offered
    ]


def _bus_key(pci_bus_id: str) -> tuple[str, str]:
    """A PCI address as sysfs and nvidia-smi both have it: `0000:3b:00.0` is `00000000:3B:00.0`."""
    domain, _colon, rest = pci_bus_id.lower().partition(":")
    return domain.lstrip("0"), rest


def _fabric_manager(system: System) -> dict[str, Any]:
    version = system.run(["nv-fabricmanager", "--version"])
    if version is None:
        return {"installed": False, "active": False, "version": None}
    active = system.run(["systemctl", "is-active", "nvidia-fabricmanager"])
    return {
        "installed": True,
        "active": active is not None and active.rc == 0,
        "version": parse_fabric_manager_version(version.text),
    }
