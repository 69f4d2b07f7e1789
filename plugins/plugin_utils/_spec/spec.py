# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's specification: backend x model recipe x GPU profile x intent x the operator's choices -> one plain dict.

Pure. Nothing is read from a host or written to one here; the roles start what this describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError

from .._gpu_choice import Choice, choose_gpus, described, lent_gpus, strangers
from .._ownership import container_problems, containers_of, port_holders, server_port_problem
from .._state_folder import owner_problem
from .engine import (
    context_tokens,
    flags_in,
    is_prefetched,
    smoke_tests,
    version_problems,
)
from .exposure import open_problems, secret_problems
from .instances import Context, digest_of, instances_of
from .lora import adapters_of, fetched, lora_problems
from .tensor_parallel import Gpus, size_problems, tensor_parallel_size
from .validation import (
    engine_flag_problems,
    flag_warnings,
    folder_problems,
    key_file_problems,
    limit_problems,
    port_problems,
    problems,
    warnings,
)


def server_spec(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
) -> dict[str, Any]:
    """The server as one plain dict: what to run, with which arguments, files, mounts and ports, and where it will answer.

    Keys: `backend`, `runtime`, `release`, `intent`, `model`, `model_revision`, `served_model_name`, `api_key_file`,
    `simulated`, `gpu_class`, `license`, `smoke`, `prefetch`, `lora` (names of the adapters), `lora_fetched` (what role model_cache brings
    of them), `context_tokens`, `image` (None for a process), `warnings`, `gpus_left` (the host's other GPUs, in words), `endpoint` (the
    first instance's) and `instances`, each with `name`, `port`, `base_url`, `gpu_uuids`, `watch` (for module server_ready),
    `argv`, `env`, `files` (name in the instance's folder -> content), `key_mark`, `run_command` (the same as one line for a shell)
    and, for a container, `image`, `entrypoint`, `volumes`, `ports`, `ipc_mode`, `shm_size`, `ulimits`, `user`, `device_requests`,
    `healthcheck`. Each instance carries a `digest`, the SHA-256 of its other keys, and the whole one of theirs: two
    specifications are the same server exactly when their digests are equal.

    `host` is the return of module host_info (sections gpu and ports; docker and toolkit for runtime docker; disk for a key's file).
    `engine` is a file of vars/engines/, with the `known` flags of the release that runs (a file of files/flags/, or empty) and the
    `simulated_timing` of the GPU's class (a file of vars/simulated_timing/), which the profile's own goes over. `license` is the recipe's;
    `smoke` and `context_tokens` are what module server_smoke takes.
    Raises UserError with every problem found.
    """
    choice = gpus_for(want, gpu_profile, host)
    gpus, host = choice.usable, with_choice(host, choice)
    asked, want = want["tensor_parallel_size"], completed(want, recipe, gpus)
    _refuse(
        [
            *want.get("profile_problems", []),
            *choice.problems,
            *_choice_problems(want, engine, recipe, gpu_profile, host),
            *size_problems(want["model"], asked, want["tensor_parallel_size"], recipe, gpus),
        ]
    )
    instances = instances_of(want, Context(engine, recipe, gpu_profile, host))
    _refuse(_instance_problems(want, engine, instances, host))
    return {
        **{key: want[key] for key in ("backend", "runtime", "release", "intent", "model", "served_model_name")},
        "model_revision": want["model_revision"] or None,
        "api_key_file": want["api_key_file"] or None,
        "simulated": want["backend"] == "simulator",
        "gpu_class": gpu_profile.get("gpu_class"),
        "license": recipe.get("license"),
        "smoke": smoke_tests(want, engine, recipe),
        "prefetch": is_prefetched(want),
        "lora": [adapter["name"] for adapter in adapters_of(want)],
        "lora_fetched": fetched(want),
        "context_tokens": context_tokens(instances[0]["argv"], recipe),
        "image": instances[0].get("image"),
        "warnings": [
            *warnings(want, recipe, gpus, choice.left),
            *_shared(want, gpus, host),
            *_flag_warnings(instances[0]["argv"], engine),
        ],
        "gpus_left": choice.left,
        "endpoint": instances[0]["base_url"],
        "instances": instances,
        "digest": digest_of([instance["digest"] for instance in instances]),
    }


def gpus_for(want: Mapping[str, Any], gpu_profile: Mapping[str, Any], host: Mapping[str, Any]) -> Choice:
    """The host's GPUs that the server may use: a simulator uses none, nor does a host that serves on its CPU.

    `want` names some in `gpus`, in `gpus_before` those of the last deployment, which stay the server's, and in `gpus_held` those that other
    servers of this collection hold, with who does.
    """
    if want["backend"] == "simulator" or gpu_profile.get("gpu_class") == "cpu":
        return Choice([], [], [])
    need = max(1, want["instances"]) * max(1, want["tensor_parallel_size"])
    lent = lent_gpus(host, want.get("gpus_before", ()))
    named, held = want.get("gpus", ()), want.get("gpus_held", {})
    return choose_gpus(host["gpu"]["cards"], gpu_profile, named, held=held, lent=lent, need=need)


def with_choice(host: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """The host as if it had no other GPUs than the usable ones; `gpu.left` are those left alone."""
    return {**host, "gpu": {**host["gpu"], "cards": choice.usable, "left": choice.left}}


def _shared(want: Mapping[str, Any], gpus: Gpus, host: Mapping[str, Any]) -> list[str]:
    """GPUs that the server gets although programs of others run there. Of processes it is not known here which are our own."""
    users = ((gpu, strangers(host, gpu)) for gpu in gpus) if want["runtime"] == "docker" else ()
    return [f"{described(gpu)} is used by {'; '.join(names[:3])} too" for gpu, names in users if names]


def completed(want: Mapping[str, Any], recipe: Mapping[str, Any], gpus: Gpus) -> dict[str, Any]:
    """The operator's choices, with those left open as the model's recipe has them: the served name, and over how many GPUs."""
    own_name = want["model"].rstrip("/").rpartition("/")[2]
    size = tensor_parallel_size(want["tensor_parallel_size"], want["release"], recipe, gpus)
    return {
        **want,
        "served_model_name": want["served_model_name"] or recipe.get("served_model_name") or own_name,
        "tensor_parallel_size": size,
    }


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise UserError(*problems)


def _choice_problems(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
) -> list[Problem]:
    """What is wrong with the choices, before there is an instance."""
    found = [*problems(want), *secret_problems(want)]
    if want["release"] == "published" and want["backend"] not in recipe.get("published", {"simulator": {}}):
        nothing = f"nothing was published for {want['model']} on {want['backend']}"
        found.append(Problem(f"inference_server_release is published, and {nothing}", remedy="use stable"))
    if engine.get("intents") and want["intent"] not in engine["intents"]:
        intents = ", ".join(engine["intents"])
        found.append(Problem(f"inference_server_intent is {want['intent']!r}", f"one of {intents}"))
    found += lora_problems(want, engine, recipe, host)
    found += version_problems(want, engine) + key_file_problems(want, host)
    return found + folder_problems(want, host)


def _flag_warnings(argv: list[str], engine: Mapping[str, Any]) -> list[str]:
    return flag_warnings(flags_in(argv), engine.get("known", {}), engine.get("deprecated", {}))


def _instance_problems(
    want: Mapping[str, Any], engine: Mapping[str, Any], instances: list[dict[str, Any]], host: Mapping[str, Any]
) -> list[Problem]:
    """What is wrong with the instances: ports that are taken, flags that the engine would refuse, an address that is open to others."""
    faults = open_problems(want, instances) + _name_problems(want, instances, host)
    faults += _port_problems(want, instances, host)
    faults += limit_problems(instances[0].get("ulimits", []), host)
    if want["backend"] != "simulator":
        faults += engine_flag_problems(flags_in(instances[0]["argv"]), engine.get("known", {}))
    return faults


def _name_problems(want: Mapping[str, Any], instances: list[dict[str, Any]], host: Mapping[str, Any]) -> list[Problem]:
    """Containers of others that have an instance's name."""
    if want["runtime"] != "docker":
        return []
    names = [instance["name"] for instance in instances]
    containers = containers_of(host)
    found = container_problems(names, want["name"], containers, bool(want.get("become")))
    if found or not {container["name"] for container in containers} & set(names):
        return found
    return _owner_problems(want, host)


def _owner_problems(want: Mapping[str, Any], host: Mapping[str, Any]) -> list[Problem]:
    """The containers of this name are kept in another state folder, by another host of the inventory."""
    places = [
        entry
        for entry in host.get("servers") or []
        if (entry["name"], entry["runtime"]) == (want["name"], "docker") and entry["state_dir"] != want["state_dir"]
    ]
    found = (
        owner_problem(
            want["name"], entry["owner"], entry["state_dir"], want.get("host", ""), want.get("renamed_from", "")
        )
        for entry in places
    )
    return [problem for problem in found if problem][:1]


def _port_problems(want: Mapping[str, Any], instances: list[dict[str, Any]], host: Mapping[str, Any]) -> list[Problem]:
    """Ports that another server of the host has, whether it runs or not; the first is enough. Else those that something else holds."""
    held, ports = port_holders(host, want["name"]), [instance["port"] for instance in instances]
    first = next((port for port in ports if port in held), None)
    if first is not None:
        return [server_port_problem(first, held[first], host, held, len(ports))]
    return [
        problem
        for instance in instances
        for problem in port_problems(instance["name"], instance["port"], host, want["runtime"])
    ]
