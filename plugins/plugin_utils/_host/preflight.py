# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight's verdict on a host: what M(llmfleet.serving.host_info) read, held against what the deployment needs.

PRIVATE to the collection. Pure. Each C(_check_*) looks at one thing and gives one check; none of them stops the others.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, Mapping

from .._version import at_least
from .._version_floors import DRIVER_BY_CUDA, DRIVER_FOR_BLACKWELL
from .image_cuda import image_cuda

Host = Mapping[str, Any]
Want = Mapping[str, Any]
Check = Dict[str, Any]

SUPPORTED_OS = {
    ("ubuntu", "22.04"),
    ("ubuntu", "24.04"),
    ("debian", "12"),
    ("debian", "13"),
    ("rhel", "9"),
    ("rocky", "9"),
    ("almalinux", "9"),
}

# The name of the image that a container was deployed with; the engine itself knows it by its ID alone.
IMAGE_LABEL = "org.llmfleet.image"

# What does not keep a server from running, but should be known.
WARNINGS = frozenset({"persistence_mode", "power_limit", "row_remap", "reboot_required", "clock_skew", "mig_pending"})


def evaluate(host: Host, want: Want, severities: Mapping[str, str]) -> list[Check]:
    """Every check of a host, in the order of C(CHECKS).

    :param host: the return of M(llmfleet.serving.host_info), all sections.
    :param want: C(gpu) (C(required), C(count), C(mig), C(profile), C(profile_problem)), C(image), C(ports), C(disk_free_gib),
        C(disk_free_deployed_gib), C(memory_gib), C(offline), C(clock_skew_s).
    :param severities: C(error), C(warning) or C(ignore) by check, over the checks' own.
    :returns: C(name), C(status) (C(pass), C(fail), C(skip)), C(severity), C(found), C(needed) and C(remedy); the remedy
        only with a failure, C(needed) empty with a skip.
    """
    checks = []
    for name, check in CHECKS.items():
        severity = severities.get(name, "warning" if name in WARNINGS else "error")
        verdict = check(host, want) if severity != "ignore" else _skip("switched off")
        checks.append({"name": name, "severity": severity, **verdict})
    return checks


def failures(checks: Iterable[Check], severity: str) -> list[Check]:
    """The failed checks of a severity."""
    return [check for check in checks if check["status"] == "fail" and check["severity"] == severity]


def message(hostname: str, checks: list[Check]) -> str:
    """All that is wrong with a host, in one text: found, needed, remedy."""
    errors = failures(checks, "error")
    lines = [f"{hostname}: {len(errors)} of {len(checks)} checks failed. Nothing was changed."]
    for check in errors:
        lines += [
            f"- {check['name']}: found {check['found']}; needed {check['needed']}.",
            f"  Remedy: {check['remedy']}",
        ]
    return "\n".join(lines)


def verdict_of(checks: list[Check]) -> str:
    """V(failed), V(warned) or V(ok)."""
    if failures(checks, "error"):
        return "failed"
    return "warned" if failures(checks, "warning") else "ok"


def summary(host: Host, checks: list[Check]) -> dict[str, Any]:
    """What is kept of a preflight as a fact: the verdict, what is in the host, and the checks that did not pass."""
    gpu = host["gpu"]
    return {
        "schema_version": 1,
        "verdict": verdict_of(checks),
        "failed": [check["name"] for check in failures(checks, "error")],
        "warned": [check["name"] for check in failures(checks, "warning")],
        "checks": [check for check in checks if check["status"] == "fail"],
        "gpu": {
            "state": gpu["state"],
            "count": gpu["count"],
            "name": gpu["cards"][0]["name"] if gpu["cards"] else None,
            "driver_version": gpu["driver_version"],
        },
        "docker_version": host["docker"]["version"],
        "toolkit_version": host["toolkit"]["version"],
    }


def table(rows: Iterable[tuple[str, Mapping[str, Any] | None]]) -> str:
    """The fleet's summaries in one table, hosts with failures first. A host without a summary was not reached."""
    heads = ("host", "verdict", "GPU", "driver", "engine", "toolkit", "failed (warned)")
    cells = sorted((_row(*row) for row in rows), key=lambda row: (_ORDER.index(row[1]), row[0]))
    widths = [max(len(row[column]) for row in [heads, *cells]) for column in range(len(heads))]
    ruled = [heads, tuple("-" * width for width in widths), *cells]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in ruled)


_ORDER = ["unreached", "failed", "warned", "ok"]


def _row(name: str, found: Mapping[str, Any] | None) -> tuple[str, ...]:
    if found is None:
        return (name, "unreached", "", "", "", "", "")
    gpu = found["gpu"]
    return (
        name,
        found["verdict"],
        f"{gpu['count']} x {gpu['name']}" if gpu["count"] else gpu["state"],
        gpu["driver_version"] or "-",
        found["docker_version"] or "-",
        found["toolkit_version"] or "-",
        " ".join([*found["failed"], *(f"({warned})" for warned in found["warned"])]),
    )


def _passed(found: object, needed: object) -> Check:
    return {"status": "pass", "found": str(found), "needed": str(needed), "remedy": ""}


def _failed(found: object, needed: object, remedy: str) -> Check:
    return {"status": "fail", "found": str(found), "needed": str(needed), "remedy": remedy}


def _skip(reason: str) -> Check:
    return {"status": "skip", "found": reason, "needed": "", "remedy": ""}


def _judge(good: bool, found: object, needed: object, remedy: str) -> Check:
    return _passed(found, needed) if good else _failed(found, needed, remedy)


# --- the host ---------------------------------------------------------------------------------------------------------


def _check_os(host: Host, want: Want) -> Check:
    system = host["os"]
    if not want["gpu"]["required"]:
        return _skip(f"any system will do without a GPU ({system['pretty_name']})")
    major = (system["version"] or "").partition(".")[0] if system["family"] == "rhel" else system["version"]
    return _judge(
        (system["distribution"], major) in SUPPORTED_OS,
        system["pretty_name"],
        "Ubuntu 22.04 or 24.04, Debian 12 or 13, RHEL, Rocky or AlmaLinux 9",
        "install one of these, or set gpu_preflight_severities: {os_supported: warning} and the modes docker_engine_mode and "
        "nvidia_container_toolkit_mode to verify, so that nothing is installed",
    )


def _check_memory(host: Host, want: Want) -> Check:
    total = host["memory"]["total_mib"]
    if total is None:
        return _skip("the system does not say")
    need = want["memory_gib"]
    return _judge(
        total >= need * 1024 * 0.97,  # what the kernel keeps for itself is not in the total
        f"{total / 1024:.1f} GiB",
        f"{need} GiB",
        "take a larger host, or lower gpu_preflight_memory_gib",
    )


def _check_disk(host: Host, want: Want) -> Check:
    disk = host["docker"]["root_disk"]
    if disk["free_mib"] is None:
        return _skip(f"{disk['path']} cannot be measured")
    need = want["disk_free_deployed_gib"] if _is_deployed(host, want) else want["disk_free_gib"]
    return _judge(
        disk["free_mib"] >= need * 1024,
        f"{disk['free_mib'] / 1024:.1f} GiB free for {disk['path']}",
        f"{need} GiB",
        "free space on that file system (docker image prune), move Docker with docker_engine_daemon_options: "
        "{data-root: /larger/disk}, or lower gpu_preflight_disk_free_gib (an image is about 30 GiB, the weights 17 GiB)",
    )


def _is_deployed(host: Host, want: Want) -> bool:
    own = [item for item in host["docker"]["containers"] if item["labels"]]
    return any(not want["image"] or item["labels"].get(IMAGE_LABEL) == want["image"] for item in own)


def _check_ports(host: Host, want: Want) -> Check:
    taken = [text for port in want["ports"] for text in _strangers(host, port)]
    wanted = ", ".join(str(port) for port in want["ports"])
    if not wanted:
        return _skip("no port is wanted")
    return _judge(
        not taken,
        "; ".join(taken) or f"{wanted} free or ours",
        f"port {wanted} free",
        "stop that process or container, or set inference_server_port to another port",
    )


def _strangers(host: Host, port: int) -> list[str]:
    """Who holds a port and is not one of our own servers."""
    publishers = [item for item in host["docker"]["containers"] if port in item["host_ports"]]
    if publishers:
        return [
            f"port {port} taken by container {item['name']} ({item['image']})"
            for item in publishers
            if not item["labels"]
        ]
    state = next((item for item in host["ports"] if item["port"] == port), None)
    if state is None or not state["in_use"]:
        return []
    owners = [owner for owner in state["owners"] if not _is_own(host, owner)]
    if state["owners"] and not owners:
        return []
    seen = {f"process {owner['pid']} ({owner['command']})" for owner in owners if owner["pid"]}
    return [f"port {port} taken by {' and '.join(sorted(seen)) or 'a process that cannot be seen'}"]


def _is_own(host: Host, process: Mapping[str, Any]) -> bool:
    """Whether a process belongs to one of our containers or process servers."""
    containers = {item["id"] for item in host["docker"]["containers"] if item["labels"]}
    sessions = {item["pid"] for item in host["processes"] if item["pid"]}
    return process["container_id"] in containers or (process["session_id"] or -1) in sessions


def _check_daemon_config(host: Host, _want: Want) -> Check:
    config = host["docker"]["daemon_config"]
    return _judge(
        config["error"] is None,
        f"{config['path']} {config['error'] or 'is right'}",
        "a JSON object, or no file",
        f"mend or move away {config['path']}; it was not touched",
    )


def _check_reboot(host: Host, _want: Want) -> Check:
    asked = host["packages"]["reboot_required"]
    return _judge(not asked, "a reboot is asked for" if asked else "none asked for", "none", "reboot when it suits")


def _check_clock(host: Host, want: Want) -> Check:
    skew = host["clock"]["skew_s"]
    if skew is None:
        return _skip("no reference time")
    limit = want["clock_skew_s"]
    return _judge(
        abs(skew) <= limit,
        f"{skew:+.1f} s from the controller",
        f"at most {limit} s",
        "start a time service (systemctl enable --now systemd-timesyncd or chronyd) on the host, or mend the controller's clock",
    )


def _check_hub(host: Host, want: Want) -> Check:
    answer = host["network"]
    if want["offline"]:
        return _skip("offline mode")
    if answer is None:
        return _skip("no address is given")
    return _judge(
        answer["reachable"],
        f"{answer['url']}: {answer['error'] or answer['http_status']}",
        "an answer",
        "open the way (proxy: https_proxy in the host's environment), name a mirror with gpu_preflight_hub_url, or bring the "
        "weights yourself and set gpu_preflight_offline: true",
    )


# --- the GPU ----------------------------------------------------------------------------------------------------------

_GPU_REMEDIES = {
    "absent": "attach a card, take the host out of its GPU group, or set gpu_preflight_gpu_required: false",
    "driver_not_loaded": "install the driver (Ubuntu: ubuntu-drivers install --gpgpu) and reboot; where it is installed, "
    "`dkms status` and `dmesg | grep -i nvrm` say why its module is not loaded for this kernel",
    "driver_library_mismatch": "reboot the host: the driver was upgraded while its old kernel module stays loaded; then hold the "
    "packages (apt-mark hold 'nvidia-*' 'libnvidia-*')",
    "no_device": "`dmesg | grep -i nvrm` says why the driver takes no card; Blackwell needs the open kernel modules",
    "timeout": "reboot the host; `dmesg | grep -i xid` names the card that does not answer",
    "failed": "`nvidia-smi` on the host says more; a card that is lost needs a reboot",
}


def _with_cards(check: Callable[[Host, Want, list], Check]) -> Callable[[Host, Want], Check]:
    """A check that makes sense only where cards are asked for and found."""

    def guarded(host: Host, want: Want) -> Check:
        cards = host["gpu"]["cards"]
        if not want["gpu"]["required"]:
            return _skip("no GPU is asked for")
        return check(host, want, cards) if cards else _skip("no usable GPU")

    return guarded


def _check_gpu_present(host: Host, want: Want) -> Check:
    gpu, need = host["gpu"], want["gpu"]["count"]
    if not want["gpu"]["required"]:
        return _skip("no GPU is asked for")
    if gpu["state"] != "present":
        said = " ".join((gpu["message"] or "no nvidia-smi and no NVIDIA card on the PCI bus").split())
        return _failed(said, f"{need} GPU", _GPU_REMEDIES[gpu["state"]])
    found = f"{gpu['count']} x {gpu['cards'][0]['name']}"
    lost = gpu["pci_count"] - gpu["count"]
    if lost > 0:
        return _failed(
            f"{found}, and {lost} more on the PCI bus that the driver does not offer",
            "every card",
            _GPU_REMEDIES["no_device"],
        )
    return _judge(
        gpu["count"] >= need, found, f"{need} GPU", "take a host with more cards, or lower gpu_preflight_gpu_count"
    )


def _check_gpu_match(host: Host, want: Want, cards: list) -> Check:
    profile, problem = want["gpu"]["profile"], want["gpu"].get("profile_problem")
    if problem:
        return _failed(problem["found"], problem["expected"], problem["remedy"])
    pattern = profile.get("name_pattern")
    names = sorted({card["name"] or "" for card in cards})
    if not pattern:
        return _skip("the host's group names no card")
    right = all(re.search(pattern, name, re.IGNORECASE) for name in names)
    return _judge(
        right,
        ", ".join(names),
        f"{profile.get('name') or pattern} (group {profile.get('gpu_class')})",
        "move the host to the inventory group of its GPU; where the inventory sets gpu_profile, correct its name_pattern",
    )


def _check_gpu_healthy(_host: Host, _want: Want, cards: list) -> Check:
    ills = []
    for card in cards:
        if card["recovery_action"]:
            ills.append(f"card {card['index']} asks for {card['recovery_action']}")
        if card["ecc_uncorrectable_volatile"]:
            ills.append(f"card {card['index']} had {card['ecc_uncorrectable_volatile']} uncorrectable memory errors")
        if card["row_remap_failure"]:
            ills.append(f"card {card['index']} could not replace a memory row")
    return _judge(
        not ills,
        "; ".join(ills) or "no error",
        "no error",
        "drain the host and reset the card (nvidia-smi --gpu-reset) or reboot; have a card exchanged whose rows cannot be replaced",
    )


def _check_row_remap(_host: Host, _want: Want, cards: list) -> Check:
    pending = [str(card["index"]) for card in cards if card["row_remap_pending"]]
    return _judge(
        not pending,
        f"card {', '.join(pending)} waits to replace a memory row" if pending else "none waits",
        "no memory row that waits to be replaced",
        "reset the card (nvidia-smi --gpu-reset) or reboot when it suits",
    )


def _check_driver(host: Host, want: Want, cards: list) -> Check:
    version = host["gpu"]["driver_version"]
    image = image_cuda(want["image"]) if want["image"] else None
    major = image.major if image else 12
    floor = DRIVER_BY_CUDA.get(major, DRIVER_BY_CUDA[13])
    reason = f"for {want['image']} (CUDA {major})" if image else f"for any image (CUDA {major})"
    if any(card["architecture"] == "Blackwell" for card in cards) and not at_least(floor, DRIVER_FOR_BLACKWELL):
        floor, reason = DRIVER_FOR_BLACKWELL, "for Blackwell"
    remedy = f"install driver {floor.partition('.')[0]} or newer and reboot"
    if image and image.older and at_least(version, DRIVER_BY_CUDA[12]):
        remedy += f", or set inference_server_image: {image.older}, which this driver runs"
    return _judge(at_least(version, floor), f"driver {version}", f"driver {floor} or newer {reason}", remedy)


def _check_kernel_module(host: Host, _want: Want, cards: list) -> Check:
    module, library = host["gpu"]["kernel_module"], host["gpu"]["library_version"]
    if module["version"] is None:
        return _skip("the loaded module's version is not visible")
    if module["version"] != library:
        return _failed(
            f"module {module['version']}, library {library}", "equal versions", _GPU_REMEDIES["driver_library_mismatch"]
        )
    blackwell = any(card["architecture"] == "Blackwell" for card in cards)
    return _judge(
        not (blackwell and module["flavour"] == "proprietary"),
        f"{module['flavour'] or 'unknown'} module {module['version']}",
        "the open module for Blackwell" if blackwell else "the library's version",
        "install the driver's open flavour (nvidia-driver-NNN-server-open) and reboot",
    )


def _check_mig(_host: Host, want: Want, cards: list) -> Check:
    split = [str(card["index"]) for card in cards if card["mig_mode"]]
    if want["gpu"]["mig"]:
        return _skip("MIG is allowed")
    return _judge(
        not split,
        f"MIG on card {', '.join(split)}" if split else "MIG off",
        "whole cards",
        "nvidia-smi -mig 0 (with the card idle), or set gpu_preflight_mig_allowed: true",
    )


def _check_mig_pending(_host: Host, _want: Want, cards: list) -> Check:
    waiting = [str(card["index"]) for card in cards if card["mig_mode"] != card["mig_mode_pending"]]
    return _judge(
        not waiting,
        f"a change of MIG waits on card {', '.join(waiting)}" if waiting else "none waits",
        "no change that waits",
        "reset the card (nvidia-smi --gpu-reset) or reboot",
    )


def _check_processes(host: Host, _want: Want, cards: list) -> Check:
    names = {item["id"]: item["name"] for item in host["docker"]["containers"]}
    strangers = [
        f"{process['name']} (pid {process['pid']}"
        + (
            f" in container {names.get(process['container_id'], process['container_id'][:12])}"
            if process["container_id"]
            else ""
        )
        + f", {process['memory_used_mib']} MiB on card {card['index']})"
        for card in cards
        for process in card["compute_processes"]
        if not _is_own(host, process)
    ]
    return _judge(
        not strangers,
        "; ".join(strangers) or "none, or our own",
        "no other process on the cards",
        "stop it, or give this host to one of the two",
    )


def _check_fabric(host: Host, _want: Want, cards: list) -> Check:
    gpu = host["gpu"]
    states = {card["fabric_state"] for card in cards} - {None}
    if not gpu["nvswitch_count"] and not states:
        return _skip("no NVSwitch")
    manager = gpu["fabric_manager"]
    version = gpu["driver_version"]
    remedy = f"install nvidia-fabricmanager in exactly the driver's version ({version}) and systemctl enable --now nvidia-fabricmanager"
    if manager["installed"] and manager["version"] and manager["version"] != version:
        return _failed(f"fabric manager {manager['version']}", f"fabric manager {version}, as the driver", remedy)
    joined = states <= {"Completed"} and (bool(states) or manager["active"])
    found = f"fabric {', '.join(sorted(states)) or 'state unknown'}, manager {'active' if manager['active'] else 'not active'}"
    return _judge(joined, found, "the NVLink fabric completed", remedy)


def _check_persistence(_host: Host, _want: Want, cards: list) -> Check:
    off = [str(card["index"]) for card in cards if card["persistence_mode"] is False]
    return _judge(
        not off,
        f"off on card {', '.join(off)}" if off else "on",
        "persistence mode on",
        "systemctl enable --now nvidia-persistenced; without it the first call after an idle time takes seconds",
    )


def _check_power(_host: Host, _want: Want, cards: list) -> Check:
    low = [
        f"card {card['index']} limited to {card['power_limit_w']:g} of {card['power_limit_default_w']:g} W"
        for card in cards
        if card["power_limit_w"]
        and card["power_limit_default_w"]
        and card["power_limit_w"] < card["power_limit_default_w"]
    ]
    return _judge(
        not low,
        "; ".join(low) or "as built",
        "the power limit that the card was built for",
        "nvidia-smi -pl WATTS; a limited card gives figures that do not compare",
    )


CHECKS: dict[str, Callable[[Host, Want], Check]] = {
    "os_supported": _check_os,
    "memory": _check_memory,
    "disk_space": _check_disk,
    "port_free": _check_ports,
    "daemon_config": _check_daemon_config,
    "hub_reachable": _check_hub,
    "clock_skew": _check_clock,
    "reboot_required": _check_reboot,
    "gpu_present": _check_gpu_present,
    "gpu_matches_profile": _with_cards(_check_gpu_match),
    "gpu_healthy": _with_cards(_check_gpu_healthy),
    "driver_version": _with_cards(_check_driver),
    "driver_module": _with_cards(_check_kernel_module),
    "mig": _with_cards(_check_mig),
    "mig_pending": _with_cards(_check_mig_pending),
    "compute_processes": _with_cards(_check_processes),
    "fabric_manager": _with_cards(_check_fabric),
    "row_remap": _with_cards(_check_row_remap),
    "persistence_mode": _with_cards(_check_persistence),
    "power_limit": _with_cards(_check_power),
}
