# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of one host, one after the other: containers, processes or simulators, each with its GPUs, port and files. Pure."""

from __future__ import annotations

import copy
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import _proxies
from .._gpu_access import has_cdi
from .engine import (
    engine_argv,
    fill,
    flags_in,
    image_name,
    is_prefetched,
)
from .gpu_assignment import (
    device_requests,
    docker_flags,
    group_gpus,
)
from .lora import adapters_of, lora_flags, marks, mounts
from .validation import is_itself

KEY_FILE = "/run/secrets/llmfleet_api_key"

# What a health check may cost and how long it waits for a server that does not answer: Docker's own words. It drives nothing,
# so its patience with a start is one for all: a knob here would recreate every container when it is turned.
HEALTHCHECK_TIMES = {"interval": "30s", "timeout": "20s", "retries": 3, "start_period": "3600s"}


@dataclass(frozen=True)
class Context:
    """What an instance follows from besides the operator's choices: the engine, the model's recipe, the GPU profile and the host."""

    engine: Mapping[str, Any]
    recipe: Mapping[str, Any]
    gpu_profile: Mapping[str, Any]
    host: Mapping[str, Any]


def instances_of(want: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Every instance of the host, as `server_spec` describes it. Raises UserError."""
    build = {"simulator": _simulator}.get(want["backend"]) or {"docker": _container, "process": _process}[
        want["runtime"]
    ]
    instances = []
    for index, uuids in enumerate(_gpu_groups(want, context.gpu_profile, context.host["gpu"])):
        name, port = instance_name(want["name"], index), want["port"] + index
        settings = {**want, "name": name, "port": port, "server_dir": f"{want['state_dir']}/{name}", "uuids": uuids}
        instance = {
            "name": name,
            "port": port,
            "base_url": f"http://{_reachable(want['bind_address'])}:{port}",
            "gpu_uuids": [gpu["uuid"] for gpu in context.host["gpu"]["cards"]] if uuids is None else uuids,
            "env": {
                str(key): str(value)
                for key, value in {**_proxies.environment(want.get("proxy") or {}), **want["env"]}.items()
            },
            "files": {},
            "key_mark": key_mark(want, context.host),
            **({"lora": marks(want, context.host)} if adapters_of(want) else {}),
        }
        instance.update(build({**settings, "env": instance["env"]}, context))
        command = docker_run_command(instance) if want["runtime"] == "docker" else instance["argv"]
        by = {"container": name} if want["runtime"] == "docker" else {"process_dir": settings["server_dir"]}
        instance["watch"] = {"base_url": instance["base_url"], **by}
        instances.append({**instance, "run_command": shell_line(command), "digest": digest_of(instance)})
    return instances


def instance_name(name: str, index: int) -> str:
    """`name` for the first instance, `name-2` for the second, ..."""
    return name if index == 0 else f"{name}-{index + 1}"


def _gpu_groups(
    want: Mapping[str, Any], gpu_profile: Mapping[str, Any], gpu: Mapping[str, Any]
) -> list[list[str] | None]:
    """Each instance's GPUs; None stands for all that the host has, `--gpus all`: not where some are left alone."""
    if want["backend"] == "simulator" or gpu_profile.get("gpu_class") == "cpu":
        return [[] for instance in range(want["instances"] or 1)]
    uuids = [each["uuid"] for each in gpu["cards"]]
    count = 1 if want["release"] == "published" and not want["instances"] else want["instances"]
    groups = group_gpus(uuids, count, want["tensor_parallel_size"], gpu.get("left", ()))
    alone = len(groups) == 1 and (len(groups[0]) == len(uuids) or want["release"] == "published")
    if alone:
        return [list(uuids) if gpu.get("left") else None]
    return list(groups)


def key_mark(want: Mapping[str, Any], host: Mapping[str, Any]) -> float | None:
    """What distinguishes a key from the next without showing it: when its file was last changed. None without a key.

    It is part of an instance, so that a new key restarts the server, which would otherwise go on with the old key.
    """
    entries = [entry for entry in host.get("disk", []) if entry["path"] == want["api_key_file"] and is_itself(entry)]
    return entries[0]["changed_at_s"] if entries else None


def digest_of(described: Any) -> str:
    """The SHA-256 of what a JSON document would hold, in hexadecimal."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _reachable(bind_address: str) -> str:
    return _literal({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind_address, bind_address))


def _literal(address: str) -> str:
    """An address as URLs and Docker's port publishing take it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def _published(bind_address: str, ports: str) -> str:
    """Ports as Docker publishes them on an address; it accepts no host names."""
    address = "127.0.0.1" if bind_address == "localhost" else bind_address
    return ports if address == "0.0.0.0" else f"{_literal(address)}:{ports}"


def _values(settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    names = ("model", "served_model_name", "tensor_parallel_size", "python", "server_dir")
    return {**{key: settings[key] for key in names}, "host": settings["bind_address"], "port": settings["port"], **more}


def _container(settings: Mapping[str, Any], context: Context) -> dict[str, Any]:
    engine, host = context.engine, context.host
    inside = engine["container_port"]
    stable = settings["release"] == "stable"
    home = engine["user_home"] if settings["user"] else "/root"
    volumes = [f"{settings['hf_cache_dir']}:{home}/.cache/huggingface"] if settings["hf_cache_dir"] else []
    if stable and settings["compile_cache"]:
        volumes += [f"{volume}:{home}/{folder}" for volume, folder in engine["compile_cache"].items()]
    if settings["api_key_file"]:
        volumes.append(f"{settings['api_key_file']}:{KEY_FILE}:ro")
    uuids = [gpu["uuid"] for gpu in host["gpu"]["cards"]]
    by_cdi = settings.get("gpu_access") != "runtime" and has_cdi(host.get("docker", {}), host.get("toolkit", {}), uuids)
    no_gpu = context.gpu_profile.get("gpu_class") == "cpu"
    requests = [] if no_gpu else _requests(settings["uuids"], uuids, by_cdi)
    return {
        "image": image_name(settings, engine, context.recipe, host["gpu"]["driver_version"]),
        "entrypoint": engine["key_entrypoint"] if settings["api_key_file"] else None,
        "argv": _container_argv(
            settings,
            engine,
            engine_argv(
                settings,
                engine,
                context.recipe,
                _values(settings, host="0.0.0.0", port=inside),
                lora_flags(settings, engine, home),
            ),
        ),
        "env": {**({"HF_HUB_OFFLINE": "1"} if is_prefetched(settings) else {}), **settings["env"]},
        "volumes": [*volumes, *mounts(settings), *settings["volumes"]],
        "ports": [_published(settings["bind_address"], f"{settings['port']}:{inside}")],
        "ipc_mode": "private" if stable else "host",
        "shm_size": engine["shm_size"] if stable else None,
        "ulimits": list(settings["ulimits"]) if stable and requests else [],
        "user": settings["user"] or None,
        "device_requests": requests,
        "healthcheck": {
            "test": ["CMD", "python3", "-c", engine["health_probe"].format(port=inside)],
            **HEALTHCHECK_TIMES,
        },
    }


def _container_argv(settings: Mapping[str, Any], engine: Mapping[str, Any], argv: list[str]) -> list[str]:
    """The engine's command and its arguments; the command alone is left out where the entry point for a key starts it."""
    flags = flags_in(argv)
    return flags if settings["api_key_file"] else [*engine["command"], *flags]


def _requests(wanted: list[str] | None, present: Sequence[str], cdi: bool) -> list[dict[str, Any]]:
    """Where CDI names GPUs, all of them are named too; else `--gpus all` stands for all."""
    return device_requests(list(present) if wanted is None and cdi and present else wanted, cdi)


def _process(settings: Mapping[str, Any], context: Context) -> dict[str, Any]:
    values = _values(settings)
    command = [fill(token, values) for token in settings["command"] or context.engine["process_command"]]
    adapters = lora_flags(settings, context.engine, None)
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(settings["uuids"])} if settings["uuids"] else {}
    return {
        # The published arguments may begin with the command: in a container they are all that is run.
        "argv": [*command, *flags_in(engine_argv(settings, context.engine, context.recipe, values, adapters))],
        "env": {**visible, **settings["env"]},
    }


def _simulator(settings: Mapping[str, Any], context: Context) -> dict[str, Any]:
    values = _values(settings)
    options = {
        "host": settings["bind_address"],
        "port": settings["port"],
        "model": settings["model"],
        "served_model_name": settings["served_model_name"],
        "gpu": context.gpu_profile.get("gpu_class") or "unknown",
        **copy.deepcopy(dict(settings["simulator"])),
    }
    if adapters_of(settings):
        options["adapters"] = [adapter["name"] for adapter in adapters_of(settings)]
    timings = {**context.engine["simulated_timing"], **(context.gpu_profile.get("simulated_timing") or {})}
    timing = timings.get(options.setdefault("engine", "vllm"))
    if timing:
        options["timing"] = copy.deepcopy(dict(timing))
    if settings["api_key_file"]:
        options["api_key_file"] = settings["api_key_file"]
    return {
        "argv": [fill(token, values) for token in context.engine["process_command"]],
        "files": {"simulator.json": json.dumps(options, indent=2, sort_keys=True) + "\n"},
    }


def docker_run_command(instance: Mapping[str, Any]) -> list[str]:
    """An instance as the `docker run` command a person would type: for documents, messages and the proof of equality."""
    command = ["docker", "run", "-d"]
    if instance["entrypoint"]:
        command += ["--entrypoint", instance["entrypoint"][0]]
    command += docker_flags(instance["device_requests"])
    for port in instance["ports"]:
        command += ["-p", port]
    if instance["ipc_mode"] != "private":
        command.append(f"--ipc={instance['ipc_mode']}")
    if instance["shm_size"]:
        command += ["--shm-size", instance["shm_size"]]
    for limit in instance["ulimits"]:
        command += ["--ulimit", limit.replace(":", "=", 1)]
    if instance["user"]:
        command += ["--user", instance["user"]]
    for volume in instance["volumes"]:
        command += ["-v", volume]
    for name, value in instance["env"].items():
        command += ["-e", f"{name}={value}"]
    return [*command, instance["image"], *(instance["entrypoint"] or [])[1:], *instance["argv"]]


def shell_line(tokens: Sequence[str]) -> str:
    """Tokens as one line that can be pasted into a shell."""
    return " ".join(shlex.quote(token) for token in tokens)
