# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPUs of a host a server may use, and why not the others: the host's class, the operator's choice, and who else has them.

Pure functions over what module host_info reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

Gpu = Mapping[str, Any]  # one of `gpu.cards`
Holders = Mapping[str, str]  # UUID or index of a GPU -> who has it

KNOB = "inference_server_gpus"
CLASSES_WITHOUT_GPU = ("cpu", "simulated")
_LONGEST_NAME = 60  # characters of what nvidia-smi says
_MOST_PROCESSES = 3  # of one GPU, in a message


class Choice(NamedTuple):
    """The GPUs to use, in the driver's order; those left alone, each in words; what is wrong with the GPUs that were named."""

    usable: list[Gpu]
    left: list[str]
    problems: list[Problem]


def choose_gpus(
    gpus: Sequence[Gpu],
    profile: Mapping[str, Any],
    named: Sequence[str] = (),
    *,
    held: Holders | None = None,
    lent: Holders | None = None,
    need: int = 1,
) -> Choice:
    """The GPUs of a host that a server may use.

    `gpus` is `gpu.cards` of module host_info and `profile` the host's: a server gets GPUs of its class alone. `named` are those that
    the operator names, by index or UUID, in any order; empty for all of the class. `held` are the GPUs of other servers of this
    collection, which are never shared. `lent` are those that other programs use: they are left alone where `need` others remain and none
    is named; else they count, and the preflight says what runs there.
    """
    held, fitting = held or {}, {identity(gpu) for gpu in of_class(gpus, profile)}
    chosen, problems = _chosen(gpus, named)
    reasons = {
        identity(gpu): _reason(
            gpu, profile, held, fits=identity(gpu) in fitting, wanted=not named or identity(gpu) in chosen
        )
        for gpu in gpus
    }
    free = {identity(gpu): _holder(gpu, lent or {}) for gpu in gpus if not reasons[identity(gpu)]}
    if not named and sum(not by for by in free.values()) >= need:
        reasons.update(free)
    usable = [gpu for gpu in gpus if not reasons[identity(gpu)]]
    left = [(gpu, reasons[identity(gpu)]) for gpu in gpus if reasons[identity(gpu)]]
    problems += [_wrong(gpu, reason, profile) for gpu, reason in left if identity(gpu) in chosen]
    words = [f"{described(gpu)}: {reason}" for gpu, reason in left]
    if fitting and not usable and not problems:
        problems.append(_none_free(words))
    return Choice(usable, words, problems)


def _none_free(words: Sequence[str]) -> Problem:
    return Problem(
        f"no GPU is free: {'; '.join(words)}",
        "a free GPU",
        "deploy a server that holds some with fewer (inference_server_instances), or remove it: teardown.yml -e inference_server_name=NAME",
    )


def _reason(gpu: Gpu, profile: Mapping[str, Any], held: Holders, *, fits: bool, wanted: bool) -> str:
    """Why a GPU is left alone; empty when it is not."""
    if not fits:
        return _not_of(profile)
    return _holder(gpu, held) or ("" if wanted else f"not named in {KNOB}")


def identity(gpu: Gpu) -> str:
    """What distinguishes a GPU: its UUID."""
    return str(gpu["uuid"])


def described(gpu: Gpu) -> str:
    """A GPU as messages name it: `GPU 0 (NVIDIA RTX PRO 2000, 16 GiB)`."""
    memory, index = gpu.get("memory_total_mib"), gpu.get("index")
    name = one_line(str(gpu.get("name") or "without a name"), _LONGEST_NAME)
    size = f", {round(memory / 1024)} GiB" if memory else ""
    return f"GPU {identity(gpu) if index is None else index} ({name}{size})"


def of_class(gpus: Sequence[Gpu], profile: Mapping[str, Any]) -> list[Gpu]:
    """The GPUs that a profile means; all of them where its class needs none, or nothing says which are meant.

    A profile without a `name_pattern` means the GPUs that have its `name`, or else its `gpu_class`, in theirs, where there are such.
    """
    if profile.get("gpu_class") in CLASSES_WITHOUT_GPU:
        return list(gpus)
    if profile.get("name_pattern"):
        return [gpu for gpu in gpus if re.search(profile["name_pattern"], gpu.get("name") or "", re.IGNORECASE)]
    for word in (profile.get("name"), profile.get("gpu_class")):
        found = [gpu for gpu in gpus if word and str(word).lower() in (gpu.get("name") or "").lower()]
        if found:
            return found
    return list(gpus)


def is_own(host: Mapping[str, Any], process: Mapping[str, Any]) -> bool:
    """Whether a process belongs to one of our containers or process servers, as far as the sections of `host` show it."""
    containers = {item["id"] for item in (host.get("docker") or {}).get("containers", []) if item["labels"]}
    sessions = {item["pid"] for item in host.get("processes") or [] if item["pid"]}
    return process["container_id"] in containers or (process["session_id"] or -1) in sessions


def strangers(host: Mapping[str, Any], gpu: Gpu) -> list[str]:
    """The programs on a GPU that are not of this collection, in words; none where one of ours runs on it too, or nothing does."""
    processes = gpu.get("compute_processes") or []
    if any(is_own(host, process) for process in processes):
        return []
    return [stranger(host, process) for process in processes]


def stranger(host: Mapping[str, Any], process: Mapping[str, Any]) -> str:
    """A process of others in words: `python (pid 7 in container web, 10 MiB)`."""
    names = {item["id"]: item["name"] for item in (host.get("docker") or {}).get("containers", [])}
    container = process["container_id"]
    where = f" in container {names.get(container, container[:12])}" if container else ""
    return f"{process['name']} (pid {process['pid']}{where}, {process['memory_used_mib']} MiB)"


def lent_gpus(host: Mapping[str, Any], own: Collection[str] = ()) -> dict[str, str]:
    """The GPUs that programs of others use and none of ours, by UUID, with who does. `own` are those of the last deployment."""
    users = {identity(gpu): strangers(host, gpu) for gpu in host["gpu"]["cards"]}
    return {
        uuid: "used by " + "; ".join(names[:_MOST_PROCESSES]) + (" and others" if names[_MOST_PROCESSES:] else "")
        for uuid, names in users.items()
        if names and uuid not in own
    }


def _holder(gpu: Gpu, holders: Holders) -> str:
    """Who has a GPU; empty for one that is free."""
    return holders.get(identity(gpu)) or holders.get(str(gpu.get("index")), "")


def _not_of(profile: Mapping[str, Any]) -> str:
    return f"not of class {profile.get('gpu_class')}"


def _chosen(gpus: Sequence[Gpu], named: Sequence[str]) -> tuple[set[str], list[Problem]]:
    """The UUIDs of the GPUs that were named, and what is wrong with names: unknown, or twice the same GPU."""
    keys = {str(gpu.get("index")): identity(gpu) for gpu in gpus} | {
        identity(gpu).lower(): identity(gpu) for gpu in gpus
    }
    chosen, unknown, problems = set(), [], []
    for name in names_in(named):
        found = keys.get(name.lower())
        if found is None:
            unknown.append(name)
        elif found in chosen:
            problems.append(Problem(f"{KNOB} names {_one(gpus, found)} twice", "each GPU once", f"leave out {name}"))
        else:
            chosen.add(found)
    return chosen, [*([_unknown(unknown, gpus)] if unknown else []), *problems]


def names_in(named: Sequence[str]) -> list[str]:
    """The single names of a list whose items may hold several, as in `0,2`."""
    return [name.strip() for item in named for name in str(item).split(",") if name.strip()]


def _one(gpus: Sequence[Gpu], uuid: str) -> str:
    return next(described(gpu) for gpu in gpus if identity(gpu) == uuid)


def _unknown(names: Sequence[str], gpus: Sequence[Gpu]) -> Problem:
    found = f"{KNOB} names {one_line(', '.join(names), _LONGEST_NAME)}, which the host has not"
    if any(name.upper().startswith("MIG-") for name in names):
        return Problem(f"{found}: a part of a GPU cannot be named", "whole GPUs", "name the GPU that it is a part of")
    present = ", ".join(f"{described(gpu)} {identity(gpu)}" for gpu in gpus) or "no GPU at all"
    return Problem(found, f"indices or UUIDs out of: {present}", f"correct {KNOB} of this host")


def _wrong(gpu: Gpu, reason: str, profile: Mapping[str, Any]) -> Problem:
    """A GPU that was named and cannot be used."""
    found = f"{KNOB} names {described(gpu)}, and it is {reason}"
    if reason != _not_of(profile):
        return Problem(found, "GPUs that are free", "name other GPUs, or stop what holds it")
    name = one_line(str(gpu.get("name") or "NAME OF THE GPU"), _LONGEST_NAME)
    return Problem(
        found,
        "GPUs of one class",
        f"name GPUs of the host's class; or to serve on this one set for this host alone, in the inventory, "
        f"gpu_profile: {{gpu_class: CLASS, name: {name}}}",
    )
