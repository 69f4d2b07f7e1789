# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter around the specification finds what is known of an engine, a model and a simulated GPU by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.filter.server_spec import knowledge, server_spec

ROLE = Path(__file__).resolve().parents[4] / "roles" / "inference_server"
TIMINGS = ROLE / "vars" / "simulated_timing"
HOST = {"gpu": {"cards": [], "count": 0, "driver_version": None}, "ports": []}
WANT = {
    "name": "llmfleet-server", "backend": "simulator", "runtime": "process", "release": "stable", "intent": "benchmark",
    "model": "LiquidAI/LFM2.5-8B-A1B", "model_revision": "", "served_model_name": "m", "tensor_parallel_size": 1,
    "instances": 0, "extra_args": [], "env": {}, "image": "", "engine_version": "", "user": "", "hf_cache_dir": "", "compile_cache": False,
    "prefetch": False, "ulimits": [], "volumes": [], "command": [], "bind_address": "127.0.0.1", "port": 8000,
    "api_key_file": "", "smoke": {}, "simulator": {}, "python": "python3", "state_dir": "/state",
}  # fmt: skip


def settings(gpu_class):
    made = server_spec(WANT, str(ROLE), {"gpu_class": gpu_class}, HOST)
    assert made["problems"] == []
    return json.loads(made["instances"][0]["files"]["simulator.json"])


@pytest.mark.parametrize("gpu_class", sorted(path.stem for path in TIMINGS.glob("*.yml")))
def test_a_class_behaves_as_its_file_says(gpu_class):
    file = yaml.safe_load((TIMINGS / f"{gpu_class}.yml").read_text())
    assert settings(gpu_class)["timing"] == file["__inference_server_simulated_timing"]["vllm"]


@pytest.mark.parametrize("gpu_class", ["toy", "../engines/vllm", None])
def test_a_class_without_a_file_is_a_plain_server(gpu_class):
    assert "timing" not in settings(gpu_class)


@pytest.mark.parametrize(("model", "known"), [("any/LFM2.5-8B-A1B", True), ("any/toy", False), ("..", False)])
def test_a_model_is_known_by_the_last_part_of_its_name(model, known):
    engine, recipe = knowledge({**WANT, "backend": "vllm", "runtime": "docker", "model": model}, {}, HOST, ROLE)
    assert bool(recipe) is known
    assert engine["known"]["version"] == engine["stable"]["version"]


@pytest.mark.parametrize(
    ("changes", "release"),
    [
        ({}, "0.33.0"),
        ({"engine_version": "0.32.0"}, "0.32.0"),
        ({"image": "vllm/vllm-openai:v0.32.0"}, "0.32.0"),
        ({"image": "mirror.example.com/vllm/vllm-openai:v0.31.0-cu129"}, "0.31.0"),
        ({"image": "vllm/vllm-openai:v0.30.0"}, None),
        ({"image": "my/vllm:1"}, None),
        ({"release": "published"}, None),
        ({"runtime": "process"}, None),
    ],
)
def test_the_flags_are_held_against_the_release_that_runs(changes, release):
    want = {**WANT, "backend": "vllm", "runtime": "docker", **changes}
    assert knowledge(want, {}, HOST, ROLE)[0]["known"].get("version") == release
    if release:
        wrong = {**want, "extra_args": ["--watchdog-config", "{}"]}
        problems = server_spec(wrong, str(ROLE), {"gpu_class": "h100"}, {**HOST, "docker": {}, "toolkit": {}})[
            "problems"
        ]
        assert any("--watchdog-config" in problem for problem in problems) is (release != "0.33.0")


def test_an_engine_that_is_not_known_is_one_problem():
    (problem,) = server_spec({**WANT, "backend": "vlm"}, str(ROLE), {"gpu_class": "cpu"}, HOST)["problems"]
    assert "vllm, sglang, simulator" in problem
