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
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._model_cache import is_hub_name
from ansible_collections.llmfleet.serving.plugins.module_utils._phases import pull_s
from ansible_collections.llmfleet.serving.plugins.module_utils._ports import taken_port
from ansible_collections.llmfleet.serving.plugins.module_utils._server_flags import (
    flag_problems,
    merge_flags,
    parse_args,
    to_argv,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._server_gpus import (
    device_requests,
    docker_flags,
    group_cards,
    has_cdi,
)

BACKENDS = ("vllm", "sglang", "simulator")
RUNTIMES = ("docker", "process")
RELEASES = ("stable", "published")
KEY_FILE = "/run/secrets/llmfleet_api_key"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

# What a health check may cost and how long it bears with a server that answers nothing: Docker's own words. It drives nothing,
# so its patience with a start is one for all: a knob here would recreate every container when it is turned.
HEALTHCHECK_TIMES = {"interval": "30s", "timeout": "20s", "retries": 3, "start_period": "3600s"}


class SpecError(ValueError):
    """The choices do not make a server. Each of its arguments is one problem: what was found, what was expected, what to set."""


# --- what is refused ------------------------------------------------------------------------------------------------------


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
    if want["backend"] != "simulator" and want["runtime"] == "process" and want["api_key_file"]:
        found.append(
            "inference_server_api_key_file is set: with runtime process the engine would need the key in argv or environment, "
            "where others can read it; use runtime docker"
        )
    if want["backend"] == "simulator" and want["runtime"] != "process":
        found.append(
            f"inference_server_runtime is {want['runtime']}: the simulator runs as `process` only; leave it unset"
        )
    return found


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
    if want["instances"] < 0:
        found.append(f"inference_server_instances is {want['instances']}: expected 1 or more, or 0 for one per GPU")
    return found


def port_problems(name: str, port: int, host: Mapping[str, Any], runtime: str) -> list[str]:
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


def key_file_problems(want: Mapping[str, Any], host: Mapping[str, Any]) -> list[str]:
    """The key's file is not on the host; Docker would make an empty folder in its place. `host` has it in section disk."""
    path = want["api_key_file"]
    there = [entry for entry in host.get("disk", []) if entry["path"] == path]
    if not there or _is_itself(there[0]):
        return []
    return [
        f"inference_server_api_key_file is {path}: the host has no such file; bring the key with playbooks/keys.yml, "
        f"or make one on the host: (umask 077; openssl rand -hex 32 > {shlex.quote(path)})"
    ]


def key_mark(want: Mapping[str, Any], host: Mapping[str, Any]) -> float | None:
    """What tells one key from the next without telling the key: when its file was last changed. None without a key.

    It is part of an instance, so that a new key starts the server anew; the old one would go on with the old key.
    """
    there = [entry for entry in host.get("disk", []) if entry["path"] == want["api_key_file"] and _is_itself(entry)]
    return there[0]["changed_at_s"] if there else None


def _is_itself(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of section disk is about the path that was asked for, not about a folder above it."""
    return bool(entry["measured_path"] == str(PurePosixPath(entry["path"])))


def engine_flag_problems(want: Mapping[str, Any], argv: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """What the pinned release of the engine would refuse of these arguments.

    An image of the operator's own may hold another release and is not judged, nor is the page's nightly.
    """
    if not known or want["image"] or want["release"] != "stable" or want["runtime"] != "docker":
        return []
    return flag_problems(parse_args(argv), known)


def memory_problems(
    want: Mapping[str, Any], recipe: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The model's weights alone are larger than the memory of the cards that share them."""
    sizes = [card["memory_total_mib"] for card in cards if card.get("memory_total_mib")]
    need = recipe.get("weights_gib", 0) * 1024
    if not sizes or min(sizes) * want["tensor_parallel_size"] >= need:
        return []
    return [
        f"the weights of {want['model']} take {recipe['weights_gib']} GiB, but inference_server_tensor_parallel_size "
        f"{want['tensor_parallel_size']} gives them {min(sizes) * want['tensor_parallel_size'] // 1024} GiB: "
        "raise it, or serve a smaller model"
    ]


def warnings(want: Mapping[str, Any], recipe: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the operator should know although it is no error."""
    found = []
    if want["release"] == "published" and not want["image"]:
        found.append(
            "release `published` uses nightly image tags of May 2026; the registry may have pruned them: `stable` replaces them"
        )
    sizes = [card["memory_total_mib"] for card in cards if card.get("memory_total_mib")]
    need = recipe.get("min_gpu_memory_gib", 0)
    if sizes and min(sizes) * want["tensor_parallel_size"] < need * 1024:
        found.append(
            f"{want['model']} wants {need} GiB of GPU memory, the cards have {min(sizes) // 1024} GiB each: "
            "expect a short context or a failed start"
        )
    return found


# --- what is made ---------------------------------------------------------------------------------------------------------


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
    extra = _extra_flags(want)
    if want["release"] == "published":
        argv = [_fill(token, values) for token in recipe["published"][want["backend"]]["argv"]]
        return argv + to_argv(extra)
    base = {name: _filled(value, values) for name, value in engine["flags"].items()}
    if want.get("model_revision"):
        base["--revision"] = want["model_revision"]
    return to_argv(
        merge_flags(base, recipe.get("flags", {}).get(want["backend"], {}), engine["intents"][want["intent"]], extra)
    )


def _extra_flags(want: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return parse_args(want["extra_args"])
    except ValueError as error:
        raise SpecError(str(error)) from error


def image_name(
    want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any], driver_version: str | None
) -> str:
    """The image's name: the operator's own, else the page's, else the stable one that the driver can run."""
    if want["image"]:
        return str(want["image"])
    if want["release"] == "published":
        return str(recipe["published"][want["backend"]]["image"])
    return str(choose_image(engine["stable"]["images"], driver_version)["image"])


def server_spec(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
) -> dict[str, Any]:
    """The server as one plain dict: what to run, with which arguments, files, mounts and ports, and where it will answer.

    Keys: `backend`, `runtime`, `release`, `intent`, `model`, `model_revision`, `served_model_name`, `api_key_file`,
    `simulated`, `gpu_class`, `license`, `smoke`, `prefetch`, `context_tokens`, `image` (None for a process), `warnings`, `endpoint` (the
    first instance's) and `instances`, each with `name`, `port`, `base_url`, `gpu_uuids`, `watch` (for module server_ready),
    `argv`, `env`, `files` (name in the instance's folder -> content), `key_mark`, `run_command` (the same as one line for a shell)
    and, for a container, `image`, `entrypoint`, `volumes`, `ports`, `ipc_mode`, `shm_size`, `ulimits`, `user`, `device_requests`,
    `healthcheck`. Each instance carries a `digest`, the SHA-256 of its other keys, and the whole one of theirs: two
    specifications are the same server exactly when their digests are equal.

    `host` is the return of module host_info (sections gpu and ports; docker and toolkit for runtime docker; disk for a key's file).
    `engine` is a file of vars/backends/, with the `known` flags of its pinned release (a file of files/flags/). `license` is the recipe's;
    `smoke` and `context_tokens` are what module server_smoke takes.
    Raises SpecError with every problem found.
    """
    found = problems(want)
    if want["release"] == "published" and want["backend"] not in recipe.get("published", {"simulator": {}}):
        found.append(
            f"inference_server_release is published, but nothing was published for {want['model']} on {want['backend']}: use stable"
        )
    if engine.get("intents") and want["intent"] not in engine["intents"]:
        found.append(f"inference_server_intent is {want['intent']!r}: expected one of {', '.join(engine['intents'])}")
    cards = host["gpu"]["cards"]
    if gpu_profile.get("gpu_class") != "cpu":
        found += memory_problems(want, recipe, cards)
    found += key_file_problems(want, host)
    if found:
        raise SpecError(*found)
    instances = _instances(want, engine, recipe, gpu_profile, host)
    found += [
        problem
        for instance in instances
        for problem in port_problems(instance["name"], instance["port"], host, want["runtime"])
    ]
    if want["backend"] != "simulator":
        flags = _engine_flags_of(instances[0]["argv"])
        found += engine_flag_problems(want, flags, engine.get("known", {}))
    if found:
        raise SpecError(*found)
    return {
        **{key: want[key] for key in ("backend", "runtime", "release", "intent", "model", "served_model_name")},
        "model_revision": want["model_revision"] or None,
        "api_key_file": want["api_key_file"] or None,
        "simulated": want["backend"] == "simulator",
        "gpu_class": gpu_profile.get("gpu_class"),
        "license": recipe.get("license"),
        "smoke": smoke_tests(want, engine, recipe),
        "prefetch": is_prefetched(want),
        "context_tokens": context_tokens(instances[0]["argv"], recipe),
        "image": instances[0].get("image"),
        "warnings": warnings(want, recipe, cards),
        "endpoint": instances[0]["base_url"],
        "instances": instances,
        "digest": _digest([instance["digest"] for instance in instances]),
    }


def smoke_tests(want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, str]:
    """What becomes of each smoke test: the recipe's word, the engine's over it, the operator's over both.

    The page's commands set no reasoning parser and a lossy tool parser, so there abilities are only reported.
    """
    modes = {**recipe.get("smoke", {}), **engine.get("smoke", {})}
    if want["release"] == "published":
        modes = {name: "report" if mode == "required" else mode for name, mode in modes.items()}
    return {**modes, **want["smoke"]}


def is_prefetched(want: Mapping[str, Any]) -> bool:
    """Whether role model_cache brings the weights: a stable container whose model is a name on the hub and whose cache is on the host."""
    container = want["runtime"] == "docker" and want["release"] == "stable"
    return bool(want["prefetch"] and container and want["hf_cache_dir"] and is_hub_name(want["model"]))


def context_tokens(argv: Sequence[str], recipe: Mapping[str, Any]) -> int | None:
    """The context in tokens that the server was asked for; the model's own where the arguments name no number."""
    flags = parse_args(_engine_flags_of(argv))
    asked = str(flags.get("--max-model-len") or flags.get("--context-length") or "")
    return int(asked) if asked.isdigit() else recipe.get("context_tokens")


def _engine_flags_of(argv: Sequence[str]) -> list[str]:
    first = next((at for at, token in enumerate(argv) if token.startswith("--")), len(argv))
    return list(argv[first:])


def _digest(described: Any) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def instance_name(name: str, index: int) -> str:
    """`name` for the first instance, `name-2` for the second, ..."""
    return name if index == 0 else f"{name}-{index + 1}"


def _instances(
    want: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
) -> list[dict[str, Any]]:
    build = {"simulator": _simulator}.get(want["backend"]) or {"docker": _container, "process": _process}[
        want["runtime"]
    ]
    made = []
    for index, uuids in enumerate(_card_groups(want, gpu_profile, host["gpu"])):
        name, port = instance_name(want["name"], index), want["port"] + index
        one = {**want, "name": name, "port": port, "server_dir": f"{want['state_dir']}/{name}", "uuids": uuids}
        instance = {
            "name": name,
            "port": port,
            "base_url": f"http://{_reachable(want['bind_address'])}:{port}",
            "gpu_uuids": [card["uuid"] for card in host["gpu"]["cards"]] if uuids is None else uuids,
            "env": {str(key): str(value) for key, value in want["env"].items()},
            "files": {},
            "key_mark": key_mark(want, host),
        }
        instance.update(build({**one, "env": instance["env"]}, engine, recipe, gpu_profile, host))
        command = docker_run_command(instance) if want["runtime"] == "docker" else instance["argv"]
        by = {"container": name} if want["runtime"] == "docker" else {"process_dir": one["server_dir"]}
        instance["watch"] = {"base_url": instance["base_url"], **by}
        made.append({**instance, "run_command": shell_line(command), "digest": _digest(instance)})
    return made


def _card_groups(
    want: Mapping[str, Any], gpu_profile: Mapping[str, Any], gpu: Mapping[str, Any]
) -> list[list[str] | None]:
    """Each instance's cards; None stands for all of them, `--gpus all`."""
    if want["backend"] == "simulator" or gpu_profile.get("gpu_class") == "cpu":
        return [[] for _ in range(want["instances"] or 1)]
    uuids = [card["uuid"] for card in gpu["cards"]]
    count = 1 if want["release"] == "published" and not want["instances"] else want["instances"]
    try:
        groups = group_cards(uuids, count, want["tensor_parallel_size"])
    except ValueError as error:
        raise SpecError(str(error)) from error
    alone = len(groups) == 1 and (len(groups[0]) == len(uuids) or want["release"] == "published")
    return [None] if alone else list(groups)


def _reachable(bind_address: str) -> str:
    return _literal({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind_address, bind_address))


def _literal(address: str) -> str:
    """An address as URLs and Docker's port publishing take it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def _published(bind_address: str, ports: str) -> str:
    """Ports as Docker publishes them on an address; it knows no names."""
    address = "127.0.0.1" if bind_address == "localhost" else bind_address
    return ports if address == "0.0.0.0" else f"{_literal(address)}:{ports}"


def _values(one: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    names = ("model", "served_model_name", "tensor_parallel_size", "python", "server_dir")
    return {**{key: one[key] for key in names}, "host": one["bind_address"], "port": one["port"], **more}


def _container(
    one: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
) -> dict[str, Any]:
    inside = engine["container_port"]
    stable = one["release"] == "stable"
    home = engine["user_home"] if one["user"] else "/root"
    mounts = [f"{one['hf_cache_dir']}:{home}/.cache/huggingface"] if one["hf_cache_dir"] else []
    if stable and one["compile_cache"]:
        mounts += [f"{volume}:{home}/{folder}" for volume, folder in engine["compile_cache"].items()]
    if one["api_key_file"]:
        mounts.append(f"{one['api_key_file']}:{KEY_FILE}:ro")
    uuids = [card["uuid"] for card in host["gpu"]["cards"]]
    requests = (
        []
        if gpu_profile.get("gpu_class") == "cpu"
        else _requests(one["uuids"], uuids, has_cdi(host.get("docker", {}), host.get("toolkit", {}), uuids))
    )
    return {
        "image": image_name(one, engine, recipe, host["gpu"]["driver_version"]),
        "entrypoint": engine["key_entrypoint"] if one["api_key_file"] else None,
        "argv": _container_argv(
            one, engine, engine_argv(one, engine, recipe, _values(one, host="0.0.0.0", port=inside))
        ),
        "env": {**({"HF_HUB_OFFLINE": "1"} if is_prefetched(one) else {}), **one["env"]},
        "volumes": [*mounts, *one["volumes"]],
        "ports": [_published(one["bind_address"], f"{one['port']}:{inside}")],
        "ipc_mode": "private" if stable else "host",
        "shm_size": engine["shm_size"] if stable else None,
        "ulimits": list(one["ulimits"]) if stable and requests else [],
        "user": one["user"] or None,
        "device_requests": requests,
        "healthcheck": {
            "test": ["CMD", "python3", "-c", _HEALTH_PROBE.format(port=inside)],
            **HEALTHCHECK_TIMES,
        },
    }


def _container_argv(one: Mapping[str, Any], engine: Mapping[str, Any], argv: list[str]) -> list[str]:
    """The engine's command and its arguments; the command alone is left out where the entry point for a key starts it."""
    flags = _engine_flags_of(argv)
    return flags if one["api_key_file"] else [*engine["command"], *flags]


_HEALTH_PROBE = "import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/health', timeout=15)"


def _requests(wanted: list[str] | None, present: Sequence[str], cdi: bool) -> list[dict[str, Any]]:
    """Where CDI names cards, all of them are named too; else `--gpus all` stands for all."""
    return device_requests(list(present) if wanted is None and cdi and present else wanted, cdi)


def _process(
    one: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
) -> dict[str, Any]:
    values = _values(one)
    command = [_fill(token, values) for token in one["command"] or engine["process_command"]]
    cards = {"CUDA_VISIBLE_DEVICES": ",".join(one["uuids"])} if one["uuids"] else {}
    return {"argv": [*command, *engine_argv(one, engine, recipe, values)], "env": {**cards, **one["env"]}}


def _simulator(
    one: Mapping[str, Any],
    engine: Mapping[str, Any],
    recipe: Mapping[str, Any],
    gpu_profile: Mapping[str, Any],
    host: Mapping[str, Any],
) -> dict[str, Any]:
    values = _values(one)
    settings = {
        "host": one["bind_address"],
        "port": one["port"],
        "model": one["model"],
        "served_model_name": one["served_model_name"],
        "gpu": gpu_profile.get("gpu_class") or "unknown",
        **copy.deepcopy(dict(one["simulator"])),
    }
    timing = gpu_profile.get("simulated_timing", {}).get(settings.setdefault("engine", "vllm"))
    if timing:
        settings["timing"] = copy.deepcopy(dict(timing))
    if one["api_key_file"]:
        settings["api_key_file"] = one["api_key_file"]
    return {
        "argv": [_fill(token, values) for token in engine["process_command"]],
        "files": {"simulator.json": json.dumps(settings, indent=2, sort_keys=True) + "\n"},
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


def profile_for(card_name: str, profiles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first profile whose `name_pattern` matches the card's name (as nvidia-smi prints it); an empty dict when none does."""
    for profile in profiles:
        pattern = profile.get("name_pattern")
        if pattern and re.search(pattern, card_name):
            return dict(profile)
    return {}


def surplus(previous: Mapping[str, Any], spec: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of instances that may run and that the target does not have, by runtime.

    `previous` is the fact of the last deployment, `spec` what this run wanted; on the way back `target` is another one.
    """
    there = {(known["runtime"], item["name"]) for known in (previous, spec) for item in known.get("instances", [])}
    wanted = {(target["runtime"], item["name"]) for item in target["instances"]}
    return {runtime: sorted(name for kind, name in there - wanted if kind == runtime) for runtime in RUNTIMES}


def pinned(spec: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of containers with the image that the host really has: its ID, and volumes that are kept per image.

    `image` is what the Docker engine tells of it; where it is empty (check mode, before the pull) nothing is known yet.
    """
    image_id = str(image.get("Id") or "")
    short = image_id.partition(":")[2][:12] or "unknown"
    instances = [
        {
            **instance,
            "image_id": image_id or None,
            "volumes": [volume.replace("{image_id}", short) for volume in instance["volumes"]],
            "run_command": instance["run_command"].replace("{image_id}", short),
        }
        for instance in spec["instances"]
    ]
    return {
        **spec,
        "digest": _digest([spec["digest"], image_id]),
        "image_id": image_id or None,
        "image_digest": image_digest(image),
        "image_tagged_at": (image.get("Metadata") or {}).get("LastTagTime"),
        "instances": instances,
    }


def good(kept: Mapping[str, Any], spec: Mapping[str, Any], fact: Mapping[str, Any]) -> dict[str, Any]:
    """What a host keeps to go back to: `current`, which answers now, and `before`, which answered until it came.

    `kept` is what the host kept so far. Each entry holds `spec` and the `fact` of that deployment.
    """
    current = kept.get("current")
    same = current is not None and current["spec"]["digest"] == spec["digest"]
    return {"current": {"spec": spec, "fact": fact}, "before": kept.get("before") if same else current}


def image_digest(image: Mapping[str, Any]) -> str | None:
    """The registry's digest of an image; of one that never saw a registry its ID; None when nothing is known."""
    names = image.get("RepoDigests") or []
    return str(names[0]).rpartition("@")[2] if names else image.get("Id")


def server_fact(
    spec: Mapping[str, Any], gpu: Mapping[str, Any], previous: Mapping[str, Any], ready: Mapping[str, Any]
) -> dict[str, Any]:
    """The fact `llmfleet_server` (schema_version 1) of a server that answers.

    `gpu` is what module gpu_info returns; `ready` is the return of module server_ready with `started` (whether this run
    started the server), `smoke` (the outcome of each smoke test), `probed_at_s` (when this run looked at the host, by the host's
    clock) and, where the cache told them, `model_revision` and `weights_s`.
    A server found running keeps the `ready_s` and `phases` of its start.
    """
    first = spec["instances"][0]
    return {
        "schema_version": 1,
        **{
            key: spec[key]
            for key in ("backend", "runtime", "release", "intent", "image", "model", "served_model_name", "endpoint")
        },
        "argv": first["argv"],
        "simulated": spec["simulated"] or bool(ready.get("simulated")),
        "image_digest": spec.get("image_digest"),
        "model_revision": ready.get("model_revision") or spec["model_revision"],
        "engine_version": ready.get("engine_version"),
        "engine": ready.get("engine") or spec["backend"],
        "gpu": {
            "class": spec["gpu_class"],
            "name": gpu["cards"][0]["name"] if gpu["cards"] else None,
            "count": gpu["count"],
            "driver_version": gpu["driver_version"],
            "uuids": [card["uuid"] for card in gpu["cards"]],
        },
        "instances": [
            {key: instance[key] for key in ("name", "base_url", "port", "gpu_uuids")} for instance in spec["instances"]
        ],
        "run_command": first["run_command"],
        "spec_digest": spec["digest"],
        "smoke": ready.get("smoke"),
        "ready_s": ready["elapsed_s"] if ready.get("started") else previous.get("ready_s"),
        "phases": start_phases(spec, ready) if ready.get("started") else previous.get("phases"),
    }


def start_phases(spec: Mapping[str, Any], ready: Mapping[str, Any]) -> dict[str, float | None]:
    """Seconds of each phase of a start: what the engine told, and what came before it; None where nobody told or nothing was to do."""
    told = ready.get("phases") or {}
    return {
        "image_s": pull_s(spec.get("image_tagged_at"), ready.get("probed_at_s")),
        "weights_s": ready.get("weights_s") or told.get("weights_s"),
        **{name: told.get(name) for name in ("load_s", "compile_s", "ready_s")},
    }
