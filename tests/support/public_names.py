# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every name that users write or read: variables, options, filters, keys of facts, playbooks and tags, as the code has them now."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from ansible.module_utils.basic import AnsibleModule

from tests.support.bench import benchmark
from tests.support.simulator import simulator

COLLECTION = "ansible_collections.llmfleet.serving.plugins"
QUICK = {"frontend_ms": 0.1, "decode_base_ms": 0.2, "decode_expert_ms": 0, "prefill_base_ms": 0.1}
LOAD = {"input_tokens": 32, "output_tokens": 4, "num_prompts": 8, "max_concurrency": 2}
GPU = {"name": "NVIDIA H100 80GB HBM3", "uuid": "GPU-1", "memory_total_mib": 81559}
HOST: dict[str, Any] = {
    "ports": [],
    "gpu": {"state": "present", "count": 1, "driver_version": "580.95.05", "cards": [GPU]},
    "docker": {"version": "28.3.0", "containers": []},
    "toolkit": {"version": "1.20.0", "cdi_devices": ["nvidia.com/gpu=all", "nvidia.com/gpu=GPU-1"]},
}
FAILED = {"name": "n", "status": "fail", "severity": "error", "found": "f", "needed": "n", "remedy": "r"}


def public_names(root: Path, folder: Path) -> dict[str, list[str]]:
    """The names by kind, sorted. `folder` is for the files of a small benchmark, whose fact is one of those that are read."""
    names = {
        "role_options": _role_options(root),
        "role_defaults": _role_defaults(root),
        "module_options": _module_options(root),
        "inventory_options": _inventory_options(root),
        "filters": _filters(root),
        "fact_keys": {
            *_keys("llmfleet_benchmark", benchmark_fact(folder)),
            *(key for name, fact in server_facts(root).items() for key in _keys(name, fact)),
            *_keys("gpu_preflight_summary", filters(root)["preflight_summary"]([FAILED], HOST)),
        },
        "playbooks": [path.name for path in (root / "playbooks").glob("*.yml")],
        "tags": _tags(root),
    }
    return {kind: sorted(set(values)) for kind, values in names.items()}


# -- roles and playbooks ----------------------------------------------------------------------------------------------


def _roles(root: Path) -> list[Path]:
    """The roles that a user may call; one that begins with an underscore is for the others."""
    return [path for path in sorted((root / "roles").iterdir()) if not path.name.startswith("_")]


def _role_options(root: Path) -> Iterator[str]:
    for role in _roles(root):
        for entry, spec in _yaml(role / "meta" / "argument_specs.yml")["argument_specs"].items():
            yield from (f"{role.name}/{entry}/{name}" for name in _options(spec.get("options", {})))


def _role_defaults(root: Path) -> Iterator[str]:
    for role in _roles(root):
        path = role / "defaults" / "main.yml"
        yield from (f"{role.name}/{name}" for name in (_yaml(path) if path.exists() else {}))


def _tags(root: Path) -> Iterator[str]:
    files = [*(root / "playbooks").rglob("*.yml"), *(root / "roles").glob("*/tasks/*.yml")]
    for path in files:
        if "collections" not in path.parts and "group_vars" not in path.parts:
            yield from _tags_in(_yaml(path) or [])


def _tags_in(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The tags of plays, blocks and tasks; what a module calls tags is not among them."""
    for entry in entries:
        tags = entry.get("tags", [])
        yield from [tags] if isinstance(tags, str) else tags
        for section in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from _tags_in(entry.get(section) or [])


# -- plugins ----------------------------------------------------------------------------------------------------------


def _module_options(root: Path) -> Iterator[str]:
    for name in _plugins(root, "modules"):
        module = importlib.import_module(f"{COLLECTION}.modules.{name}")
        options = _argument_spec(module.main) if hasattr(module, "main") else _documented(module)
        yield from (f"{name}/{option}" for option in ["", *_options(options)])


def _argument_spec(main: Any) -> dict[str, Any]:
    """What a module hands to AnsibleModule; it does not come further than that."""
    taken: dict[str, Any] = {}

    def take(self: AnsibleModule, argument_spec: dict[str, Any], **_others: Any) -> None:
        taken.update(argument_spec)
        raise InterruptedError

    with patch.object(AnsibleModule, "__init__", take):
        try:
            main()
        except InterruptedError:
            return taken
    raise AssertionError(f"{main.__module__} made no AnsibleModule")


def _inventory_options(root: Path) -> Iterator[str]:
    for name in _plugins(root, "inventory"):
        plugin = importlib.import_module(f"{COLLECTION}.inventory.{name}")
        yield from (f"{name}/{option}" for option in _options(_documented(plugin)))


def _documented(plugin: Any) -> dict[str, Any]:
    return yaml.safe_load(plugin.DOCUMENTATION)["options"]


def _options(spec: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, option in spec.items():
        yield above + name
        yield from (above + alias for alias in option.get("aliases", []))
        yield from _options(option.get("options") or option.get("suboptions") or {}, f"{above}{name}.")


def _filters(root: Path) -> list[str]:
    """The filters, and the deprecated names that are redirected to one of them."""
    current = filters(root)
    routes = (_yaml(root / "meta" / "runtime.yml").get("plugin_routing") or {}).get("filter") or {}
    redirected = [name for name, route in routes.items() if route.get("redirect", "").rpartition(".")[2] in current]
    return [*current, *redirected]


def filters(root: Path) -> dict[str, Any]:
    """Every filter by its name."""
    plugins = [importlib.import_module(f"{COLLECTION}.filter.{name}") for name in _plugins(root, "filter")]
    return {name: call for plugin in plugins for name, call in plugin.FilterModule().filters().items()}


def _plugins(root: Path, kind: str) -> list[str]:
    return sorted(path.stem for path in (root / "plugins" / kind).glob("*.py") if path.stem != "__init__")


# -- facts ------------------------------------------------------------------------------------------------------------


def benchmark_fact(folder: Path) -> dict[str, Any]:
    """The facts of two small benchmarks of a simulator, one of them repeated, one with levels, on a host that has a GPU."""
    smi = folder / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\n"
        "while echo \"$(date -u '+%Y/%m/%d %H:%M:%S.%3N'), GPU-1, 9.0, 300.00, 1980, 60, 0x4\"; do sleep 0.02; done\n"
    )
    smi.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    with patch.dict(os.environ, PATH=path), simulator(folder, timing=QUICK) as server:
        repeated = benchmark(server.url, folder, repeats=2, **LOAD)
        swept = benchmark(server.url, folder, sweep=[1, 2], **LOAD)
    return {**repeated, "sweep": swept["sweep"]}


def server_facts(root: Path) -> dict[str, dict[str, Any]]:
    """What the role inference_server keeps of a server: its fact, and what to go back to."""
    by_name = filters(root)
    spec = by_name["server_spec"](WANT, str(root / "roles" / "inference_server"), {"gpu_class": "h100"}, HOST)
    assert spec["problems"] == []
    spec = by_name["server_pinned"](spec, {})
    keep = by_name.get("rollback_point") or by_name["server_good"]
    kept = keep({}, spec, None)
    return {"llmfleet_server": by_name["server_fact"](spec, HOST["gpu"], {}, READY), "llmfleet_server_good": kept}


WANT: dict[str, Any] = {
    "name": "llmfleet-server",
    "backend": "vllm",
    "runtime": "docker",
    "release": "stable",
    "intent": "benchmark",
    "model": "LiquidAI/LFM2.5-8B-A1B",
    "served_model_name": "lfm25_8b_a1b",
    "tensor_parallel_size": 1,
    "extra_args": [],
    "env": {},
    "image": "",
    "engine_version": "",
    "model_revision": "",
    "instances": 0,
    "user": "",
    "compile_cache": False,
    "ulimits": [],
    "prefetch": False,
    "smoke": {},
    "hf_cache_dir": "/cache",
    "volumes": [],
    "command": [],
    "bind_address": "127.0.0.1",
    "port": 8000,
    "api_key_file": "",
    "simulator": {},
    "python": "/usr/bin/python3",
    "state_dir": "/state",
}
READY = {"started": True, "elapsed_s": 1.0, "engine_version": "0.32.0", "smoke": {"chat": "pass"}, "phases": {}}


def _keys(name: str, value: Any) -> Iterator[str]:
    """The dotted paths of a document; `[]` stands for the items of a list."""
    yield name
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _keys(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from _keys(f"{name}[]", item)


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())
