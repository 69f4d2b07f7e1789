# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.changes import changes
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.gpu_assignment import as_reported

GPU = {"driver": "nvidia", "capabilities": [["gpu"]], "device_ids": ["GPU-1"]}
OLD = {
    "name": "server",
    "port": 8000,
    "argv": ["--model", "m", "--seed", "7", "--trust"],
    "env": {"A": "1"},
    "files": {},
    "key_mark": 1.5,
    "ulimits": ["memlock:-1:-1"],
    "volumes": ["/hf:/root/.cache", "llmfleet-vllm-{image_id}:/c"],
    "gpu_uuids": ["GPU-1"],
    "device_requests": [GPU],
    "user": None,
    "digest": "1",
}
SECRET = "hf_" + "c4nary" * 6


def spec(**instance):
    return {"instances": [{**OLD, **instance}]}


# As the host keeps it: with its image, and in the form of the engine.
PINNED = {**OLD, "volumes": ["/hf:/root/.cache", "llmfleet-vllm-0123:/c"], "device_requests": as_reported([GPU])}
KEPT = {"current": {"spec": {"instances": [PINNED]}, "fact": {}}, "before": None}

REPLACED = {
    "a key that was rotated": ({"key_mark": 2.5}, "the file of the key was changed"),
    "no key any more": ({"key_mark": None}, "no key is asked for any more"),
    "ulimits": (
        {"ulimits": ["memlock:8192", "stack:1"]},
        "ulimits memlock:-1:-1 -> memlock:8192, stack:1",
    ),
    "no ulimits": ({"ulimits": []}, "ulimits memlock:-1:-1 -> none"),
    "arguments": (
        {"argv": ["--model", "m", "--seed", "8", "--trust", "--x"]},
        "arguments -[--seed 7] +[--seed 8] +[--x]",
    ),
    "their order": ({"argv": ["--seed", "7", "--model", "m", "--trust"]}, "arguments in another order"),
    "a secret argument": ({"argv": [*OLD["argv"], "--api-key", SECRET]}, "arguments +[--api-key "),
    "environment": ({"env": {"A": SECRET, "B": SECRET}}, "environment A, B"),
    "volumes": ({"volumes": ["/other:/x", OLD["volumes"][1]]}, "volumes -[/hf:/root/.cache] +[/other:/x]"),
    "GPUs": (
        {"gpu_uuids": ["GPU-2"], "device_requests": [{**GPU, "device_ids": ["GPU-2"]}]},
        "GPUs GPU-1 -> GPU-2",
    ),
    "access": (
        {"device_requests": [{"driver": "cdi", "device_ids": ["nvidia.com/gpu=GPU-1"]}]},
        "access to the GPUs (CDI or --gpus)",
    ),
    "user and port": ({"user": "1000", "port": 8001}, "port 8000 -> 8001; user none -> 1000"),
    "a file": ({"files": {"simulator.json": "{}"}}, "files simulator.json"),
    "nothing that is seen": ({}, "how this release of the collection describes it"),
}


@pytest.mark.parametrize(("instance", "words"), REPLACED.values(), ids=REPLACED)
def test_why_a_server_is_replaced(instance, words):
    (line,) = changes(KEPT, spec(digest="2", **instance))
    assert line.startswith(f"server is replaced: {words}")
    assert SECRET not in line and len(line) <= 600


def test_an_unchanged_server_and_a_new_host_say_nothing():
    assert changes(KEPT, spec()) == []
    assert changes({}, spec(digest="2")) == []
    assert changes({"current": None}, spec(digest="2")) == []


def test_instances_come_and_go():
    assert changes(KEPT, {"instances": [{**OLD, "name": "other"}]}) == ["other is new", "server is removed"]
