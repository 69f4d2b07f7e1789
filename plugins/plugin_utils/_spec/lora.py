# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""LoRA adapters that are served by a name of their own, beside the model they change: judged, mounted and named to the engine. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._server.weights import is_hub_name

from .engine import fill, is_prefetched
from .flags import Flags
from .validation import is_itself

FOLDER = "/adapters"  # inside a container
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # of an adapter in PEFT's form

Adapter = Mapping[
    str, Any
]  # `name`, `source` (a folder on the host, or a name on the hub), perhaps `revision` and `rank`


def adapters_of(want: Mapping[str, Any]) -> list[Adapter]:
    return list(want.get("lora") or [])


def is_folder(adapter: Adapter) -> bool:
    return str(adapter["source"]).startswith("/")


def probed_paths(want: Mapping[str, Any]) -> list[str]:
    """The files on the host that a specification depends on, for section disk of module host_info."""
    folders = [PurePosixPath(adapter["source"]) for adapter in adapters_of(want) if is_folder(adapter)]
    files = [str(folder / name) for folder in folders for name in (CONFIG, WEIGHTS)]
    return [path for path in [want["api_key_file"], *files] if path]


def fetched(want: Mapping[str, Any]) -> list[dict[str, str]]:
    """The adapters that role model_cache brings with the model's weights: `model` and `revision` of each."""
    hub = [adapter for adapter in adapters_of(want) if not is_folder(adapter)] if is_prefetched(want) else []
    return [{"model": adapter["source"], "revision": adapter.get("revision") or "main"} for adapter in hub]


def mounts(want: Mapping[str, Any]) -> list[str]:
    """The folders of adapters as a container gets them, read-only."""
    return [f"{item['source']}:{FOLDER}/{item['name']}:ro" for item in adapters_of(want) if is_folder(item)]


def marks(want: Mapping[str, Any], host: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What distinguishes the adapters from others: name, source, and when their files were last changed."""
    changed = {entry["path"]: entry["changed_at_s"] for entry in host.get("disk", []) if is_itself(entry)}
    return [
        {**adapter, "changed_at_s": [changed.get(f"{PurePosixPath(adapter['source'])}/{name}") for name in (CONFIG, WEIGHTS)]}
        for adapter in adapters_of(want)
    ]  # fmt: skip


def lora_flags(want: Mapping[str, Any], engine: Mapping[str, Any], home: str | None) -> Flags:
    """The engine's flags for the adapters; none without adapters. `home` is that inside the container, None for a process."""
    adapters, data = adapters_of(want), engine.get("lora", {})
    if not adapters:
        return {}
    named = [f"{adapter['name']}={_path(adapter, home)}" for adapter in adapters]
    flags = {
        flag: named if value == "{adapters}" else fill(value, {"count": len(adapters)}) if isinstance(value, str) else value
        for flag, value in data.get("flags", {}).items()
    }  # fmt: skip
    ranks = [int(adapter["rank"]) for adapter in adapters if adapter.get("rank")]
    if ranks and data.get("rank_flag"):
        flags[data["rank_flag"]] = _allowed_rank(max(ranks), engine.get("known", {}), data["rank_flag"])
    return flags


def _path(adapter: Adapter, home: str | None) -> str:
    """Where the engine finds an adapter."""
    source, revision = str(adapter["source"]), adapter.get("revision")
    if home is None or (not is_folder(adapter) and not revision):
        return source
    if is_folder(adapter):
        return f"{FOLDER}/{adapter['name']}"
    return f"{home}/.cache/huggingface/hub/models--{source.replace('/', '--')}/snapshots/{revision}"


def _allowed_rank(rank: int, known: Mapping[str, Any], flag: str) -> int:
    """The smallest rank that the engine's release accepts and that holds this one."""
    choices = known.get("flags", {}).get(flag, {}).get("choices") or []
    return min((choice for choice in choices if choice >= rank), default=rank)


def lora_problems(
    want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any], host: Mapping[str, Any]
) -> list[Problem]:
    """Why the adapters cannot be served, each reason with its remedy."""
    adapters = adapters_of(want)
    if not adapters:
        return []
    return [
        *_engine_problems(want, engine, recipe),
        *_name_problems(want, [str(adapter["name"]) for adapter in adapters]),
        *(problem for adapter in adapters for problem in _source_problems(adapter, want, host)),
    ]


def _engine_problems(want: Mapping[str, Any], engine: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[Problem]:
    remedy = "empty inference_server_lora, or serve with another engine"
    if want["release"] == "published":
        return [Problem("inference_server_lora is set, and nothing was published with adapters", remedy="use stable")]
    if "lora" not in engine:
        return [Problem(f"inference_server_lora is set, and {want['backend']} serves no adapters", remedy=remedy)]
    verdict = recipe.get("lora", {}).get(want["backend"], True)
    if verdict is not True:
        return [Problem(f"inference_server_lora is set for {want['model']}, and {verdict}", remedy=remedy)]
    return []


def _name_problems(want: Mapping[str, Any], names: Sequence[str]) -> list[Problem]:
    problems = []
    for name in sorted(set(names)):
        what = f"inference_server_lora names an adapter {name!r}"
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            problems.append(Problem(what, "letters, digits, dots, hyphens and underscores"))
        elif name in (want["served_model_name"], want["model"]):
            problems.append(Problem(f"{what}, which is the model's own name", remedy="give it another name"))
        elif list(names).count(name) > 1:
            problems.append(Problem(f"{what} twice", remedy="give each adapter a name of its own"))
    return problems


def _source_problems(adapter: Adapter, want: Mapping[str, Any], host: Mapping[str, Any]) -> list[Problem]:
    source, revision = str(adapter["source"]), adapter.get("revision") or ""
    what = f"inference_server_lora {adapter['name']} has the source {source!r}"
    if not is_folder(adapter) and not is_hub_name(source):
        return [Problem(what, "an absolute path on the host, or a name on the hub such as owner/adapter")]
    if is_folder(adapter) and re.search(r"[:,=\s]", source):
        return [Problem(what, "a path without colon, comma, equals sign and blanks", "move the folder")]
    if revision and (is_folder(adapter) or not is_prefetched(want) or not re.fullmatch(r"[0-9a-f]{40}", revision)):
        expected = "a commit of 40 digits of a name on the hub, with inference_server_prefetch"
        return [Problem(f"inference_server_lora {adapter['name']} has the revision {revision!r}", expected, "leave it out")]  # fmt: skip
    path = f"{PurePosixPath(source)}/{CONFIG}"
    missing = [entry for entry in host.get("disk", []) if entry["path"] == path and not is_itself(entry)]
    if is_folder(adapter) and missing:
        return [Problem(f"{what}, and the host has no {path}", remedy="bring the adapter's folder to the host")]
    return []
