# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host keeps of its server: the rollback point, the outcome of a rollback, orphaned instances, unused volumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._border import cross
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.fact_schema import SERVER
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.deployment import (
    announced_change,
    observed_start,
    orphaned_instances,
    required_tests,
    rollback_outcome,
    rollback_point,
    server_fact,
    start_steps,
    unused_volumes,
)

ROOT = Path(__file__).resolve().parents[5]
ENDPOINT = "http://127.0.0.1:8000"


def spec(digest="new", runtime="docker", names=("llmfleet-server",), image="vllm/vllm-openai:v0.32.0", volumes=()):
    instances = [{"name": name, "volumes": list(volumes)} for name in names]
    return {"digest": digest, "runtime": runtime, "image": image, "endpoint": ENDPOINT, "instances": instances}


ENGINE = {
    "stable": {"version": "0.33.0", "images": [{"image": "vllm/vllm-openai:v0.33.0", "cuda": 13}]},
    "earlier": {"0.32.0": [{"image": "vllm/vllm-openai:v0.32.0", "cuda": 13}]},
}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({}, {}, []),
        ({"image": "vllm/vllm-openai:v0.33.0"}, {}, []),
        ({"image": None}, {}, []),
        (
            {"image": "vllm/vllm-openai:v0.32.0"},
            {"names": ("one", "two")},
            [
                "vLLM 0.32.0 becomes vLLM 0.33.0",
                "2 instances (one, two)",
                "inference_server_engine_version: 0.32.0",
                "_serial",
            ],
        ),
        (
            {"image": "my/vllm:1"},
            {},
            ["1 instance (llmfleet-server) recreated", "To stay: inference_server_image: my/vllm:1."],
        ),
        (
            {"image": "lmsysorg/sglang:v0.5.23", "backend": "sglang"},
            {},
            ["SGLang 0.5.23 becomes vLLM 0.33.0", "To stay: inference_server_image: lmsysorg/sglang:v0.5.23."],
        ),
        # inference_server_engine_version would be refused: no image of that release is known, or has no say: an image is set.
        (
            {"image": "vllm/vllm-openai:v0.30.0"},
            {},
            ["vLLM 0.30.0 becomes vLLM 0.33.0", "To stay: inference_server_image: vllm/vllm-openai:v0.30.0."],
        ),
        (
            {"image": "vllm/vllm-openai:v0.32.0"},
            {"image": "my/vllm:1"},
            ["To stay: inference_server_image: vllm/vllm-openai:v0.32.0."],
        ),
    ],
)
def test_another_image_is_announced_with_the_way_to_stay(old, new, said):
    text = announced_change(
        {"backend": "vllm", **old}, {**spec(**{"image": "vllm/vllm-openai:v0.33.0", **new}), "backend": "vllm"}, ENGINE
    )
    assert bool(text) is bool(said)
    assert [part for part in said if part not in text] == []


def point(current=None, before=None):
    """A rollback point as `llmfleet_server_good` holds it on a host, since the first release of the collection."""
    return {"current": {"spec": current, "fact": {}}, "before": {"spec": before, "fact": {}} if before else None}


def test_a_host_keeps_what_answers_and_what_answered_before_it():
    one, two = spec("1"), spec("2")
    first = rollback_point({}, one, {"n": 1})
    second = rollback_point(first, two, {"n": 2})
    assert first == {"current": {"spec": one, "fact": {"n": 1}}, "before": None}
    assert second == {"current": {"spec": two, "fact": {"n": 2}}, "before": first["current"]}
    assert rollback_point(second, two, {"n": 3})["before"] == first["current"]
    assert rollback_point(second, one, {"n": 1})["before"] == second["current"]


FETCHED = {"changed": True, "commit": "3d1a4c6", "elapsed_s": 33.3}
RUNS = {
    "the first": ((True, FETCHED, {"chat": "fail"}), (True, "3d1a4c6", 33.3, {"chat": "fail"})),
    "another": ((False, {**FETCHED, "changed": False}, {"chat": "pass"}), (False, "3d1a4c6", None, {"chat": "pass"})),
    "weights by the engine": ((True, None, {"chat": "pass"}), (True, None, None, {"chat": "pass"})),
    "check mode": ((False, FETCHED, None), (False, "3d1a4c6", 33.3, {"chat": "skip"})),
}


@pytest.mark.parametrize(("returned", "observed"), RUNS.values(), ids=RUNS)
def test_what_the_tasks_of_a_run_returned(returned, observed):
    changed, weights, summary = returned
    smoke = {"summary": summary} if summary else None
    start = observed_start(
        {"elapsed_s": 0.1}, {"changed": changed}, {"epoch_s": 40.0}, {"smoke": {"chat": "skip"}}, weights, smoke
    )
    names = ("started", "model_revision", "weights_s", "smoke")
    assert start == {"elapsed_s": 0.1, "probed_at_s": 40.0, **dict(zip(names, observed, strict=True))}


OUTCOMES = {
    "off": (point(spec("old")), {"enabled": False}, False, "inference_server_rollback is off"),
    "off, and in check mode": (point(spec("old")), {"enabled": False, "check_mode": True}, False, "is off"),
    "in check mode": (point(spec("old")), {"check_mode": True}, False, "In check mode nothing is rolled back"),
    "on a new host": ({}, {}, False, "nothing to go back to"),
    "where what failed is what answered last": (point(spec("new")), {}, False, "nothing to go back to"),
    "back to a container": (
        point(spec("old")),
        {"elapsed_s": 12.5},
        True,
        f"Rolled back: {ENDPOINT} answers again after 12.5 s",
    ),
    "back to a process": (
        point(spec("old", "process", image="")),
        {"elapsed_s": 1.5},
        True,
        f"Rolled back: {ENDPOINT} answers again after 1.5 s",
    ),
    "where nothing was stopped": (
        point(spec("old")),
        {"elapsed_s": 0.1, "restarted": False},
        True,
        f"Nothing was stopped: {ENDPOINT} still answers",
    ),
    "failed too": (point(spec("old")), {"failure": "no answer", "elapsed_s": 900.0}, True, "failed too: no answer"),
}


@pytest.mark.parametrize(("kept", "how", "possible", "words"), OUTCOMES.values(), ids=OUTCOMES)
def test_the_outcome_of_a_rollback(kept, how, possible, words):
    outcome = rollback_outcome(kept, "new", **{"enabled": True, **how})
    assert outcome["possible"] is possible
    assert words in outcome["message"]


def test_orphaned_instances_are_named_by_runtime():
    two, one = spec(names=("llmfleet-server", "llmfleet-server-2")), spec()
    process = {"runtime": "process", "instances": [{"name": "llmfleet-server"}]}
    assert orphaned_instances(two, one, one) == {"docker": ["llmfleet-server-2"], "process": []}
    assert orphaned_instances(one, two, one) == {"docker": ["llmfleet-server-2"], "process": []}
    assert orphaned_instances(process, one, one) == {"docker": [], "process": ["llmfleet-server"]}
    assert orphaned_instances({}, one, one) == {"docker": [], "process": []}


@pytest.mark.parametrize(
    ("labels", "removed"),
    [
        ({}, []),
        ({"org.llmfleet.server": "another"}, []),
        ({"org.llmfleet.server": "llmfleet-server"}, ["llmfleet-server-2"]),
        ({"org.llmfleet.spec": "1"}, ["llmfleet-server-2"]),
    ],
)
def test_a_container_of_others_is_no_orphan_whatever_its_name(labels, removed):
    two, one = spec(names=("llmfleet-server", "llmfleet-server-2")), spec()
    containers = [{"name": "llmfleet-server-2", "labels": labels}]
    assert orphaned_instances(two, one, one, containers)["docker"] == removed


def test_volumes_that_another_container_has_mounted_stay():
    mounts = ["llmfleet-vllm-01:/root/.cache/vllm", "/data:/data", "my-volume:/x"]
    kept = point(spec(volumes=mounts), spec("old", volumes=["llmfleet-vllm-02:/root/.cache/vllm"]))
    own = [{"Id": "1", "Mounts": [{"Name": "llmfleet-vllm-01"}]}]
    other = {"Id": "2", "Mounts": [{"Name": "llmfleet-vllm-02"}, {"Type": "bind"}]}
    stranger = {"Id": "3"}
    assert unused_volumes(kept, [*own, stranger], own) == ["llmfleet-vllm-01", "llmfleet-vllm-02"]
    assert unused_volumes(kept, [*own, other], own) == ["llmfleet-vllm-01"]
    assert unused_volumes({}, [*own, other], own) == []
    assert unused_volumes(point({"instances": [{"name": "llmfleet-server"}]}), own, own) == []


def test_the_report_knows_every_key_of_the_servers_fact():
    names = ("backend", "release", "intent", "model", "served_model_name", "gpu_class", "model_revision", "run_command")
    instance = {
        "name": "one",
        "argv": ["a"],
        "base_url": ENDPOINT,
        "port": 8000,
        "gpu_uuids": ["GPU-1"],
        "run_command": "a",
    }
    deployed = {
        **spec(),
        **dict.fromkeys(names, "x"),
        "simulated": False,
        "instances": [instance],
        "image_tagged_at": None,
    }
    gpu = {"cards": [{"name": "NVIDIA H100", "uuid": "GPU-1"}], "count": 1, "driver_version": "580.1"}
    ready = {"started": True, "elapsed_s": 61.5, "phases": {"load_s": 9.0}, "smoke": {"chat": "pass"}, "engine": "vllm"}
    fact = server_fact(deployed, gpu, {}, ready)
    assert cross(fact, SERVER) == (fact, "")


LEFT, NONE = {"docker": ["llmfleet-server-2"], "process": []}, {"docker": [], "process": []}


@pytest.mark.parametrize(
    ("target", "orphans", "has_docker", "steps"),
    [
        ({"runtime": "process"}, NONE, True, ["runtime_process"]),
        ({"runtime": "process"}, LEFT, True, ["orphans", "runtime_process"]),
        ({"runtime": "docker", "prefetch": False}, NONE, True, ["image", "containers"]),
        ({"runtime": "docker", "prefetch": True, "lora_fetched": []}, NONE, True, ["image", "weights", "containers"]),
        (
            {"runtime": "docker", "prefetch": True, "lora_fetched": [{"model": "a/b"}]},
            LEFT,
            True,
            ["image", "adapters", "weights", "orphans", "containers"],
        ),
        ({"runtime": "docker", "prefetch": True}, LEFT, False, ["runtime_no_docker"]),
        ({"runtime": "docker", "prefetch": True, "image_id": "sha256:1"}, LEFT, True, ["orphans", "containers"]),
        ({"runtime": "docker", "prefetch": True, "image_id": None}, NONE, True, ["containers"]),
    ],
)
def test_a_host_has_the_steps_that_it_needs(target, orphans, has_docker, steps):
    assert start_steps(target, orphans, has_docker=has_docker) == steps
    folder = ROOT / "roles" / "inference_server" / "tasks"
    assert all((folder / f"{step}.yml").exists() for step in steps)


def test_an_image_that_the_host_has_is_not_pulled():
    target = {"runtime": "docker", "prefetch": True, "lora_fetched": []}
    assert start_steps(target, NONE, has_docker=True, has_image=True) == ["weights", "containers"]


def test_tests_that_are_only_reported_are_left_out():
    smoke = {"chat": "required", "tool_call": "report", "lora": "skip"}
    left_out = {"context": "skip", "messages": "skip", "chat": "required", "tool_call": "skip", "lora": "skip"}
    assert required_tests(smoke) == left_out
