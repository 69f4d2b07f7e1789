# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight's checks of a host's GPUs and their driver: each looks at one thing and gives one verdict. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Callable

from .._gpu_access import (
    cdi_is_on,
    docker_row,
    has_cdi,
    loses_gpus,
    none_readable,
    settings_for_cdi,
    unreadable,
)
from .._gpu_choice import Choice, choose_gpus, is_own, lent_gpus, stranger
from .._ownership import gpu_holders
from .._version import at_least, version_key
from .._version_floors import DRIVER_BY_CUDA, DRIVER_FOR_BLACKWELL
from .checks import Check, Host, Verdict, Want, failed, judge, passed, skip
from .image_cuda import image_cuda

_GPU_REMEDIES = {
    "absent": "attach a GPU, take the host out of its GPU group, or set gpu_preflight_gpu_required: false",
    "driver_not_loaded": "install the driver (Ubuntu: ubuntu-drivers install --gpgpu) and reboot; where it is installed, "
    "`dkms status` and `dmesg | grep -i nvrm` say why its module is not loaded for this kernel",
    "driver_library_mismatch": "reboot the host: the driver was upgraded while its old kernel module stays loaded; then hold the "
    "packages (apt-mark hold 'nvidia-*' 'libnvidia-*')",
    "no_device": "`dmesg | grep -i nvrm` says why the driver takes no GPU; Blackwell needs the open kernel modules",
    "timeout": "reboot the host; `dmesg | grep -i xid` names the GPU that does not answer",
    "failed": "`nvidia-smi` on the host says more; a GPU that is lost needs a reboot",
}
_LOST = (
    "`dmesg | grep -i nvrm` says why the driver takes no GPU (Blackwell needs the open kernel modules); one that fell off the bus needs a "
    "reboot; one for a virtual machine is to be bound to vfio-pci; to serve on the others meanwhile set "
    "gpu_preflight_severities: {gpu_present: warning}"
)
_PASSING_DRIVERS = ("pci-stub", "xen-pciback", "pciback")


def _with_gpus(check: Callable[[Host, Want, list], Verdict]) -> Check:
    """A check that makes sense only where GPUs are asked for and found."""

    def guarded(host: Host, want: Want) -> Verdict:
        gpus = host["gpu"]["cards"]
        if not want["gpu"]["required"]:
            return skip("no GPU is asked for")
        return check(host, want, gpus) if gpus else skip("no usable GPU")

    return guarded


def choice_of(host: Host, want: Want) -> Choice:
    """The GPUs that the server may use, and those left alone. Where no GPU is asked for, all of them."""
    gpu = want["gpu"]
    if not gpu["required"]:
        return Choice(list(host["gpu"]["cards"]), [], [])
    named, need = gpu.get("named") or (), max(1, gpu["count"])
    held = gpu_holders(host, want["server"]) if want.get("server") else {}
    return choose_gpus(host["gpu"]["cards"], gpu["profile"], named, held=held, lent=lent_gpus(host), need=need)


def with_usable(host: Host, choice: Choice) -> Host:
    """The host as the checks see it: with the usable GPUs alone, or with all where none is, so that they say why."""
    left = choice.left if choice.usable else []
    return {
        **host,
        "gpu": {**host["gpu"], "cards": choice.usable or host["gpu"]["cards"], "left": left, "choice": choice},
    }


def _check_gpu_present(host: Host, want: Want) -> Verdict:
    gpu, need = host["gpu"], want["gpu"]["count"]
    missing = gpu.get("missing") or []
    if not want["gpu"]["required"]:
        return skip("no GPU is asked for")
    if gpu["state"] != "present":
        return _absent(gpu, need, missing)
    lost = [each for each in missing if not is_lent(each)]
    found = "; ".join([_counted(gpu["cards"]), *_lent_words(missing)])
    if lost:
        return failed(
            f"{found}, and on the PCI bus {_on_bus(lost)}, which the driver does not offer", "every GPU", _LOST
        )
    remedy = "take a host with more GPUs, or lower gpu_preflight_gpu_count"
    return judge(len(gpu["cards"]) >= need, found, f"{need} GPU", remedy)


def _absent(gpu: Mapping[str, Any], need: int, missing: list) -> Verdict:
    """No GPU that the driver offers: the host's GPUs are all lent, or something is wrong."""
    if missing and all(map(is_lent, missing)):
        remedy = "give one back to the NVIDIA driver (driverctl unset-override ADDRESS), or take the host out of its GPU group"
        return failed(f"no GPU but {_on_bus(missing)}, lent to virtual machines", f"{need} GPU", remedy)
    message = " ".join((gpu["message"] or "no nvidia-smi and no NVIDIA GPU on the PCI bus").split())
    return failed(message, f"{need} GPU", _GPU_REMEDIES[gpu["state"]])


def _counted(gpus: list) -> str:
    names = Counter(str(gpu["name"]) for gpu in gpus)
    return ", ".join(f"{count} x {name}" for name, count in names.items())


def _lent_words(missing: list) -> list[str]:
    lent = [each for each in missing if is_lent(each)]
    return [f"{_on_bus(lent)} lent to virtual machines"] if lent else []


def _on_bus(devices: list) -> str:
    return ", ".join(f"{each['pci_bus_id']} ({each['driver'] or 'no driver'})" for each in devices)


def is_lent(device: Mapping[str, Any]) -> bool:
    """Whether a GPU that the driver does not offer was given to a virtual machine: bound to a driver that passes it on.

    One that is bound to no driver counts as lost: that is also how a GPU ends that the NVIDIA driver could not start.
    """
    driver = device["driver"] or ""
    return "vfio" in driver or driver in _PASSING_DRIVERS


def _check_gpu_choice(host: Host, want: Want) -> Verdict:
    if not want["gpu"]["required"]:
        return skip("no GPU is asked for")
    gpu = host["gpu"]
    problems = gpu["choice"].problems if "choice" in gpu else []
    if problems:
        return failed(*("; ".join(dict.fromkeys(filter(None, texts))) for texts in zip(*problems)))
    return passed("; ".join([_counted(gpu["cards"]), *gpu.get("left", [])]), "GPUs of the host's class that are free")


def _check_gpu_match(_host: Host, want: Want, gpus: list) -> Verdict:
    profile, problem = want["gpu"]["profile"], want["gpu"].get("profile_problem")
    if problem:
        return failed(problem["found"], problem["expected"], problem["remedy"])
    pattern = profile.get("name_pattern")
    if not pattern:
        return skip("the host's group names no GPU")
    return passed(_counted(gpus), f"{profile.get('name') or pattern} (group {profile.get('gpu_class')})")


def _check_gpu_memory(_host: Host, want: Want, gpus: list) -> Verdict:
    problem = want["gpu"].get("model_problem")
    if problem:
        return failed(problem["found"], problem["expected"], problem["remedy"])
    return judge(True, f"{len(gpus)} GPU(s)", "memory for the model's weights", "")


def _check_gpu_healthy(_host: Host, _want: Want, gpus: list) -> Verdict:
    ills = []
    for gpu in gpus:
        if gpu.get("unreadable"):
            ills.append(f"GPU {gpu['index']} does not say its {', '.join(gpu['unreadable'])}")
        if gpu["recovery_action"]:
            ills.append(f"GPU {gpu['index']} asks for {gpu['recovery_action']}")
        if gpu["ecc_uncorrectable_volatile"]:
            ills.append(f"GPU {gpu['index']} had {gpu['ecc_uncorrectable_volatile']} uncorrectable memory errors")
        if gpu["row_remap_failure"]:
            ills.append(f"GPU {gpu['index']} could not replace a memory row")
    return judge(
        not ills,
        "; ".join(ills) or "no error",
        "no error",
        "drain the host and reset the GPU (nvidia-smi --gpu-reset) or reboot; have a GPU exchanged whose rows cannot be replaced",
    )


def _check_row_remap(_host: Host, _want: Want, gpus: list) -> Verdict:
    pending = [str(gpu["index"]) for gpu in gpus if gpu["row_remap_pending"]]
    return judge(
        not pending,
        f"GPU {', '.join(pending)} waits to replace a memory row" if pending else "none waits",
        "no memory row that waits to be replaced",
        "reset the GPU (nvidia-smi --gpu-reset) or reboot when it suits",
    )


def _check_driver(host: Host, want: Want, gpus: list) -> Verdict:
    version = host["gpu"]["driver_version"]
    image = image_cuda(want["image"]) if want["image"] else None
    major = image.major if image else 12
    floor = DRIVER_BY_CUDA.get(major, DRIVER_BY_CUDA[13])
    reason = f"for {want['image']} (CUDA {major})" if image else f"for any image (CUDA {major})"
    if any(gpu["architecture"] == "Blackwell" for gpu in gpus) and not at_least(floor, DRIVER_FOR_BLACKWELL):
        floor, reason = DRIVER_FOR_BLACKWELL, "for Blackwell"
    remedy = f"install driver {floor.partition('.')[0]} or newer and reboot"
    if image and image.older and at_least(version, DRIVER_BY_CUDA[12]):
        remedy += f", or set inference_server_image: {image.older}, which this driver runs"
    return judge(at_least(version, floor), f"driver {version}", f"driver {floor} or newer {reason}", remedy)


def _check_kernel_module(host: Host, _want: Want, gpus: list) -> Verdict:
    module, library = host["gpu"]["kernel_module"], host["gpu"]["library_version"]
    if module["version"] is None:
        return skip("the loaded module's version is not visible")
    if module["version"] != library:
        return failed(
            f"module {module['version']}, library {library}", "equal versions", _GPU_REMEDIES["driver_library_mismatch"]
        )
    blackwell = any(gpu["architecture"] == "Blackwell" for gpu in gpus)
    return judge(
        not (blackwell and module["flavour"] == "proprietary"),
        f"{module['flavour'] or 'unknown'} module {module['version']}",
        "the open module for Blackwell" if blackwell else "the library's version",
        "install the driver's open flavour (nvidia-driver-NNN-server-open) and reboot",
    )


def _check_mig(_host: Host, want: Want, gpus: list) -> Verdict:
    split = [str(gpu["index"]) for gpu in gpus if gpu["mig_mode"]]
    if want["gpu"]["mig"]:
        return skip("MIG is allowed")
    return judge(
        not split,
        f"MIG on GPU {', '.join(split)}" if split else "MIG off",
        "whole GPUs",
        "nvidia-smi -mig 0 (with the GPU idle), or set gpu_preflight_mig_allowed: true",
    )


def _check_mig_pending(_host: Host, _want: Want, gpus: list) -> Verdict:
    waiting = [str(gpu["index"]) for gpu in gpus if gpu["mig_mode"] != gpu["mig_mode_pending"]]
    return judge(
        not waiting,
        f"a change of MIG waits on GPU {', '.join(waiting)}" if waiting else "none waits",
        "no change that waits",
        "reset the GPU (nvidia-smi --gpu-reset) or reboot",
    )


def _check_processes(host: Host, _want: Want, gpus: list) -> Verdict:
    strangers = [
        f"{stranger(host, process)} on GPU {gpu['index']}"
        for gpu in gpus
        for process in gpu["compute_processes"]
        if not is_own(host, process)
    ]
    return judge(
        not strangers,
        "; ".join(strangers) or "none, or our own",
        "no other process on the GPUs",
        "stop it, or give this host to one of the two",
    )


def _check_fabric(host: Host, _want: Want, gpus: list) -> Verdict:
    section = host["gpu"]
    states = {gpu["fabric_state"] for gpu in gpus} - {None}
    if not section["nvswitch_count"] and not states:
        return skip("no NVSwitch")
    manager = section["fabric_manager"]
    version = section["driver_version"]
    remedy = f"install nvidia-fabricmanager in exactly the driver's version ({version}) and systemctl enable --now nvidia-fabricmanager"
    if manager["installed"] and manager["version"] and manager["version"] != version:
        return failed(f"fabric manager {manager['version']}", f"fabric manager {version}, as the driver", remedy)
    ills = {gpu.get("fabric_status") for gpu in gpus} - {None, "Success"}
    joined = states <= {"Completed"} and not ills and (bool(states) or manager["active"])
    words = ", ".join(sorted(states)) or "state unknown"
    status = f" with status {', '.join(sorted(ills))}" if ills else ""
    found = f"fabric {words}{status}, manager {'active' if manager['active'] else 'not active'}"
    return judge(joined, found, "the NVLink fabric completed", remedy)


def _check_persistence(_host: Host, _want: Want, gpus: list) -> Verdict:
    off = [str(gpu["index"]) for gpu in gpus if gpu["persistence_mode"] is False]
    return judge(
        not off,
        f"off on GPU {', '.join(off)}" if off else "on",
        "persistence mode on",
        "systemctl enable --now nvidia-persistenced; without it the first call after an idle time takes seconds",
    )


def _check_power(_host: Host, _want: Want, gpus: list) -> Verdict:
    low = [
        f"GPU {gpu['index']} limited to {gpu['power_limit_w']:g} of {gpu['power_limit_default_w']:g} W"
        for gpu in gpus
        if gpu["power_limit_w"] and gpu["power_limit_default_w"] and gpu["power_limit_w"] < gpu["power_limit_default_w"]
    ]
    return judge(
        not low,
        "; ".join(low) or "as built",
        "the power limit that the GPU was built for",
        "nvidia-smi -pl WATTS; a limited GPU gives figures that do not compare",
    )


def _check_cdi(host: Host, _want: Want, _gpus: list) -> Verdict:
    docker, toolkit = host["docker"], host["toolkit"]
    specs, version = toolkit["cdi_specs"], docker["version"]
    if not specs or not cdi_is_on(docker):
        return skip("Docker reads no CDI specification" if specs else "no CDI specification")
    unread, newest = unreadable(version, toolkit), docker_row(version).reads
    if not none_readable(version, toolkit):
        return passed(f"{_specs(specs)}, Docker {version} reads up to {newest}", "one that Docker reads")
    settings = settings_for_cdi(version, max((spec["cdi_version"] for spec in unread), key=version_key))
    return failed(
        f"{_specs(unread)}, and Docker {version} reads up to {newest}",
        f"a specification of version {newest} or lower",
        f"{'set ' + ' or '.join(settings) if settings else 'write it in a lower version'}; else GPUs are given by --gpus",
    )


def _specs(specs: list) -> str:
    return ", ".join(f"{spec['path']} has version {spec['cdi_version'] or 'unknown'}" for spec in specs)


def _check_reload(host: Host, want: Want, gpus: list) -> Verdict:
    docker, toolkit = host["docker"], host["toolkit"]
    if docker["version"] is None or toolkit["version"] is None:
        return skip("no Docker, or no toolkit")
    by_cdi = want["gpu"].get("access") != "runtime" and has_cdi(docker, toolkit, [gpu["uuid"] for gpu in gpus])
    reason = loses_gpus(docker, toolkit, by_cdi)
    return judge(
        reason is None,
        reason or f"{'CDI' if by_cdi else '--gpus'}, cgroup driver {docker['cgroup_driver'] or 'unknown'}",
        "GPUs that containers keep through `systemctl daemon-reload`",
        "use CDI (nvidia_container_toolkit_access: auto, Docker 25.0 and toolkit 1.18 or newer), upgrade runc to 1.1.7, or set "
        "docker_engine_daemon_options: {exec-opts: [native.cgroupdriver=cgroupfs]}; a container that has lost its GPUs needs a restart",
    )


GPU_CHECKS: dict[str, Check] = {
    "gpu_present": _check_gpu_present,
    "gpu_choice": _check_gpu_choice,
    "gpu_matches_profile": _with_gpus(_check_gpu_match),
    "gpu_memory": _with_gpus(_check_gpu_memory),
    "gpu_healthy": _with_gpus(_check_gpu_healthy),
    "driver_version": _with_gpus(_check_driver),
    "driver_module": _with_gpus(_check_kernel_module),
    "mig": _with_gpus(_check_mig),
    "mig_pending": _with_gpus(_check_mig_pending),
    "compute_processes": _with_gpus(_check_processes),
    "fabric_manager": _with_gpus(_check_fabric),
    "row_remap": _with_gpus(_check_row_remap),
    "persistence_mode": _with_gpus(_check_persistence),
    "power_limit": _with_gpus(_check_power),
    "cdi_specification": _with_gpus(_check_cdi),
    "daemon_reload": _with_gpus(_check_reload),
}
