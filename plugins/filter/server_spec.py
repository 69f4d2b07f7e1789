# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters around the server's specification and the host's GPU profile; the logic is in plugin_utils/_spec/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils import _ownership, _state_folder
from ansible_collections.llmfleet.serving.plugins.plugin_utils._knobs import coerced, typed
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import mapping, plain, sequence
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec import (
    changes,
    clients,
    deployment,
    lora,
    profiles,
    pruning,
    spec,
    tensor_parallel,
)
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.engine import images_by_version, known_release


def server_spec(
    want: dict[str, Any],
    role_path: str,
    gpu_profile: dict[str, Any],
    host: dict[str, Any],
    previous: Any = None,
    at_a_time: str = "",
    kept: Any = None,
) -> dict[str, Any]:
    """The specification with `problems: []`, or the problems alone.

    With the fact of the last deployment also `notes`, what another image changes for `at_a_time` hosts; no part of a specification. With
    what the host keeps to go back to, also why an instance is replaced.
    """
    role = Path(role_path)
    try:
        parts = [_coerced(want, role), plain(gpu_profile), plain(host)]
        parts[0].update(_gpu_wants(parts[0], parts[1], parts[2], plain(previous) or {}, role))
        found = {
            **spec.server_spec(parts[0], *knowledge(parts[0], parts[1], parts[2], role), *parts[1:]),
            "problems": [],
        }
        return (
            found
            if previous is None
            else {
                **found,
                "notes": [*_notes(previous, found, role_path, at_a_time), *changes.changes(plain(kept) or {}, found)],
            }
        )
    except UserError as error:
        return {"problems": [str(problem) for problem in error.problems]}


def _gpu_wants(
    want: dict[str, Any], profile: dict[str, Any], host: dict[str, Any], previous: dict[str, Any], role: Path
) -> dict[str, Any]:
    """What is wrong with the host's GPU profile, the GPUs of the last deployment, and those of the host's other servers."""
    pretended = profile and want["backend"] == "simulator"  # such a server is of any class
    names = [] if pretended else _gpu_names(host["gpu"]["cards"])
    known = gpu_profiles(str(role / ".." / ".." / "group_vars"))
    problem = profiles.profile_problem(known, want.get("groups", []), names, profile)
    before = [uuid for instance in previous.get("instances", []) for uuid in instance.get("gpu_uuids", [])]
    return {
        "profile_problems": [problem] if problem else [],
        "gpus_before": before,
        "gpus_held": _ownership.gpu_holders(host, want["name"]),
    }


def _notes(previous: Any, server: dict[str, Any], role_path: str, at_a_time: str) -> list[str]:
    change = announced_change(previous, server, role_path)
    return [f"{change} (now {at_a_time} hosts at a time)."] if change else []


def _coerced(want: Mapping[str, Any], role: Path) -> dict[str, Any]:
    """The knobs in the types of the role's argument specs."""
    options = _read(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    named = {f"inference_server_{name}": value for name, value in want.items()}
    return {name.removeprefix("inference_server_"): value for name, value in coerced(named, options).items()}


def server_paths(want: dict[str, Any]) -> list[str]:
    """What a server's specification depends on of a host's disk: the files of the key and of adapters, and the state folder."""
    paths = plain(want)
    return [*lora.probed_paths(paths), *([paths["state_dir"]] if paths.get("state_dir") else [])]


def knowledge(
    want: dict[str, Any], gpu_profile: dict[str, Any], host: dict[str, Any], role: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known of the wanted engine and of the wanted model; empty where nothing is.

    The engine comes with the `known` flags of the release that runs; the simulator with the `simulated_timing` of the GPU's class.
    Raises UserError when the driver is too old for each of the engine's images.
    """
    backend, variables = want["backend"], role / "vars"
    engine = engine_file(backend, role)
    recipe = model_recipe(want["model"], str(variables / "models"))
    release = known_release(want, engine, recipe, host["gpu"]["driver_version"])
    flags = _find(role / "files" / "flags", f"{backend}-{release}.json")
    timing = {}
    if backend == "simulator":
        file = _find(variables / "simulated_timing", f"{gpu_profile.get('gpu_class')}.yml")
        timing = file.get("__inference_server_simulated_timing", {})
    return {**engine, "known": flags, "simulated_timing": timing}, recipe


def engine_file(backend: str, role: Path) -> dict[str, Any]:
    """What is known of an engine; empty where nothing is."""
    return _find(role / "vars" / "engines", f"{backend}.yml").get("__inference_server_engine", {})


def model_recipe(model: str, folder: str) -> dict[str, Any]:
    """What is known of a model, by the last part of its name; empty where nothing is."""
    return _find(Path(folder), f"{Path(str(model)).name}.yml").get("__inference_server_recipe", {})


def model_gpu_problem(gpus: list[dict[str, Any]], model: str, folder: str, size: int = 0) -> dict[str, str]:
    """Why a model cannot run on a host's GPUs: `found`, `expected`, `remedy`; empty where it can, or nothing is known."""
    recipe, cards = model_recipe(model, folder), plain(gpus)
    chosen = tensor_parallel.tensor_parallel_size(size, "stable", recipe, cards)
    problems = tensor_parallel.size_problems(str(model), size, chosen, recipe, cards)
    return problems[0]._asdict() if problems else {}


def _find(folder: Path, name: str) -> dict[str, Any]:
    """The file of that name in the folder; empty where there is none, and for a name that leads out of the folder."""
    return next((_read(path) for path in folder.iterdir() if path.name == name), {})


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def server_pinned(server: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """The specification with the image that the host has."""
    return deployment.pinned(plain(server), plain(image))


def rollback_point(before: dict[str, Any], server: dict[str, Any], fact: dict[str, Any]) -> dict[str, Any]:
    """What a host keeps to roll back to."""
    return deployment.rollback_point(plain(before), plain(server), plain(fact))


def rollback_outcome(
    kept: dict[str, Any],
    failed_digest: str,
    enabled: bool,
    check_mode: bool = False,
    failure: str | None = None,
    elapsed_s: float | None = None,
    restarted: bool = True,
) -> dict[str, Any]:
    """Whether a host whose new server failed can be rolled back, and how that ended."""
    return deployment.rollback_outcome(
        plain(kept),
        str(failed_digest),
        enabled=enabled,
        check_mode=check_mode,
        failure=plain(failure),
        elapsed_s=plain(elapsed_s),
        restarted=bool(restarted),
    )


def announced_change(previous: dict[str, Any], server: dict[str, Any], role_path: str) -> str:
    """What a deployment with another image does, and how to stay; empty where the image stays."""
    return deployment.announced_change(plain(previous), plain(server), engine_file(server["backend"], Path(role_path)))


def orphaned_instances(
    previous: dict[str, Any], server: dict[str, Any], target: dict[str, Any], host: Any = None
) -> dict[str, list[str]]:
    """Names of instances to remove, by runtime."""
    containers = _ownership.containers_of(mapping(plain(host)))
    return deployment.orphaned_instances(plain(previous), plain(server), plain(target), containers)


def container_problems(server: dict[str, Any], host: Any, become: bool = False) -> list[str]:
    """Containers of others that have the name of one of a specification's instances."""
    containers = _ownership.containers_of(mapping(plain(host)))
    names = [instance["name"] for instance in plain(server)["instances"]]
    found = _ownership.container_problems(names, names[0], containers, bool(become))
    return [str(problem) for problem in found]


def server_state_dir(name: Any) -> str:
    """The state folder of a server, by its name."""
    return _state_folder.state_dir_of(str(name or ""))


def required_tests(smoke: dict[str, str]) -> dict[str, str]:
    """The smoke tests without those that are only reported."""
    return deployment.required_tests(plain(smoke))


def start_steps(
    server: dict[str, Any], orphans: dict[str, list[str]], has_docker: bool, has_image: bool = False
) -> list[str]:
    """The files of tasks that start a server, in their order."""
    return deployment.start_steps(plain(server), plain(orphans), has_docker=bool(has_docker), has_image=bool(has_image))


def unused_volumes(kept: dict[str, Any], containers: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[str]:
    """The collection's own volumes that no other container has mounted."""
    return deployment.unused_volumes(plain(kept), plain(containers), plain(own))


def gpu_profiles(folder: str) -> dict[str, dict[str, Any]]:
    """Class -> profile, for every file of the folder that holds a `gpu_profile`; empty where there is no such folder."""
    documents = {path.stem: mapping(_read(path)) for path in sorted(Path(folder).glob("*.yml"))}
    return {name: content["gpu_profile"] for name, content in documents.items() if content.get("gpu_profile")}


def gpu_profile_of(gpus: Any, folder: str, groups: Sequence[str] = (), own: Any = None) -> dict[str, Any]:
    """`own` where it is not empty, else the profile of the host's groups, else that of its GPUs; empty when there is none."""
    return _own_profile(own) or profiles.profile_of(gpu_profiles(folder), plain(groups), _gpu_names(gpus))


def _gpu_names(gpus: Any) -> list[str]:
    """The names of GPUs, of a list of them as module host_info has it, or of one that is a name."""
    found = plain(gpus)
    named = [found] if isinstance(found, str) else [mapping(gpu).get("name") for gpu in sequence(found)]
    return [str(name) for name in named if name]


def _own_profile(own: Any) -> dict[str, Any]:
    """A profile that a user gave, as a dict or as text; empty where it is neither."""
    try:
        return mapping(typed({"gpu_profile": own}, {"gpu_profile": {"type": "dict", "default": {}}})["gpu_profile"])
    except UserError:
        return {}


def gpu_profile_problem(gpus: Any, folder: str, groups: Sequence[str] = (), own: Any = None) -> dict[str, str]:
    """What is wrong with the profile of a host: `found`, `expected`, `remedy`, and all in `message`; empty where nothing is."""
    profile = gpu_profile_of(gpus, folder, groups, own)
    problem = profiles.profile_problem(gpu_profiles(folder), plain(groups), _gpu_names(gpus), profile)
    return {**problem._asdict(), "message": str(problem)} if problem else {}


def observed_start(
    ready: dict[str, Any],
    started: dict[str, Any],
    clock: dict[str, Any],
    previous: dict[str, Any],
    weights: dict[str, Any] | None = None,
    smoke: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the tasks of a run returned, as filter server_fact takes it."""
    return deployment.observed_start(*(plain(part) for part in (ready, started, clock, previous, weights, smoke)))


def server_fact(
    server: dict[str, Any], gpu: dict[str, Any], previous: dict[str, Any], ready: dict[str, Any]
) -> dict[str, Any]:
    """The fact `llmfleet_server` of a server that answers."""
    return deployment.server_fact(plain(server), plain(gpu), plain(previous), plain(ready))


def client_urls(fact: dict[str, Any], client_url: str = "") -> list[str]:
    """Where clients reach each instance of a host."""
    try:
        return clients.client_urls(plain(fact), plain(str(client_url)))
    except UserError as error:
        raise AnsibleFilterError(str(error)) from None


def prunable(kept: Any, server_name: str, usage: Any, role_path: str) -> dict[str, Any]:
    """What of earlier deployments can go."""
    engines = [engine_file(name, Path(role_path)) for name in ENGINES]
    images = [image for engine in engines for named in images_by_version(engine).values() for image in named]
    return pruning.prunable(str(server_name), mapping(plain(kept)), mapping(plain(usage)), images)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "server_spec": server_spec,
            "server_state_dir": server_state_dir,
            "announced_change": announced_change,
            "client_urls": client_urls,
            "container_problems": container_problems,
            "gpu_profiles": gpu_profiles,
            "gpu_profile_of": gpu_profile_of,
            "gpu_profile_problem": gpu_profile_problem,
            "model_gpu_problem": model_gpu_problem,
            "model_recipe": model_recipe,
            "observed_start": observed_start,
            "orphaned_instances": orphaned_instances,
            "required_tests": required_tests,
            "rollback_outcome": rollback_outcome,
            "rollback_point": rollback_point,
            "server_fact": server_fact,
            "server_paths": server_paths,
            "server_pinned": server_pinned,
            "start_steps": start_steps,
            "prunable": prunable,
            "unused_volumes": unused_volumes,
        }
