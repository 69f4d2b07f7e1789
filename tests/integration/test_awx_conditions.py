# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The project under AWX's conditions: sliced jobs, a workflow, facts and artifacts that go from job to job, and nothing left behind."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as server_process
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx import catalog

from tests.support.awx_jobs import Awx, listing
from tests.support.bench import TOLERANT

from .conftest import free_port

SLICES = 3


@pytest.fixture
def awx(tmp_path):
    """An AWX with three simulated hosts, whose state folders stand for the hosts' own disks."""
    server = Awx(tmp_path / "awx")
    for name, group in (("one", "b200"), ("two", "h100"), ("three", "a100")):
        server.add_host(name, group, inference_server_port=free_port())
    server.group_vars["inference"] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "inference_server_backend": "simulator",
        "inference_server_state_dir": f"{tmp_path}/disks/{{{{ inventory_hostname }}}}",
        "benchmark_validity": TOLERANT,
        "report_dir": f"{tmp_path}/exposed/reports",
    }
    yield server
    for record in tmp_path.glob("disks/*/*/process.json"):
        with suppress(ProcessLookupError):
            os.kill(json.loads(record.read_text())["pid"], 9)


# What a survey gives: text, whatever it means.
DEPLOY = {"inference_server_intent": "benchmark", "inference_server_ready_timeout_s": "60"}
BENCH = {
    "benchmark_workload": "smoke",
    "benchmark_num_prompts": "6",
    "benchmark_max_concurrency": "2",
    "benchmark_input_tokens": "64",
    "benchmark_output_tokens": "16",
}


def rows(tmp_path):
    report = json.loads((tmp_path / "exposed" / "reports" / "latest" / "report.json").read_text())
    return {row["host"]: row for row in report["hosts"]}


def pid_of(tmp_path, host):
    return json.loads((tmp_path / "disks" / host / "llmfleet-server" / "process.json").read_text())["pid"]


def test_deploy_bench_and_report_as_awx_runs_them(awx, tmp_path):
    deployed = awx.launch("deploy.yml", survey=DEPLOY)
    assert deployed.rc == 0, deployed.output

    again = awx.launch("deploy.yml", survey=DEPLOY, check=True)
    assert again.rc == 0, again.output
    assert again.changed() == 0

    bench_in_slices(awx, tmp_path)
    relaunch_on_failed_hosts(awx, tmp_path)
    everything_goes(awx, tmp_path)
    nothing_is_left_behind(awx, tmp_path)


def bench_in_slices(awx, tmp_path):
    handed_over = {}
    for number in range(1, SLICES + 1):
        job = awx.launch("bench.yml", survey=BENCH, artifacts=handed_over, sliced=(number, SLICES))
        assert job.rc == 0, job.output
        assert len(rows(tmp_path)) == 1
        handed_over = {**handed_over, **job.artifacts}
    assert handed_over["llmfleet_report"]

    joined = awx.launch("report.yml", artifacts=handed_over, survey={"report_label": "joined"})
    assert joined.rc == 0, joined.output
    reported = rows(tmp_path)
    assert set(reported) == set(awx.hosts)
    assert {(row["status"], row["workload"]["num_prompts"]) for row in reported.values()} == {("ok", 6)}
    assert len({row["run_id"] for row in reported.values()}) == SLICES
    assert joined.artifacts["llmfleet_report"]


def relaunch_on_failed_hosts(awx, tmp_path):
    os.kill(pid_of(tmp_path, "two"), 9)
    broken = awx.launch("bench.yml", survey=BENCH, limit="two,three")
    assert broken.rc != 0
    assert broken.failed_hosts() == ["two"]
    assert rows(tmp_path)["three"]["status"] == "ok"
    failed = ",".join(broken.failed_hosts())
    assert awx.launch("deploy.yml", survey=DEPLOY, limit=failed).rc == 0
    mended = awx.launch("bench.yml", survey=BENCH, limit=failed)
    assert mended.rc == 0, mended.output
    assert rows(tmp_path)["two"]["status"] == "ok"


def everything_goes(awx, tmp_path):
    """Teardown does not know the engine that a survey chose for deploy: the hosts do."""
    pids = [pid_of(tmp_path, host) for host in awx.hosts]
    awx.group_vars["inference"].pop("inference_server_backend")
    removed = awx.launch("teardown.yml", survey={"inference_server_purge": "false"})
    assert removed.rc == 0, removed.output
    assert [pid for pid in pids if server_process.identity(pid)] == []


def nothing_is_left_behind(awx, tmp_path):
    """Beside the hosts' disks and the exposed folder there is what AWX itself keeps."""
    assert not [path for path in listing(awx.home) if not path.startswith(".ansible/cp")]
    assert {path.name for path in tmp_path.iterdir()} == {"awx", "disks", "exposed"}
    assert {path.name for path in awx.folder.iterdir()} == {"projects", "home"}


def test_facts_alone_make_a_report_when_the_hosts_are_out_of_reach(awx, tmp_path):
    """For an AWX that keeps the facts of today's ansible-core; with one that does not, such a host has no result."""
    awx.fact_prefix = "s1_"
    assert awx.launch("deploy.yml", survey=DEPLOY, limit="one").rc == 0
    assert awx.launch("bench.yml", survey=BENCH, limit="one").rc == 0
    awx.hosts["one"] = {**awx.hosts["one"], "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    job = awx.launch("report.yml", limit="one")
    assert "llmfleet_benchmark" in json.dumps(awx.facts["one"])
    row = rows(tmp_path)["one"]
    assert row["metrics"], job.output
    unasked = awx.launch("report.yml", survey={"report_read_hosts": "false"}, limit="one")
    assert unasked.rc == 0, unasked.output
    assert rows(tmp_path)["one"]["status"] == "ok"


def test_a_group_of_awx_describes_a_class_of_its_own(awx, tmp_path):
    """No file of the project beats that, as none is named after the group."""
    awx.add_host("four", "l40s", inference_server_port=free_port())
    awx.group_vars["l40s"] = {"gpu_profile": {"gpu_class": "l40s", "name": "NVIDIA L40S"}}
    job = awx.launch("deploy.yml", survey=DEPLOY, limit="four")
    assert job.rc == 0, job.output
    fact = json.loads((tmp_path / "disks" / "four" / "facts.d" / "llmfleet_server.fact").read_text())
    assert fact["gpu"]["class"] == "l40s"


def test_a_check_job_on_bare_hosts_predicts_and_changes_nothing(awx, tmp_path):
    job = awx.launch("deploy.yml", survey=DEPLOY, check=True, limit="one")
    assert job.rc == 0, job.output
    assert job.changed() > 0
    assert not (tmp_path / "disks").exists()


def test_a_wrong_survey_answer_is_refused_before_anything_happens(awx, tmp_path):
    job = awx.launch("deploy.yml", survey={"inference_server_backend": "vlm"}, limit="one")
    assert job.rc != 0
    assert "inference_server_backend" in job.output
    assert not (tmp_path / "disks").exists()


def run_workflow(awx, number, answers):
    """The workflow as AWX runs it: each step gets what the steps before it left, sliced ones twice; the status of each step."""
    handed, statuses = {}, {}
    own = {node.identifier: dict(node.extra_data) for node in catalog.WORKFLOWS[0].nodes}
    for step, slices in (("begin", 1), ("deploy", 2), ("bench", 2), ("report", 1)):
        # The slices are jobs of a workflow of their own, which knows the number of the first by what was handed over alone.
        within = number if slices == 1 else 10 * number + slices
        jobs = [
            awx.launch(
                f"{step}.yml", survey={**own[step], **answers}, artifacts=handed, sliced=(n, slices), workflow=within
            )
            for n in range(1, slices + 1)
        ]
        statuses[step] = [job.rc for job in jobs]
        for job in jobs:
            handed = {**handed, **job.artifacts}
        if step == "begin" and jobs[0].rc:
            break
    return statuses, handed


def test_the_workflow_over_two_slices_has_one_identity_and_does_not_report_the_last_ones_figures(awx, tmp_path):
    answers = {**DEPLOY, **BENCH, "llmfleet_limit": "one,three"}
    statuses, handed = run_workflow(awx, 7, answers)
    assert {status for steps in statuses.values() for status in steps} == {0}
    assert handed["llmfleet_run"] == "awx-7"
    reported = rows(tmp_path)
    assert {name: row["status"] for name, row in reported.items() if row["metrics"]} == {"one": "ok", "three": "ok"}
    assert not (tmp_path / "disks" / "two").exists()

    statuses, handed = run_workflow(awx, 8, {**answers, "benchmark_workload": "none such"})
    assert (statuses["deploy"], statuses["bench"], statuses["report"]) == ([0, 0], [2, 2], [2])
    reported = rows(tmp_path)
    assert {reported[name]["status"] for name in ("one", "three")} == {"stale"}
    assert not any(row["metrics"] for row in reported.values())


def test_a_slice_without_a_host_of_the_survey_ends_well_and_a_workflow_without_any_ends_at_once(awx, tmp_path):
    answers = {**DEPLOY, **BENCH, "llmfleet_limit": "one"}
    for number in (1, 2):
        job = awx.launch("deploy.yml", survey=answers, sliced=(number, 2))
        assert job.rc == 0, job.output
    assert {path.name for path in (tmp_path / "disks").iterdir()} == {"one"}
    statuses, _handed = run_workflow(awx, 8, {**answers, "llmfleet_limit": "onee"})
    assert statuses == {"begin": [2]}
