# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept of a server that runs: its image's identity, its fact, the way back to it, and what is no longer wanted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._server.start_phases import pull_s

from .instances import digest_of
from .validation import RUNTIMES


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
        "digest": digest_of([spec["digest"], image_id]),
        "image_id": image_id or None,
        "image_digest": imagedigest_of(image),
        "image_tagged_at": (image.get("Metadata") or {}).get("LastTagTime"),
        "instances": instances,
    }


def imagedigest_of(image: Mapping[str, Any]) -> str | None:
    """The registry's digest of an image; of one that never saw a registry its ID; None when nothing is known."""
    names = image.get("RepoDigests") or []
    return str(names[0]).rpartition("@")[2] if names else image.get("Id")


def server_fact(
    spec: Mapping[str, Any], gpu: Mapping[str, Any], previous: Mapping[str, Any], ready: Mapping[str, Any]
) -> dict[str, Any]:
    """The fact `llmfleet_server` (schema_version 1) of a server that answers.

    `gpu` is that section of what module host_info returns; `ready` is the return of module server_ready with `started` (whether this run
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


def good(kept: Mapping[str, Any], spec: Mapping[str, Any], fact: Mapping[str, Any]) -> dict[str, Any]:
    """What a host keeps to go back to: `current`, which answers now, and `before`, which answered until it came.

    `kept` is what the host kept so far. Each entry holds `spec` and the `fact` of that deployment.
    """
    current = kept.get("current")
    same = current is not None and current["spec"]["digest"] == spec["digest"]
    return {"current": {"spec": spec, "fact": fact}, "before": kept.get("before") if same else current}


def surplus(previous: Mapping[str, Any], spec: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of instances that may run and that the target does not have, by runtime.

    `previous` is the fact of the last deployment, `spec` what this run wanted; on the way back `target` is another one.
    """
    there = {(known["runtime"], item["name"]) for known in (previous, spec) for item in known.get("instances", [])}
    wanted = {(target["runtime"], item["name"]) for item in target["instances"]}
    return {runtime: sorted(name for kind, name in there - wanted if kind == runtime) for runtime in RUNTIMES}
