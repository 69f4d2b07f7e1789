# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models other than the default, each known by one file, deployed and benchmarked on simulated hosts."""

from __future__ import annotations

import json
import shutil
import urllib.request

import pytest
import yaml

from .conftest import ROOT

VAST = {
    "model": "made-up/Vast-400B", "served_model_name": "vast", "license": "none", "weights_gib": 745, "min_gpu_memory_gib": 900,
    "context_tokens": 16384, "smoke": {"chat": "required", "context": "required"}, "lora": {"vllm": True}, "flags": {},
}  # fmt: skip


def fact_of(fleet, host):
    return json.loads((fleet.folder / "state" / host / "facts.d" / "llmfleet_server.fact").read_text())


def listed(fact):
    with urllib.request.urlopen(f"{fact['endpoint']}/v1/models", timeout=5) as answer:
        return [(entry["id"], entry["root"]) for entry in json.loads(answer.read())["data"]]


@pytest.fixture
def scratch(fleet):
    """The fleet, with a copy of the project to which a recipe was added."""
    fleet.root = fleet.folder / "copy"
    shutil.copytree(ROOT, fleet.root, symlinks=True, ignore=shutil.ignore_patterns(".*", "tests", "reports", "docs"))
    file = fleet.root / "roles" / "inference_server" / "vars" / "models" / "Vast-400B.yml"
    file.write_text(yaml.safe_dump({"__inference_server_recipe": VAST}))
    return fleet


def test_both_shapes_of_model_are_deployed_by_name_alone_and_benchmarked(fleet):
    fleet.add("dense", "h100", inference_server_model="Qwen/Qwen3-8B")
    fleet.add(
        "experts", "b200", inference_server_model="Qwen/Qwen3-235B-A22B-Instruct-2507", inference_server_tensor_parallel_size=8
    )  # fmt: skip
    deployed = fleet.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    assert listed(fact_of(fleet, "dense")) == [("qwen3_8b", "Qwen/Qwen3-8B")]
    assert listed(fact_of(fleet, "experts")) == [("qwen3_235b_a22b", "Qwen/Qwen3-235B-A22B-Instruct-2507")]
    again = fleet.play("deploy.yml")
    assert (again.rc, again.changed("dense"), again.changed("experts")) == (0, 0, 0)
    benched = fleet.play("bench.yml")
    assert benched.rc == 0, benched.output
    assert {entry["status"] for entry in fleet.report()["hosts"]} == {"ok"}


def test_a_new_recipe_is_all_that_a_new_model_needs(scratch):
    scratch.add("one", "h200", inference_server_model="made-up/Vast-400B")
    deployed = scratch.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    fact = fact_of(scratch, "one")
    assert listed(fact) == [("vast", "made-up/Vast-400B")]
    assert (fact["smoke"]["context"], fact["model"]) == ("pass", "made-up/Vast-400B")


def test_an_adapter_is_served_tested_benchmarked_and_shown_to_clients(fleet):
    folder = fleet.folder / "support-de"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    fleet.add("one", inference_server_lora=[{"name": "support-de", "source": str(folder)}])
    deployed = fleet.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    fact = fact_of(fleet, "one")
    assert (fact["lora"], fact["smoke"]["lora"]) == (["support-de"], "pass")
    assert [name for name, _root in listed(fact)] == ["lfm25_8b_a1b", "support-de"]
    again = fleet.play("deploy.yml")
    assert (again.rc, again.changed("one")) == (0, 0)
    assert fleet.play("clients.yml").rc == 0
    snippet = (fleet.folder / "state" / "one" / "clients" / "openai_client.py").read_text()
    assert "support-de" in snippet
    benched = fleet.play("bench.yml", benchmark_model="support-de")
    assert benched.rc == 0, benched.output
    refused = fleet.play("deploy.yml", inference_server_lora=[{"name": "x", "source": "/nonexistent/x"}])
    assert refused.rc != 0 and "the host has no /nonexistent/x/adapter_config.json" in refused.failures("one")
    assert fleet.play("deploy.yml", inference_server_lora=[]).rc == 0
    assert [name for name, _root in listed(fact)] == ["lfm25_8b_a1b"]
