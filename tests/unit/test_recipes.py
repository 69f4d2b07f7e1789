# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model is one file: every recipe says what is read of it, in words that the pinned engines and the smoke tests know."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.filter.server_spec import model_gpu_problem, server_spec
from ansible_collections.llmfleet.serving.plugins.modules.server_smoke import DEFAULTS
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.flags import flag_problems
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.tensor_parallel import (
    is_divisor,
    smallest_size,
    tensor_parallel_size,
)

ROLE = Path(__file__).resolve().parents[2] / "roles" / "inference_server"
RECIPES = {
    path.stem: yaml.safe_load(path.read_text())["__inference_server_recipe"]
    for path in sorted((ROLE / "vars" / "models").glob("*.yml"))
}
ENGINES = ("vllm", "sglang")
# MiB of one GPU as nvidia-smi prints it, and how many GPUs a host of the class is sold with.
CLASSES = {"a100": (81920, 8), "h100": (81559, 8), "h200": (143771, 8), "b200": (183359, 8)}
KEYS = {
    "model", "served_model_name", "license", "parameters_b", "weights_gib", "min_gpu_memory_gib", "context_tokens", "attention_heads",
    "kv_heads", "sampling", "smoke", "lora", "published", "flags",
}  # fmt: skip
REQUIRED = KEYS - {"attention_heads", "kv_heads", "published"}

each_recipe = pytest.mark.parametrize("name", RECIPES)
each_engine = pytest.mark.parametrize("backend", ENGINES)


def known_flags(backend):
    """The flags of each release of the engine that has a file."""
    return [json.loads(path.read_text()) for path in (ROLE / "files" / "flags").glob(f"{backend}-*.json")]


def host(gpu_class, count, **sections):
    mib, _sold = CLASSES[gpu_class]
    cards = [{"name": gpu_class, "uuid": f"GPU-{at}", "memory_total_mib": mib} for at in range(1, count + 1)]
    gpu = {"cards": cards, "count": count, "driver_version": "580.95.05"}
    return {"gpu": gpu, "ports": [], "docker": {"version": "27.0", "containers": []}, "toolkit": {}, **sections}


def want(model, **changes):
    return {
        "name": "llmfleet-server", "backend": "vllm", "runtime": "docker", "release": "stable", "intent": "benchmark", "model": model,
        "model_revision": "", "engine_version": "", "served_model_name": "", "tensor_parallel_size": 0, "instances": 0, "extra_args": [],
        "env": {}, "image": "", "user": "", "hf_cache_dir": "/cache", "compile_cache": True, "prefetch": True, "ulimits": [],
        "volumes": [], "command": [], "bind_address": "127.0.0.1", "port": 8000, "api_key_file": "", "smoke": {}, "simulator": {},
        "python": "python3", "state_dir": "/state", "groups": [], **changes,
    }  # fmt: skip


def made(model, gpu_class="h200", count=8, role=ROLE, **changes):
    return server_spec(want(model, **changes), str(role), {"gpu_class": gpu_class}, host(gpu_class, count))


@each_recipe
def test_a_recipe_has_what_is_read_and_nothing_else(name):
    recipe = RECIPES[name]
    assert REQUIRED <= set(recipe) <= KEYS
    assert recipe["model"].rpartition("/")[2] == name
    assert re.fullmatch(r"[a-z0-9_.-]+", recipe["served_model_name"])
    assert set(recipe["smoke"]) <= set(DEFAULTS)
    assert set(recipe["smoke"].values()) <= {"required", "report", "skip"}
    assert set(recipe["flags"]) <= set(ENGINES)
    assert set(recipe["lora"]) == set(ENGINES)
    assert all(value is True or (isinstance(value, str) and value) for value in recipe["lora"].values())
    assert recipe["weights_gib"] <= recipe["min_gpu_memory_gib"]


def test_served_names_are_told_apart():
    names = [recipe["served_model_name"] for recipe in RECIPES.values()]
    assert len(set(names)) == len(names)


@each_recipe
@each_engine
def test_each_release_of_an_engine_knows_the_flags_and_parsers_of_a_recipe(name, backend):
    releases = known_flags(backend)
    assert releases
    for release in releases:
        assert flag_problems(RECIPES[name]["flags"][backend], release) == []


@each_recipe
def test_a_recipe_fits_a_host_of_some_gpu_class(name):
    sizes = {
        gpu_class: smallest_size(RECIPES[name], RECIPES[name]["min_gpu_memory_gib"], mib)
        for gpu_class, (mib, _sold) in CLASSES.items()
    }
    assert any(size and size <= CLASSES[gpu_class][1] for gpu_class, size in sizes.items()), sizes


@each_recipe
@each_engine
def test_a_known_model_needs_its_name_alone(name, backend):
    spec = made(RECIPES[name]["model"], backend=backend)
    assert spec["problems"] == [] and spec["warnings"] == []
    assert spec["served_model_name"] == RECIPES[name]["served_model_name"]
    argv = spec["instances"][0]["argv"]
    assert argv[argv.index("--served-model-name") + 1] == RECIPES[name]["served_model_name"]


QWEN = "Qwen/Qwen3-235B-A22B-Instruct-2507"


@pytest.mark.parametrize(
    ("model", "gpu_class", "count", "size", "instances"),
    [
        ("LiquidAI/LFM2.5-8B-A1B", "h100", 1, 1, 1),
        ("LiquidAI/LFM2.5-8B-A1B", "h100", 8, 1, 8),
        ("Qwen/Qwen3-8B", "a100", 2, 1, 2),
        (QWEN, "h100", 8, 8, 1),
        (QWEN, "a100", 8, 8, 1),
        (QWEN, "h200", 8, 4, 2),
        (QWEN, "b200", 4, 4, 1),
        ("any/unknown", "h100", 8, 1, 8),
    ],
)
@each_engine
def test_the_memory_says_over_how_many_gpus_a_model_is_spread(backend, model, gpu_class, count, size, instances):
    spec = made(model, gpu_class, count, backend=backend)
    assert spec["problems"] == []
    assert len(spec["instances"]) == instances
    flag = {"vllm": "--tensor-parallel-size", "sglang": "--tp-size"}[backend]
    gpus = []
    for instance in spec["instances"]:
        assert instance["argv"][instance["argv"].index(flag) + 1] == str(size)
        gpus += instance["gpu_uuids"]
        assert len(instance["gpu_uuids"]) == size
    assert len(set(gpus)) == len(gpus) == size * instances


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@each_engine
def test_the_operators_size_wins(backend, size):
    spec = made("Qwen/Qwen3-8B", "b200", backend=backend, tensor_parallel_size=size)
    assert len(spec["instances"]) == 8 // size
    two = made("Qwen/Qwen3-8B", "b200", backend=backend, tensor_parallel_size=size, instances=1)
    assert len(two["instances"]) == 1


@pytest.mark.parametrize(
    ("gpu_class", "count", "size", "words"),
    [
        ("h100", 8, 1, ["8 of them", "438 GiB", "inference_server_tensor_parallel_size: 8"]),
        ("h100", 4, 0, ["4 GPU(s) of 79 GiB", "8 of them", "more GPUs"]),
        ("a100", 1, 0, ["1 GPU(s)", "8 of them", "inference_server_model"]),
        ("h200", 8, 2, ["4 of them", "inference_server_tensor_parallel_size: 4"]),
        ("h200", 8, 3, ["inference_server_tensor_parallel_size is 3", "1, 2, 4, 8", "64 attention heads"]),
    ],
)
def test_a_model_too_large_is_refused_with_the_number_and_the_variable(gpu_class, count, size, words):
    problems = " ".join(made(QWEN, gpu_class, count, tensor_parallel_size=size)["problems"])
    for word in words:
        assert word in problems


@pytest.mark.parametrize(
    ("recipe", "sizes"),
    [
        ({}, [1, 2, 4, 8, 16]),
        ({"attention_heads": 64, "kv_heads": 4}, [1, 2, 4, 8, 16]),
        ({"attention_heads": 40, "kv_heads": 8}, [1, 2, 4, 8]),
        ({"attention_heads": 24, "kv_heads": 8}, [1, 2, 4, 8]),
        ({"attention_heads": 12}, [1, 2, 3, 4, 6, 12]),
    ],
)
def test_heads_divide_a_model(recipe, sizes):
    assert [size for size in range(1, 17) if is_divisor(recipe, size)] == sizes


TIGHT = {"attention_heads": 64, "kv_heads": 4, "weights_gib": 120, "min_gpu_memory_gib": 250}


@pytest.mark.parametrize(
    ("asked", "release", "memory_gib", "size"),
    [
        (0, "stable", [80] * 4, 4),
        (0, "stable", [80] * 2, 2),  # the weights alone: a short context
        (0, "stable", [80], 2),  # not even those
        (0, "stable", [80, 40], 4),  # the smallest GPU counts
        (0, "published", [80] * 4, 1),
        (2, "stable", [80] * 4, 2),
        (0, "stable", [], 1),
        (0, "stable", [None] * 4, 1),
    ],
)
def test_how_many_gpus_a_model_gets(asked, release, memory_gib, size):
    gpus = [{"memory_total_mib": gib and gib * 1024} for gib in memory_gib]
    assert tensor_parallel_size(asked, release, TIGHT, gpus) == size


@pytest.mark.parametrize(
    ("gpu_class", "changes"), [("h100", {"backend": "simulator", "runtime": "process"}), ("cpu", {"backend": "vllm"})]
)
def test_without_a_gpu_no_memory_of_gpus_is_asked_for(gpu_class, changes):
    spec = server_spec(want(QWEN, **changes), str(ROLE), {"gpu_class": gpu_class}, host("h100", 1))
    assert spec["problems"] == []


@pytest.mark.parametrize("release", ["stable", "published"])
@each_engine
def test_a_size_left_open_is_the_same_server_as_before(backend, release):
    def digest(**changes):
        return made("LiquidAI/LFM2.5-8B-A1B", "h100", 2, backend=backend, release=release, **changes)["digest"]

    assert digest() == digest(tensor_parallel_size=1, served_model_name="lfm25_8b_a1b")


@pytest.mark.parametrize(
    ("model", "gpu_class", "count", "size", "word"),
    [
        (QWEN, "h100", 4, 0, "8 of them"),
        (QWEN, "h100", 8, 1, "8 of them"),
        (QWEN, "h100", 8, 0, ""),
        ("any/unknown", "h100", 1, 0, ""),
        ("LiquidAI/LFM2.5-8B-A1B", "h100", 1, 0, ""),
    ],
)
def test_the_preflight_knows_before_anything_is_installed(model, gpu_class, count, size, word):
    cards = host(gpu_class, count)["gpu"]["cards"]
    problem = model_gpu_problem(cards, model, str(ROLE / "vars" / "models"), size)
    assert bool(problem) is bool(word)
    assert word in problem.get("expected", "")


def test_a_new_model_is_one_new_file(tmp_path):
    role = tmp_path / "roles" / "inference_server"
    shutil.copytree(ROLE, role)
    file = {
        "model": "made-up/Vast-400B", "served_model_name": "vast", "license": "none", "parameters_b": 400, "weights_gib": 745,
        "min_gpu_memory_gib": 900, "context_tokens": 65536, "attention_heads": 96, "kv_heads": 8, "sampling": {},
        "smoke": {"chat": "required", "tool_call": "skip"}, "lora": {"vllm": True, "sglang": "not tried"},
        "flags": {"vllm": {"--tool-call-parser": "hermes"}, "sglang": {}},
    }  # fmt: skip
    path = role / "vars" / "models" / "Vast-400B.yml"
    path.write_text(yaml.safe_dump({"__inference_server_recipe": file}))
    spec = made("made-up/Vast-400B", "h200", role=role)
    assert spec["problems"] == []
    (instance,) = spec["instances"]
    assert instance["argv"][instance["argv"].index("--tensor-parallel-size") + 1] == "8"
    assert instance["argv"][instance["argv"].index("--tool-call-parser") + 1] == "hermes"
    assert (spec["served_model_name"], spec["context_tokens"], spec["license"]) == ("vast", 65536, "none")
    assert spec["smoke"] == file["smoke"]
    assert "16 of them" in made("made-up/Vast-400B", "h100", role=role)["problems"][0]
