# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.pruning import prunable

GIB = 2**30
KNOWN = ["vllm/vllm-openai:v0.33.0", "lmsysorg/sglang:v0.5.23"]


def image(name, *tags, size=GIB):
    return {"Id": f"sha256:{name}", "RepoTags": list(tags) or None, "RepoDigests": [], "Size": size}


def spec(image_id, name, runtime="docker"):
    volumes = [f"llmfleet-vllm-{image_id}:/root/.cache/vllm", "/home/me/.cache:/root/.cache"]
    return {
        "spec": {
            "runtime": runtime,
            "image": name,
            "image_id": f"sha256:{image_id}",
            "instances": [{"volumes": volumes}],
        }
    }


KEPT = {"current": spec("new", "vllm/vllm-openai:v0.33.0"), "before": spec("old", "vllm/vllm-openai:v0.32.0")}
USAGE = {
    "Images": [
        image("new", "vllm/vllm-openai:v0.33.0"),
        image("old", "vllm/vllm-openai:v0.32.0"),
        image("older", "vllm/vllm-openai:v0.31.0", size=2 * GIB),
        image("other", "docker.io/lmsysorg/sglang:v0.4"),
        image("used", "vllm/vllm-openai:nightly"),
        image("shared", "vllm/vllm-openai:v0.30.0", "registry.local:5000/mine:1"),
        image("foreign", "postgres:16"),
        image("dangling", "<none>:<none>"),
        {**image("digest"), "RepoDigests": ["vllm/vllm-openai@sha256:aa"]},
    ],
    "Containers": [
        {"ImageID": "sha256:used", "Labels": {}, "Mounts": [{"Name": "llmfleet-vllm-used"}]},
        {"ImageID": "sha256:new", "Labels": {"org.llmfleet.server": "one"}, "Mounts": []},
    ],
    "Volumes": [
        {"Name": "llmfleet-vllm-new", "UsageData": {"Size": GIB}},
        {"Name": "llmfleet-vllm-old", "UsageData": {"Size": GIB}},
        {"Name": "llmfleet-vllm-older", "UsageData": {"Size": GIB}},
        {"Name": "llmfleet-vllm-used", "UsageData": None},
        {"Name": "llmfleet-sglang-triton-x", "UsageData": {"Size": -1}},
        {"Name": "database", "UsageData": {"Size": GIB}},
    ],
}


def names(plan):
    return [item["name"] for item in plan["images"]], [item["name"] for item in plan["volumes"]]


def test_what_runs_what_a_rollback_needs_and_what_is_foreign_stay():
    plan = prunable("one", KEPT, USAGE, KNOWN)
    assert names(plan) == (
        ["vllm/vllm-openai:v0.31.0", "docker.io/lmsysorg/sglang:v0.4", "sha256:digest"],
        ["llmfleet-vllm-older", "llmfleet-sglang-triton-x"],
    )
    assert plan["problems"] == []
    assert "2.00 GiB  image  vllm/vllm-openai:v0.31.0" in plan["text"]
    assert plan["text"].splitlines()[-1].startswith("5.00 GiB at most")


def test_a_new_host_keeps_the_image_before_too_once_there_is_one():
    plan = prunable("one", {**KEPT, "before": None}, USAGE, KNOWN)
    assert "vllm/vllm-openai:v0.32.0" in names(plan)[0] and "llmfleet-vllm-old" in names(plan)[1]


@pytest.mark.parametrize(
    ("kept", "labels", "said"),
    [
        ({}, {}, "no container of this server is deployed here"),
        ({"current": spec("new", "", runtime="process"), "before": None}, {}, "no container of this server"),
        (KEPT, {"org.llmfleet.server": "second"}, "other servers too (second)"),
    ],
)
def test_where_it_is_not_known_what_is_needed_nothing_goes(kept, labels, said):
    usage = {**USAGE, "Containers": [{"ImageID": "sha256:new", "Labels": labels}]}
    plan = prunable("one", kept, usage, KNOWN)
    assert names(plan) == ([], [])
    assert said in plan["problems"][0] and "Remedy: " in plan["problems"][0]


def test_a_host_without_anything_old_is_left_alone():
    plan = prunable("one", KEPT, {"Images": None, "Containers": None, "Volumes": None}, KNOWN)
    assert names(plan) == ([], []) and plan["text"] == "nothing to remove"
