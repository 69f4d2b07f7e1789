# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of a server that runs: its image's identity, its fact, the rollback to it, and what has no place any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden, hidden_argv
from ansible_collections.llmfleet.serving.plugins.module_utils._server.start_phases import pull_s

from .._ownership import not_ours
from .engine import images_by_version, release_of
from .gpu_assignment import as_reported
from .instances import digest_of
from .validation import RUNTIMES

VOLUME_PREFIX = "llmfleet-"  # of the volumes that hold compiled kernels (compile_cache in vars/engines/)


def pinned(spec: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of containers with the image that the host really has: its ID, and volumes that are kept per image.

    `image` is Docker's description of it, empty where the host has not pulled it yet (check mode). A specification that a host
    keeps has its image. What the engine writes in another form than it was asked is in the engine's form from here on; the digests,
    which come before, are not of that form, so that it restarts no server.
    """
    reported = {**spec, "instances": [_reported(instance) for instance in spec["instances"]]}
    return reported if "image_id" in spec else _with_image(reported, image)


def _reported(instance: Mapping[str, Any]) -> dict[str, Any]:
    return {**instance, "device_requests": as_reported(instance["device_requests"])}


def _with_image(spec: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
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
        "image_digest": image_digest_of(image),
        "image_tagged_at": (image.get("Metadata") or {}).get("LastTagTime"),
        "instances": instances,
    }


def image_digest_of(image: Mapping[str, Any]) -> str | None:
    """The registry's digest of an image; of an image that never was in a registry its ID; None when there is no description."""
    names = image.get("RepoDigests") or []
    return str(names[0]).rpartition("@")[2] if names else image.get("Id")


def observed_start(
    ready: Mapping[str, Any],
    started: Mapping[str, Any],
    clock: Mapping[str, Any],
    previous: Mapping[str, Any],
    weights: Mapping[str, Any] | None,
    smoke: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What the tasks of a run returned, as `server_fact` takes it: `ready` with what the others add.

    `started` is the return of the task that starts instances, `clock` that section of module host_info, `weights` the return of module
    model_cache (None where the engine fetches its weights), `smoke` that of module server_smoke (None where it was not run: the outcome
    in `previous`, the last deployment's fact, stays).
    """
    weights = weights or {}
    return {
        **ready,
        "started": bool(started.get("changed")),
        "probed_at_s": clock["epoch_s"],
        "model_revision": weights.get("commit"),
        "weights_s": weights.get("elapsed_s") if weights.get("changed") else None,
        "smoke": smoke["summary"] if smoke else previous.get("smoke") or {},
    }


def server_fact(
    spec: Mapping[str, Any], gpu: Mapping[str, Any], previous: Mapping[str, Any], ready: Mapping[str, Any]
) -> dict[str, Any]:
    """The fact `llmfleet_server` (schema_version 1) of a server that answers.

    `gpu` is that section of what module host_info returns; `ready` is what `observed_start` makes of a run: the return of module
    server_ready with `started` (whether this run started the server), `smoke` (the outcome of each smoke test), `probed_at_s` (when this
    run looked at the host, by the host's clock) and, where role model_cache returned them, `model_revision` and `weights_s`.
    A server found running keeps the `ready_s` and `phases` of its start.
    """
    first = spec["instances"][0]
    return {
        "schema_version": 1,
        **{
            key: spec[key]
            for key in ("backend", "runtime", "release", "intent", "image", "model", "served_model_name", "endpoint")
        },
        "argv": hidden_argv(first["argv"]),
        "simulated": spec["simulated"] or bool(ready.get("simulated")),
        "image_digest": spec.get("image_digest"),
        "model_revision": ready.get("model_revision") or spec["model_revision"],
        "engine_version": ready.get("engine_version"),
        "engine": ready.get("engine") or spec["backend"],
        "gpu": _gpu_fact(spec, gpu),
        "lora": spec.get("lora", []),
        "instances": [
            {key: instance[key] for key in ("name", "base_url", "port", "gpu_uuids")} for instance in spec["instances"]
        ],
        "run_command": hidden(first["run_command"]),
        "spec_digest": spec["digest"],
        "smoke": ready.get("smoke"),
        "ready_s": ready["elapsed_s"] if ready.get("started") else previous.get("ready_s"),
        "phases": start_phases(spec, ready) if ready.get("started") else previous.get("phases"),
    }


def _gpu_fact(spec: Mapping[str, Any], gpu: Mapping[str, Any]) -> dict[str, Any]:
    """The GPUs that the server's instances have, and in `left` those of the host that are left alone."""
    own = {uuid for instance in spec["instances"] for uuid in instance["gpu_uuids"]}
    cards = [card for card in gpu["cards"] if card["uuid"] in own]
    return {
        "class": spec["gpu_class"],
        "name": cards[0]["name"] if cards else None,
        "count": len(cards),
        "driver_version": gpu["driver_version"],
        "uuids": [card["uuid"] for card in cards],
        **({"left": spec["gpus_left"]} if spec.get("gpus_left") else {}),
    }


def start_phases(spec: Mapping[str, Any], ready: Mapping[str, Any]) -> dict[str, float | None]:
    """Seconds of each phase of a start: what the engine logged, and what came before it; None where nothing was logged or was to do."""
    logged = ready.get("phases") or {}
    return {
        "image_s": pull_s(spec.get("image_tagged_at"), ready.get("probed_at_s")),
        "weights_s": ready.get("weights_s") or logged.get("weights_s"),
        **{name: logged.get(name) for name in ("load_s", "compile_s", "ready_s")},
    }


def rollback_point(kept: Mapping[str, Any], spec: Mapping[str, Any], fact: Mapping[str, Any]) -> dict[str, Any]:
    """What a host keeps to roll back to: `current`, which answers now, and `before`, which answered until it came (None on a new host).

    `kept` is what the host kept so far. Each entry holds `spec` and the `fact` of that deployment.
    """
    current = kept.get("current")
    same = current is not None and current["spec"]["digest"] == spec["digest"]
    return {"current": {"spec": spec, "fact": fact}, "before": kept.get("before") if same else current}


def rollback_outcome(
    kept: Mapping[str, Any],
    failed_digest: str,
    *,
    enabled: bool,
    check_mode: bool = False,
    failure: str | None = None,
    elapsed_s: float | None = None,
    restarted: bool = True,
) -> dict[str, Any]:
    """What becomes of a host whose new server failed: `possible`, whether it can be rolled back, and `message`, how that ended.

    `kept` is the host's rollback point, `failed_digest` the specification that failed. After the attempt: `failure`, why the rollback
    failed too (None where it did not), `elapsed_s`, the seconds until the old server answered, and whether it had to be `restarted`: a run
    that failed before it stopped anything has left it running.
    """
    obstacle = _obstacle(kept, failed_digest, enabled=enabled, check_mode=check_mode)
    if obstacle:
        return {"possible": False, "message": obstacle}
    if failure is not None:
        return {
            "possible": True,
            "message": f"The rollback to the specification that answered last failed too: {failure}",
        }
    endpoint = kept["current"]["spec"]["endpoint"]
    if not restarted:
        return {"possible": True, "message": f"Nothing was stopped: {endpoint} still answers"}
    return {"possible": True, "message": f"Rolled back: {endpoint} answers again after {elapsed_s} s"}


def _obstacle(kept: Mapping[str, Any], failed_digest: str, *, enabled: bool, check_mode: bool) -> str | None:
    """Why a host is not rolled back; None where it is."""
    if not enabled:
        return "inference_server_rollback is off, so the host was left as it is"
    if check_mode:
        return "In check mode nothing is rolled back"
    if not kept.get("current") or kept["current"]["spec"]["digest"] == failed_digest:
        return "No other specification answered here before, so there is nothing to go back to"
    return None


def announced_change(previous: Mapping[str, Any], spec: Mapping[str, Any], engine: Mapping[str, Any]) -> str:
    """What a deployment with another image than the last one does, and how to stay; empty where the image is the same or the first.

    `previous` is the fact of the last deployment, empty on a new host; `engine` the file of the specification's engine in vars/engines/.
    """
    old, new = previous.get("image"), spec["image"]
    if not old or not new or old == new:
        return ""
    names = [instance["name"] for instance in spec["instances"]]
    were, will = release_of(old, previous["backend"]), release_of(new, spec["backend"])
    title = {name: ENGINES[name].title for name in (previous["backend"], spec["backend"]) if name in ENGINES}
    what = (
        f"{title.get(previous['backend'])} {were} becomes {title.get(spec['backend'])} {will}: "
        if were and will
        else ""
    )
    known = images_by_version(engine)
    # A release can be named where its images are known, and where none but known images are wanted.
    nameable = (
        previous["backend"] == spec["backend"] and were in known and any(new in images for images in known.values())
    )
    version = f"inference_server_engine_version: {were}, or " if nameable else ""
    return (
        f"{what}{len(names)} instance{'s' * (len(names) > 1)} ({', '.join(names)}) recreated, {old} -> {new}. "
        f"To stay: {version}inference_server_image: {old}. To change a fleet in batches: inference_server_serial"
    )


def orphaned_instances(
    previous: Mapping[str, Any],
    spec: Mapping[str, Any],
    target: Mapping[str, Any],
    containers: Iterable[Mapping[str, Any]] = (),
) -> dict[str, list[str]]:
    """Names of instances that may run and have no place in the target, by runtime.

    `previous` is the fact of the last deployment, `spec` what this run wanted; in a rollback `target` is another one. Of `containers`,
    those of the host when it was read, the ones that are not this server's stay, whatever their names.
    """
    others = {("docker", name) for name in not_ours(containers, server_name_of(target))}
    possible = {
        (described["runtime"], item["name"])
        for described in (previous, spec)
        for item in described.get("instances", [])
    }
    wanted = {(target["runtime"], item["name"]) for item in target["instances"]}
    left = possible - wanted - others
    return {runtime: sorted(name for kind, name in left if kind == runtime) for runtime in RUNTIMES}


def server_name_of(described: Mapping[str, Any]) -> str:
    """The name of the server that a specification or a fact describes: its first instance's."""
    return str(described["instances"][0]["name"])


def required_tests(smoke: Mapping[str, str]) -> dict[str, str]:
    """The smoke tests without those that are only reported, those of the module that are not named among them."""
    modes = {"context": "report", "messages": "report", **smoke}
    return {name: "skip" if mode == "report" else mode for name, mode in modes.items()}


def start_steps(
    target: Mapping[str, Any], orphans: Mapping[str, Iterable[str]], *, has_docker: bool, has_image: bool = False
) -> list[str]:
    """The files of tasks that start `target`, in their order: what a host has no need of is not among them.

    `has_docker` is false on a host without Docker in check mode, `has_image` true where the image was found there. Instances without a
    place stop as late as they can.
    """
    left = ["orphans"] if any(orphans.values()) else []
    if target["runtime"] == "process":
        return [*left, "runtime_process"]
    if not has_docker:
        return ["runtime_no_docker"]
    fetched = [] if "image_id" in target else _fetched(target, has_image=has_image)
    return [*fetched, *left, "containers"]


def _fetched(target: Mapping[str, Any], *, has_image: bool) -> list[str]:
    """What a container needs first. The image comes in the background while the weights do."""
    needed = {"image": not has_image, "adapters": target.get("lora_fetched"), "weights": target.get("prefetch")}
    return [name for name, wanted in needed.items() if wanted]


def unused_volumes(
    kept: Mapping[str, Any], containers: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]]
) -> list[str]:
    """The collection's own volumes in the specifications that a host keeps, less those that another container has mounted.

    `containers` are all of the host as the Docker engine lists them, `own` those of this server.
    """
    entries = [entry for entry in (kept.get("current"), kept.get("before")) if entry]
    mounts = [mount for entry in entries for item in entry["spec"]["instances"] for mount in item.get("volumes") or []]
    ours = {mount.partition(":")[0] for mount in mounts if mount.startswith(VOLUME_PREFIX)}
    own_ids = {container["Id"] for container in own}
    others = [container for container in containers if container["Id"] not in own_ids]
    return sorted(ours - {mount.get("Name") for container in others for mount in container.get("Mounts") or []})
