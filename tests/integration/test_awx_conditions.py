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
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx import site
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx.api import Api, Login

from tests.support.awx_api import TOKEN, awx_settings, serve
from tests.support.awx_api import Awx as AwxApi
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


# -- the workflow as the set-up makes it in AWX, its steps really executed -----------------------------------------------------


class Workflow:
    """An AWX that was set up, whose workflow runs here: the stand-in says which step follows, with which jobs, slices and variables,
    and ansible-runner runs them."""

    def __init__(self, jobs, url, api, report_dir):
        self.jobs, self.api = jobs, api
        settings = awx_settings(
            job_slices=2,
            report_dir=report_dir,
            notification_type="webhook",
            notification_configuration={"url": "https://hooks.example.org/x"},
        )
        api.files = {settings["inventory_source_path"]: list(jobs.hosts)}
        site.settle(Api(Login(url, TOKEN), sleep=lambda _s: None), settings, check=False)
        self.number = api.named("workflow_job_templates", "llmfleet deploy, bench, report")["id"]
        self.statuses, self.artifacts = {}, {}

    def __call__(self, **answers):
        """The status of the workflow; exit statuses and artifacts of its steps stay here."""
        self.statuses, self.artifacts, self.api.notified = {}, {}, []
        return self.api.run_workflow(self.number, answers=answers, perform=self.perform)[0]

    def perform(self, step, jobs):
        done = [
            self.jobs.launch(
                job["playbook"].removeprefix("playbooks/"),
                survey=job["extra_vars"],
                sliced=(max(1, job["job_slice_number"]), job["job_slice_count"]),
                workflow=job["workflow_job"],
            )
            for job in jobs
        ]
        self.statuses[step] = [job.rc for job in done]
        self.artifacts[step] = {name: value for job in done for name, value in job.artifacts.items()}
        return "failed" if any(self.statuses[step]) else "successful", self.artifacts[step]

    def sent(self, name):
        """The notification of a template, as its webhook gets it."""
        (body,) = (json.loads(sent.body) for sent in self.api.notified if sent.name == name)
        return body


@pytest.fixture
def workflow(awx, tmp_path):
    api = AwxApi()
    with serve(api) as url:
        yield Workflow(awx, url, api, f"{tmp_path}/exposed/reports")


def statuses(tmp_path):
    return {name: row["status"] for name, row in rows(tmp_path).items()}


def figures(tmp_path):
    return [name for name, row in rows(tmp_path).items() if row["metrics"]]


def test_the_workflow_over_two_slices_once_good_and_once_with_bench_failing(workflow, tmp_path):
    answers = {**DEPLOY, **BENCH, "llmfleet_limit": "one,three"}
    assert workflow(**answers) == "successful"
    assert workflow.statuses == {"begin": [0], "deploy": [0, 0], "bench": [0, 0], "report": [0]}
    first = workflow.artifacts["begin"]["llmfleet_run"]
    assert rows(tmp_path)["one"]["fleet_run"] == rows(tmp_path)["three"]["fleet_run"] == first
    assert statuses(tmp_path) == {"one": "ok", "three": "ok", "two": "missing"}
    assert not (tmp_path / "disks" / "two").exists()
    assert workflow.sent("llmfleet report")["report"]["totals"]["ok"] == 2

    assert workflow(**{**answers, "benchmark_workload": "smoke", "benchmark_num_prompts": "none"}) == "failed"
    assert workflow.statuses == {"begin": [0], "deploy": [0, 0], "bench": [2, 2], "report": [2]}
    assert statuses(tmp_path) == {"one": "stale", "three": "stale", "two": "missing"}
    assert figures(tmp_path) == []
    assert (
        f"is of run {first}, not of run {workflow.artifacts['begin']['llmfleet_run']}"
        in rows(tmp_path)["one"]["reason"]
    )
    sent = workflow.sent("llmfleet report")
    assert (sent["status"], sent["report"]["totals"]["ok"]) == ("failed", 0)
    assert workflow.sent("llmfleet deploy, bench, report")["status"] == "failed"


def test_a_workflow_whose_deployment_fails_everywhere_fails_also_where_the_servers_before_it_still_answer(
    workflow, tmp_path
):
    answers = {**DEPLOY, **BENCH}
    assert workflow(**answers) == "successful"
    assert workflow(**{**answers, "inference_server_ready_timeout_s": "none"}) == "failed"
    assert workflow.statuses == {"begin": [0], "deploy": [2, 2], "bench": [2, 2], "report": [2]}
    assert figures(tmp_path) == []
    reasons = {(row["status"], row["reason"].partition(" did not")[0]) for row in rows(tmp_path).values()}
    assert reasons == {("failed", f"its deployment in run {workflow.artifacts['begin']['llmfleet_run']}")}
    sent = workflow.sent("llmfleet report")["report"]
    assert sent["totals"]["ok"] == 0
    assert {problem["status"] for problem in sent["problems"]} == {"failed"}
    assert {name for name, _status, _message, _body in workflow.api.notified} == {
        *(f"llmfleet {step}" for step in ("deploy", "bench", "report")),
        "llmfleet deploy, bench, report",
    }


def test_a_slice_without_a_host_of_the_survey_ends_well_and_a_workflow_without_any_ends_at_once(
    awx, workflow, tmp_path
):
    for number in (1, 2):
        job = awx.launch("deploy.yml", survey={**DEPLOY, "llmfleet_limit": "one"}, sliced=(number, 2))
        assert job.rc == 0, job.output
    assert {path.name for path in (tmp_path / "disks").iterdir()} == {"one"}
    assert workflow(llmfleet_limit="onee") == "failed"
    assert workflow.statuses == {"begin": [2]}
