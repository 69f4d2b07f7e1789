# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused of the operator's choices, each as one sentence with its remedy. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.ports import taken_port

from .. import _proxies
from .flags import flag_problems, parse_args

RUNTIMES = ("docker", "process")

RELEASES = ("stable", "published")


def problems(want: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with the operator's choices; empty when all is well.

    `want` holds the role's knobs without their prefix (`backend`, `model`, `port`, ...).
    """
    faults = [*_choice_problems(want), *_number_problems(want)]
    if not want["model"] and want["backend"] != "simulator":
        faults.append(
            Problem(
                "inference_server_model is empty",
                remedy="set it to a hub name such as LiquidAI/LFM2.5-8B-A1B or to a directory",
            )
        )
    if not want["served_model_name"]:
        faults.append(
            Problem(
                "inference_server_served_model_name is empty", remedy="set it to the name that clients will ask for"
            )
        )
    if want["backend"] != "simulator" and want["runtime"] == "process" and want["api_key_file"]:
        faults.append(
            Problem(
                "inference_server_api_key_file is set, and with runtime process the engine would need the key in argv or "
                "environment, where others can read it",
                remedy="use runtime docker",
            )
        )
    return [*faults, *_runtime_problems(want), *_proxies.problems("inference_server_proxy", want.get("proxy") or {})]


def _runtime_problems(want: Mapping[str, Any]) -> list[Problem]:
    """The engine cannot run as what the operator wants."""
    runtimes = ENGINES[want["backend"]].runtimes if want["backend"] in ENGINES else RUNTIMES
    if want["runtime"] in runtimes or want["runtime"] not in RUNTIMES:
        return []
    return [
        Problem(
            f"inference_server_runtime is {want['runtime']}",
            f"{' or '.join(runtimes)}, as which engine {want['backend']} runs",
            "leave it unset",
        )
    ]


def _choice_problems(want: Mapping[str, Any]) -> list[Problem]:
    choices = {"backend": tuple(ENGINES), "runtime": RUNTIMES, "release": RELEASES}
    return [
        Problem(f"inference_server_{name} is {want[name]!r}", f"one of {', '.join(allowed)}")
        for name, allowed in choices.items()
        if want[name] not in allowed
    ]


def _number_problems(want: Mapping[str, Any]) -> list[Problem]:
    faults = []
    if not 1 <= want["port"] <= 65535:
        faults.append(Problem(f"inference_server_port is {want['port']}", "1 to 65535"))
    if want["tensor_parallel_size"] < 0:
        found = f"inference_server_tensor_parallel_size is {want['tensor_parallel_size']}"
        faults.append(Problem(found, "1 or more, or 0 to have it chosen"))
    if want["instances"] < 0:
        faults.append(Problem(f"inference_server_instances is {want['instances']}", "1 or more, or 0 for one per GPU"))
    return faults


def port_problems(name: str, port: int, host: Mapping[str, Any], runtime: str) -> list[Problem]:
    """The port is held by something else than the container this role started before.

    `host` is module host_info's return. Module server_process looks after its own port itself, because only it knows
    which process is its own.
    """
    taken = [entry for entry in host["ports"] if entry["port"] == port and entry["in_use"]]
    if runtime != "docker" or not taken:
        return []
    containers = host.get("docker", {}).get("containers", [])
    ours = any(item["name"] == name and port in item["host_ports"] and item["labels"] for item in containers)
    return [] if ours else [taken_port(taken[0])]


def key_file_problems(want: Mapping[str, Any], host: Mapping[str, Any]) -> list[Problem]:
    """The key's file is not on the host; Docker would make an empty folder in its place. `host` has it in section disk."""
    path = want["api_key_file"]
    entries = [entry for entry in host.get("disk", []) if entry["path"] == path]
    if entries and is_itself(entries[0]) and entries[0].get("readable") is False:
        return [
            Problem(
                f"inference_server_api_key_file is {path}, which this user may not read",
                "a file of the user who logs in",
                f'give it to that user on the host: sudo chown "$(id -un)" {shlex.quote(path)}',
            )
        ]
    if not entries or is_itself(entries[0]):
        return []
    return [
        Problem(
            f"inference_server_api_key_file is {path}, and the host has no such file",
            remedy="bring the key with the playbook keys.yml, or make one on the host: "
            f"(umask 077; openssl rand -hex 32 > {shlex.quote(path)})",
        )
    ]


_LEAST_MIB = 1  # less is a full disk: facts, records and a lock are kilobytes


def folder_problems(want: Mapping[str, Any], host: Mapping[str, Any]) -> list[Problem]:
    """The state folder cannot be written: no right, a file system that is read-only, or a full disk. `host` has section disk.

    The cache of weights is not judged: where it holds them already, it may be read-only or full.
    """
    path = want.get("state_dir")
    entry: Mapping[str, Any] = next((entry for entry in host.get("disk", []) if entry["path"] == path), {})
    where, quoted = entry.get("measured_path"), shlex.quote(str(path))
    if entry.get("writable") is False:
        remedy = (
            f'make it writable on the host: sudo mkdir -p {quoted} && sudo chown -R "$(id -un)" {quoted}; where the disk is mounted '
            "read-only, set inference_server_state_dir to a folder on another"
        )
        found = f"inference_server_state_dir is {path}, and {where} cannot be written by this user"
        return [Problem(found, "a folder to write in", remedy)]
    free_mib = entry.get("free_mib")
    if free_mib is not None and free_mib < _LEAST_MIB:
        remedy = f"free space on that disk (df -h {shlex.quote(str(where))}), or set inference_server_state_dir to a folder on another"
        return [Problem(f"inference_server_state_dir is {path}, and its disk is full", "free space", remedy)]
    return []


def limit_problems(ulimits: Sequence[str], host: Mapping[str, Any]) -> list[Problem]:
    """Limits of a container that this host's Docker cannot give: a start would end in an error of the engine.

    `host` has section docker; where its Docker may raise limits, all but the number of open files can be had.
    """
    most = (host.get("docker") or {}).get("limits") or {}
    capped = [_capped(limit, most) for limit in ulimits]
    over = [limit for limit, possible in zip(ulimits, capped) if limit != possible]
    if not over:
        return []
    return [
        Problem(
            f"inference_server_ulimits asks for {', '.join(over)}, and Docker on this host cannot give more than "
            + ", ".join(f"{name} {most[name]}" for name in dict.fromkeys(limit.partition(":")[0] for limit in over)),
            "limits that the host allows",
            f"set inference_server_ulimits: {json.dumps(capped)}",
        )
    ]


def _capped(limit: str, most: Mapping[str, int]) -> str:
    """A limit as the host can give it: itself where it can."""
    name, _colon, values = limit.partition(":")
    wanted = values.split(":")
    if name not in most or not all(re.fullmatch(r"-?\d+", value) for value in wanted):
        return limit
    possible = [value if 0 <= int(value) <= most[name] else str(most[name]) for value in wanted]
    return limit if possible == wanted else ":".join([name, *possible])


def is_itself(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of section disk is about the path that was asked for, not about a folder above it."""
    return bool(entry["measured_path"] == str(PurePosixPath(entry["path"])))


def engine_flag_problems(argv: Sequence[str], release: Mapping[str, Any]) -> list[Problem]:
    """What the release of the engine would refuse of these arguments; nothing where `release` is empty, because it is not known.

    That is so for an image whose name does not show its release, for the published nightly image and for a process.
    """
    if not release:
        return []
    return flag_problems(parse_args(argv), release)


def flag_warnings(argv: Sequence[str], release: Mapping[str, Any], notes: Mapping[str, str]) -> list[str]:
    """The flags among these arguments that the release deprecates, each with what `notes` knows of it."""
    if not release:
        return []
    entries = release["flags"]
    named = {name: flag for flag, entry in entries.items() for name in (flag, *entry["aliases"])}
    return [
        f"{name} is deprecated in {release['engine']} {release['version']}"
        + (f": {notes[named[name]]}" if named[name] in notes else "")
        for name in (name.partition(".")[0] for name in parse_args(argv))
        if name in named and entries[named[name]].get("deprecated")
    ]


def warnings(
    want: Mapping[str, Any], recipe: Mapping[str, Any], gpus: Sequence[Mapping[str, Any]], left: Sequence[str] = ()
) -> list[str]:
    """What the operator should know although it is no error. `left` are the GPUs that are left alone."""
    texts = [f"left alone: {'; '.join(left)}"] if left else []
    if want["release"] == "published" and not want["image"]:
        texts.append(
            "release `published` uses nightly image tags of May 2026; the registry may have pruned them: `stable` replaces them"
        )
    sizes = [gpu["memory_total_mib"] for gpu in gpus if gpu.get("memory_total_mib")]
    need = recipe.get("min_gpu_memory_gib", 0)
    if sizes and min(sizes) * want["tensor_parallel_size"] < need * 1024:
        texts.append(
            f"{want['model']} wants {need} GiB of GPU memory, the GPUs have {min(sizes) // 1024} GiB each and "
            f"inference_server_tensor_parallel_size is {want['tensor_parallel_size']}: "
            "expect a short context or a failed start"
        )
    return texts
