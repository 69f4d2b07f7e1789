# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server's specification: backend x model recipe x GPU profile x intent x the operator's choices -> one plain dict.

Pure functions. Nothing is read from a host or written to one here; the roles start what this file describes.
Private to this collection.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._ports import taken_port

BACKENDS = ("vllm", "sglang", "simulator")
RUNTIMES = ("docker", "process")
RELEASES = ("stable", "published")
KEY_FILE = "/run/secrets/llmfleet_api_key"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

Flags = dict[str, Any]


class SpecError(ValueError):
    """The choices do not make a server. Each of its arguments is one problem: what was found, what was expected, what to set."""


def problems(want: Mapping[str, Any]) -> list[str]:
    """Everything wrong with the operator's choices, each as one sentence with its remedy; empty when all is well.

    `want` holds the role's knobs without their prefix (`backend`, `model`, `port`, ...).
    """
    found = [*_choice_problems(want), *_number_problems(want)]
    if not want["model"] and want["backend"] != "simulator":
        found.append(
            "inference_server_model is empty: set it to a hub name such as LiquidAI/LFM2.5-8B-A1B or to a directory"
        )
    if not want["served_model_name"]:
        found.append("inference_server_served_model_name is empty: set it to the name that clients will ask for")
    if want["bind_address"] not in LOOPBACK and not want["api_key_file"]:
        found.append(
            f"inference_server_bind_address is {want['bind_address']}: that opens the server to the network without a key; "
            "set inference_server_api_key_file, or keep 127.0.0.1"
        )
    if want["backend"] == "sglang" and want["runtime"] == "docker" and want["api_key_file"]:
        found.append(
            "inference_server_api_key_file is set: SGLang takes its key in argv only, where everybody can read it; use vllm"
        )
    if want["backend"] == "simulator" and want["runtime"] != "process":
        found.append(
            f"inference_server_runtime is {want['runtime']}: the simulator runs as `process` only; leave it unset"
        )
    return found


def port_problem(want: Mapping[str, Any], ports: Sequence[Mapping[str, Any]], previous: Mapping[str, Any]) -> list[str]:
    """The port is held by something else than the container this role started before.

    `ports` is module host_info's section; `previous` the fact of the last deployment. Module server_process looks after its own
    port itself, because only it knows which process is its own.
    """
    taken = [entry for entry in ports if entry["port"] == want["port"] and entry["in_use"]]
    ours = previous.get("runtime") == "docker" and previous.get("endpoint", "").endswith(f":{want['port']}")
    if want["runtime"] != "docker" or not taken or ours:
        return []
    return [taken_port(taken[0])]


def _choice_problems(want: Mapping[str, Any]) -> list[str]:
    choices = {"backend": BACKENDS, "runtime": RUNTIMES, "release": RELEASES}
    return [
        f"inference_server_{name} is {want[name]!r}: expected one of {', '.join(allowed)}"
        for name, allowed in choices.items()
        if want[name] not in allowed
    ]


def _number_problems(want: Mapping[str, Any]) -> list[str]:
    found = []
    if not 1 <= want["port"] <= 65535:
        found.append(f"inference_server_port is {want['port']}: expected 1 to 65535")
    if want["tensor_parallel_size"] < 1:
        found.append(f"inference_server_tensor_parallel_size is {want['tensor_parallel_size']}: expected 1 or more")
    return found


def parse_args(tokens: Sequence[Any]) -> Flags:
    """Command-line tokens as an ordered flag -> value mapping: `--a 1 --b --c=2` -> {--a: "1", --b: True, --c: "2"}.

    A flag with several values gets a list. Raises SpecError for a token that belongs to no flag.
    """
    flags: Flags = {}
    name = None
    for token in map(str, tokens):
        if token.startswith("--"):
            name, equals, value = token.partition("=")
            flags[name] = value if equals else True
        elif name is None:
            raise SpecError(
                f"inference_server_extra_args starts with {token!r}: expected a flag such as --max-model-len"
            )
        elif flags[name] is True:
            flags[name] = token
        else:
            flags[name] = [*(flags[name] if isinstance(flags[name], list) else [flags[name]]), token]
    return flags


def to_argv(flags: Mapping[str, Any]) -> list[str]:
    """The flags as tokens, in order: True is a bare flag, False and None leave the flag out, a list repeats the value."""
    argv: list[str] = []
    for name, value in flags.items():
        if value is None or value is False:
            continue
        argv.append(name)
        if value is not True:
            argv.extend(str(item) for item in (value if isinstance(value, (list, tuple)) else [value]))
    return argv


def merge_flags(*layers: Mapping[str, Any]) -> Flags:
    """Later layers replace earlier ones; `--no-x` in one layer and `--x` in a later one do not stand side by side."""
    merged: Flags = {}
    for layer in layers:
        for name, value in layer.items():
            merged.pop(_opposite(name), None)
            merged[name] = value
    return merged


def _opposite(flag: str) -> str:
    return "--" + flag[len("--no-") :] if flag.startswith("--no-") else "--no-" + flag[2:]


def choose_image(images: Sequence[Mapping[str, Any]], driver_version: str | None) -> Mapping[str, Any]:
    """The first image whose CUDA family the host's driver runs; the first of all where no driver was found.

    Raises SpecError when the driver is too old for each of them.
    """
    if not driver_version:
        return images[0]
    major = int(str(driver_version).split(".", maxsplit=1)[0])
    for candidate in images:
        if major >= candidate["min_driver"]:
            return candidate
    oldest = min(images, key=lambda candidate: candidate["min_driver"])
    raise SpecError(
        f"the NVIDIA driver is {driver_version}: {oldest['image']} (CUDA {oldest['cuda']}) needs {oldest['min_driver']} or newer; "
        "upgrade the driver, or set inference_server_image to an image that fits it"
    )


def _fill(template: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: str(values[match.group(1)]), template)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    return _fill(value, values) if isinstance(value, str) else value


def engine_argv(
    want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any], values: Mapping[str, Any]
) -> list[str]:
    """The engine's arguments: the page's own for `published`, else engine < recipe < intent < operator."""
    extra = parse_args(want["extra_args"])
    if want["release"] == "published":
        argv = [_fill(token, values) for token in recipe["published"][want["backend"]]["argv"]]
        return argv + to_argv(extra)
    base = {name: _filled(value, values) for name, value in engine["flags"].items()}
    flags = merge_flags(
        base, recipe.get("flags", {}).get(want["backend"], {}), engine["intents"][want["intent"]], extra
    )
    command = engine["command"] if want["runtime"] == "docker" else []
    return [*command, *to_argv(flags)]


def image_and_release(
    want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any], driver_version: str | None
) -> str:
    """The image's name: the operator's own, else the page's, else the stable one that the driver can run."""
    if want["image"]:
        return str(want["image"])
    if want["release"] == "published":
        return str(recipe["published"][want["backend"]]["image"])
    return str(choose_image(engine["stable"]["images"], driver_version)["image"])


def warnings(want: Mapping[str, Any]) -> list[str]:
    """What the operator should know although it is no error."""
    if want["release"] == "published" and not want["image"]:
        return [
            "release `published` uses nightly image tags of May 2026; the registry may have pruned them: `stable` replaces them"
        ]
    return []


def server_spec(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
    previous: Mapping[str, Any],
) -> dict[str, Any]:
    """The server as one plain dict: what to run, with which arguments, files, mounts and ports, and where it will answer.

    Keys: `name`, `backend`, `runtime`, `release`, `intent`, `model`, `served_model_name`, `simulated`, `gpu_class`, `image` (None for
    a process), `entrypoint`, `argv`, `env`, `volumes`, `ports`, `ipc_mode`, `gpus`, `files` (name in the server's folder -> content),
    `endpoint`, `warnings`, `run_command` (the same as one line for a shell), and
    `digest`, the SHA-256 of all the others: two specifications are the same server exactly when their digests are equal.

    `host` is the return of module host_info (sections gpu and ports), `previous` the fact of the last deployment or empty.
    Raises SpecError with every problem found.
    """
    found = [*problems(want), *port_problem(want, host["ports"], previous)]
    if want["release"] == "published" and want["backend"] not in recipe.get("published", {"simulator": {}}):
        found.append(
            f"inference_server_release is published, but nothing was published for {want['model']} on {want['backend']}: use stable"
        )
    if engine.get("intents") and want["intent"] not in engine["intents"]:
        found.append(f"inference_server_intent is {want['intent']!r}: expected one of {', '.join(engine['intents'])}")
    if found:
        raise SpecError(*found)
    build = {"simulator": _simulator_spec}.get(want["backend"]) or {"docker": _docker_spec, "process": _process_spec}[
        want["runtime"]
    ]
    spec: dict[str, Any] = {
        **{key: want[key] for key in ("name", "backend", "runtime", "release", "intent", "model", "served_model_name")},
        "simulated": want["backend"] == "simulator",
        "endpoint": f"http://{_reachable(want['bind_address'])}:{want['port']}",
        "gpu_class": gpu_profile.get("gpu_class"),
        "warnings": warnings(want),
        "image": None,
        "entrypoint": None,
        "env": {str(key): str(value) for key, value in want["env"].items()},
        "volumes": [],
        "ports": [],
        "ipc_mode": None,
        "gpus": None,
        "files": {},
    }
    spec.update(build(want, engine, recipe, gpu_profile, host["gpu"]["driver_version"]))
    spec["run_command"] = shell_line(docker_run_command(spec) if spec["runtime"] == "docker" else spec["argv"])
    spec["digest"] = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    return spec


def _reachable(bind_address: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(bind_address, bind_address)


def _values(want: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        **{key: want[key] for key in ("model", "served_model_name", "tensor_parallel_size", "python", "server_dir")},
        "host": want["bind_address"],
        "port": want["port"],
        **more,
    }


def _docker_spec(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    driver_version: str | None,
) -> dict[str, Any]:
    inside = engine["container_port"]
    key_mount = [f"{want['api_key_file']}:{KEY_FILE}:ro"] if want["api_key_file"] else []
    published = (
        f"{want['port']}:{inside}"
        if want["bind_address"] == "0.0.0.0"
        else f"{want['bind_address']}:{want['port']}:{inside}"
    )
    mounts = [f"{want['hf_cache_dir']}:{engine['cache_mount']}"] if want["hf_cache_dir"] else []
    return {
        "image": image_and_release(want, engine, recipe, driver_version),
        "argv": engine_argv(want, engine, recipe, _values(want, host="0.0.0.0", port=inside)),
        "entrypoint": engine["key_entrypoint"] if key_mount else None,
        "volumes": [*mounts, *key_mount, *want["volumes"]],
        "ports": [published],
        "ipc_mode": "host",
        "gpus": None if gpu_profile.get("gpu_class") == "cpu" else "all",
    }


def _process_spec(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    driver_version: str | None,
) -> dict[str, Any]:
    values = _values(want)
    command = [_fill(token, values) for token in want["command"] or engine["process_command"]]
    return {"argv": [*command, *engine_argv(want, engine, recipe, values)]}


def _simulator_spec(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    driver_version: str | None,
) -> dict[str, Any]:
    values = _values(want)
    settings = {
        "host": want["bind_address"],
        "port": want["port"],
        "model": want["model"],
        "served_model_name": want["served_model_name"],
        "gpu": gpu_profile.get("gpu_class") or "unknown",
        **copy.deepcopy(dict(want["simulator"])),
    }
    timing = gpu_profile.get("simulated_timing", {}).get(settings.setdefault("engine", "vllm"))
    if timing:
        settings["timing"] = copy.deepcopy(dict(timing))
    if want["api_key_file"]:
        settings["api_key_file"] = want["api_key_file"]
    return {
        "argv": [_fill(token, values) for token in engine["process_command"]],
        "files": {"simulator.json": json.dumps(settings, indent=2, sort_keys=True) + "\n"},
    }


def docker_run_command(spec: Mapping[str, Any]) -> list[str]:
    """The specification as the `docker run` command a person would type: for documents, messages and the proof of equality."""
    command = ["docker", "run", "-d"]
    if spec["entrypoint"]:
        command += ["--entrypoint", spec["entrypoint"][0]]
    if spec["gpus"]:
        command += ["--gpus", str(spec["gpus"])]
    for port in spec["ports"]:
        command += ["-p", port]
    if spec["ipc_mode"]:
        command.append(f"--ipc={spec['ipc_mode']}")
    for volume in spec["volumes"]:
        command += ["-v", volume]
    for name, value in spec["env"].items():
        command += ["-e", f"{name}={value}"]
    return [*command, spec["image"], *(spec["entrypoint"] or [])[1:], *spec["argv"]]


def shell_line(tokens: Sequence[str]) -> str:
    """Tokens as one line that can be pasted into a shell."""
    return " ".join(shlex.quote(token) for token in tokens)


def profile_for(card_name: str, profiles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first profile whose `name_pattern` matches the card's name (as nvidia-smi prints it); an empty dict when none does."""
    for profile in profiles:
        pattern = profile.get("name_pattern")
        if pattern and re.search(pattern, card_name):
            return dict(profile)
    return {}


def server_fact(
    spec: Mapping[str, Any], gpu: Mapping[str, Any], previous: Mapping[str, Any], ready: Mapping[str, Any]
) -> dict[str, Any]:
    """The fact `llmfleet_server` (schema_version 1) of a server that answers.

    `gpu` is what module gpu_info returns; `ready` is the return of module server_ready with `started`
    (whether this run started the server) and `image_digest`. A server found running keeps the `ready_s` of its start.
    """
    return {
        "schema_version": 1,
        **{
            key: spec[key]
            for key in ("backend", "runtime", "release", "intent", "image", "argv", "model", "served_model_name")
        },
        "simulated": spec["simulated"] or bool(ready.get("simulated")),
        "image_digest": ready.get("image_digest"),
        "model_revision": None,
        "engine_version": ready.get("engine_version"),
        "engine": ready.get("engine") or spec["backend"],
        "endpoint": spec["endpoint"],
        "gpu": {
            "class": spec["gpu_class"],
            "name": gpu["cards"][0]["name"] if gpu["cards"] else None,
            "count": gpu["count"],
            "driver_version": gpu["driver_version"],
            "uuids": [card["uuid"] for card in gpu["cards"]],
        },
        "run_command": spec["run_command"],
        "spec_digest": spec["digest"],
        "ready_s": ready["elapsed_s"] if ready.get("started") else previous.get("ready_s"),
    }
