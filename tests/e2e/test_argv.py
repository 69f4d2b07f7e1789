# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every command line that this project makes for vLLM is accepted by the real vLLM's own parser."""

from __future__ import annotations

import itertools
import json
import subprocess
from typing import Any

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.engine import engine_argv

from .conftest import ROOT

VARS = ROOT / "roles" / "inference_server" / "vars"
PARSER = ROOT / "tests" / "support" / "vllm_image" / "parse_argv.py"
ENGINE = yaml.safe_load((VARS / "engines" / "vllm.yml").read_text())["__inference_server_engine"]
RECIPES = {
    path.stem: yaml.safe_load(path.read_text())["__inference_server_recipe"] for path in (VARS / "models").glob("*.yml")
} | {"none": {}}
WANT: dict[str, Any] = {"backend": "vllm", "runtime": "docker", "release": "stable", "extra_args": []}
VALUES = {
    "model": "/models/model",
    "served_model_name": "lfm25_8b_a1b",
    "tensor_parallel_size": 1,
    "host": "0.0.0.0",
    "port": 8000,
}


def parse_errors(image: str, command_lines: list[list[str]]) -> list[str | None]:
    """What the real parser says against each command line; None where it accepts it."""
    command = ["docker", "run", "--rm", "-i", "--entrypoint", "python", "-v", f"{PARSER}:/parse_argv.py:ro", image]
    asked = json.dumps(command_lines)
    done = subprocess.run(
        [*command, "/parse_argv.py"], input=asked, capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout)


def test_every_stable_command_line_parses(image: str) -> None:
    cases = list(itertools.product(sorted(RECIPES), ENGINE["intents"]))
    lines = [engine_argv({**WANT, "intent": intent}, ENGINE, RECIPES[recipe], VALUES) for recipe, intent in cases]
    errors = parse_errors(image, lines)
    assert {case: error for case, error in zip(cases, errors, strict=True) if error} == {}


@pytest.mark.parametrize("recipe", [name for name, recipe in RECIPES.items() if "vllm" in recipe.get("published", {})])
def test_the_published_command_line_still_parses(image: str, recipe: str) -> None:
    line = engine_argv({**WANT, "release": "published"}, ENGINE, RECIPES[recipe], VALUES)
    assert parse_errors(image, [line]) == [None]


def test_the_real_parser_refuses_what_is_wrong(image: str) -> None:
    wrong = [["--max-modellen", "5"], ["--tensor-parallel-size", "two"], ["--reasoning-parser", "qwen33"]]
    assert all(parse_errors(image, [["--model", "m", *arguments] for arguments in wrong]))


def test_the_kept_flags_are_those_of_the_real_parser(image: str, vllm_version: str) -> None:
    """The file was read out of the wheel; a default that is no plain data in the sources is left out there."""
    command = ["docker", "run", "--rm", "-i", "--entrypoint", "python", image, "-", "vllm"]
    generator = (ROOT / "tools" / "known_flags.py").read_text()
    done = subprocess.run(command, input=generator, capture_output=True, text=True, check=True, timeout=300)
    file = ROOT / "roles" / "inference_server" / "files" / "flags" / f"vllm-{vllm_version}.json"
    asked, kept = json.loads(done.stdout), json.loads(file.read_text())
    for name, flag in kept["flags"].items():
        if "default" not in flag:
            asked["flags"][name].pop("default", None)
    assert kept == asked
