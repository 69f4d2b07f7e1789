# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables as `-e` and a survey of AWX give them: text for everything, and nothing where a question stayed open."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx import catalog

from .conftest import free_port

QUESTIONS = sorted(
    {question["variable"] for template in catalog.TEMPLATES for question in template.questions}
    - {"llmfleet_limit", "llmfleet_gpu_class"}
)
# Without these a simulated fleet would look for GPUs.
CHOSEN = ("inference_server_backend", "benchmark_workload")
SMALL = {"benchmark_num_prompts": "4", "benchmark_max_concurrency": "2", "benchmark_output_tokens": "8"}


def test_text_is_taken_for_what_it_stands_for_and_a_second_run_changes_nothing(fleet):
    port = free_port()
    fleet.add("one")
    typed = {
        "inference_server_port": port,
        "inference_server_extra_args": ["--ttft-ms=5", "--seed=3"],
        "inference_server_env": {"A": "1", "B": "x y"},
        "inference_server_smoke": {"tool_call": "skip"},
        "inference_server_rollback": False,
    }
    text = {
        "inference_server_port": f" {port} ",
        "inference_server_extra_args": "--ttft-ms=5 --seed=3",
        "inference_server_env": "A=1 B='x y'",
        "inference_server_smoke": '{"tool_call": "skip"}',
        "inference_server_rollback": "no",
        "inference_server_volumes": "",
        "inference_server_api_key_file": None,
        "inference_server_hf_cache_dir": None,
        "inference_server_ready_timeout_s": "",
    }
    first = fleet.play("deploy.yml", **typed)
    assert first.rc == 0, first.output
    again = fleet.play("deploy.yml", **text)
    assert again.rc == 0, again.output
    assert (first.changed("one"), again.changed("one")) == (2, 0)


@pytest.mark.parametrize(
    ("playbook", "choice"),
    [
        ("deploy.yml", {"inference_server_port": "8000x"}),
        ("deploy.yml", {"inference_server_env": "A"}),
        ("deploy.yml", {"inference_server_extra_args": {"a": 1}}),
        ("deploy.yml", {"inference_server_prefetch": "maybe"}),
        ("bench.yml", {"benchmark_num_prompts": "many"}),
        ("report.yml", {"report_forms": "json,pdf"}),
        ("rollback.yml", {"inference_server_ready_timeout_s": "long"}),
        ("clients.yml", {"inference_server_port": True}),
        ("teardown.yml", {"inference_server_purge": "perhaps"}),
    ],
)
def test_what_is_not_of_its_type_is_refused_by_name_before_anything_is_changed(fleet, playbook, choice):
    fleet.add("one")
    refused = fleet.play(playbook, **choice)
    assert refused.rc != 0
    assert f"{next(iter(choice))}" in refused.output
    assert not (fleet.folder / "state").exists()
    assert refused.module_calls("one") == ([] if playbook != "bench.yml" else ["llmfleet.serving.host_facts"])


@pytest.mark.parametrize("nothing", [None, ""])
def test_questions_of_a_survey_that_stay_open_mean_the_defaults(fleet, nothing):
    fleet.add("one")
    answers = {name: nothing for name in QUESTIONS if name not in CHOSEN}
    for playbook in ("deploy.yml", "bench.yml", "report.yml"):
        done = fleet.play(playbook, **answers, **SMALL)
        assert done.rc == 0, done.output
    again = fleet.play("deploy.yml")
    assert (again.rc, again.changed("one")) == (0, 0)
    kept = [path.name for path in Path(fleet.folder).rglob("*") if "None" in path.name]
    assert kept == []
