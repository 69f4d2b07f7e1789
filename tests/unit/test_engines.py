# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine is made of: one file for how it is started, one for how it speaks, and nothing that another place says otherwise."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.filter.engine_runtime import engine_runtime
from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.counters import COUNTERS
from ansible_collections.llmfleet.serving.plugins.module_utils._server.failure_causes import CAUSES
from ansible_collections.llmfleet.serving.plugins.module_utils._server.start_phases import PHASES, STAGES
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.image_cuda import image_cuda
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.validation import RUNTIMES
from ansible_collections.llmfleet.serving.plugins.plugin_utils._version_floors import DRIVER_BY_CUDA

ROLE = Path(__file__).resolve().parents[2] / "roles" / "inference_server"
STARTED = {
    path.stem: yaml.safe_load(path.read_text())["__inference_server_engine"]
    for path in (ROLE / "vars" / "engines").glob("*.yml")
}
FLAGS = [json.loads(path.read_text()) for path in (ROLE / "files" / "flags").glob("*.json")]
each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.name)


def test_every_engine_is_both_files_and_is_offered():
    options = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert options["inference_server_backend"]["choices"] == list(ENGINES)
    assert set(STARTED) == set(ENGINES)


@each_engine
def test_an_engine_speaks_of_what_is_read(engine):
    assert set(engine.counters) <= set(COUNTERS)
    assert set(engine.phase_seconds) <= set(PHASES)
    assert set(engine.stages) <= set(STAGES)
    assert set(engine.failure_texts) <= {cause.name for cause in CAUSES}
    assert set(engine.runtimes) <= set(RUNTIMES)


@each_engine
def test_patterns_have_the_group_that_is_read(engine):
    figures = [pattern for patterns in engine.phase_seconds.values() for pattern in patterns]
    one_each = [pattern for pattern in (engine.log_time, engine.log_process) if pattern]
    for pattern in [*figures, *one_each]:
        assert re.compile(pattern).groups == 1
    assert bool(engine.warm_up) == bool(engine.log_time) == bool(engine.log_time_format)
    for pattern in [*engine.stages.values(), *engine.failure_texts.values()]:
        assert not re.search(pattern, "")


@each_engine
def test_the_pinned_images_are_of_the_cuda_that_the_tag_rule_says(engine):
    images = STARTED[engine.name].get("stable", {}).get("images", [])
    assert {entry["image"]: entry["cuda"] for entry in images} == {
        entry["image"]: image_cuda(entry["image"]).major for entry in images
    }
    assert {entry["cuda"] for entry in images} <= set(DRIVER_BY_CUDA)


def test_known_flags_are_those_of_the_pinned_releases():
    assert {(entry["engine"], entry["version"]) for entry in FLAGS} >= {
        (name, started["stable"]["version"]) for name, started in STARTED.items() if "stable" in started
    }


@pytest.mark.parametrize(
    ("backend", "runtime"),
    [("vllm", "docker"), ("sglang", "docker"), ("simulator", "process"), ("vlm", "docker"), (None, "docker")],
)
def test_an_engine_says_what_it_runs_as(backend, runtime):
    assert engine_runtime(backend) == runtime
