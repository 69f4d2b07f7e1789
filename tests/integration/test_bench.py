# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import threading
import time

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._border import cross
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.fact_schema import BENCHMARK

from tests.support.simulator import simulator

from .test_deploy import files_below, pid_of


def rows(report):
    return {row["host"]: row for row in report["hosts"]}


def test_every_host_is_measured_and_reported(fleet):
    fleet.add("fast", "b200")
    fleet.add("slow", "a100")
    assert fleet.play("deploy.yml").rc == 0
    played = fleet.play("bench.yml")
    assert played.rc == 0, played.output
    report = fleet.report()
    for row in report["hosts"]:
        assert row["status"] == "ok", row
        assert row["simulated"] is True
        assert row["metrics"]["completed"] == row["workload"]["num_prompts"]
        assert row["metrics"]["total_output_tokens"] == row["metrics"]["completed"] * row["workload"]["output_tokens"]
        assert all(check["status"] != "fail" for check in row["validity"]["checks"])
    hosts = rows(report)
    assert hosts["fast"]["metrics"]["output_throughput"] > hosts["slow"]["metrics"]["output_throughput"]
    assert "SIMULATED" in played.output
    assert "SIMULATED" in (fleet.reports / "latest" / "report.md").read_text()
    fact = json.loads((fleet.folder / "state" / "fast" / "facts.d" / "llmfleet_benchmark.fact").read_text())
    assert fact["metrics"] == hosts["fast"]["metrics"]
    assert cross(fact, BENCHMARK) == (fact, ""), "the report knows every key that a real run writes"
    assert len(json.dumps(fact)) <= 32 * 1024
    assert len(played.module_calls("fast")) <= 5, "bench_serve is two: it starts the run and fetches the result"


def test_a_later_report_measures_nothing_again(fleet):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    assert fleet.play("bench.yml").rc == 0
    first = rows(fleet.report())["one"]
    played = fleet.play("report.yml")
    assert played.rc == 0, played.output
    again = rows(fleet.report())["one"]
    assert (again["run_id"], again["metrics"]) == (first["run_id"], first["metrics"])
    assert "llmfleet.serving.bench_serve" not in played.tasks_of("one")


def test_a_dead_server_fails_its_host_and_the_others_are_reported(fleet):
    fleet.add("alive")
    fleet.add("dead")
    assert fleet.play("deploy.yml").rc == 0
    os.kill(pid_of(fleet, "dead"), 9)
    played = fleet.play("bench.yml")
    assert played.rc != 0
    assert "dead" in played.stats["failures"]
    assert "alive" not in played.stats["failures"]
    hosts = rows(fleet.report())
    assert hosts["alive"]["status"] == "ok"
    assert hosts["dead"]["status"] == "failed"
    assert "deploy.yml" in hosts["dead"]["reason"]


def test_an_unreachable_host_has_a_row(fleet):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    fleet.add("gone", ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1, ansible_ssh_timeout=2)
    played = fleet.play("bench.yml")
    assert played.rc != 0
    hosts = rows(fleet.report())
    assert hosts["one"]["status"] == "ok"
    assert hosts["gone"]["status"] == "unreachable"


# In place of ssh: runs what it is asked here, and after so many times does not reach its host any more.
LOSING_SSH = """#!/bin/sh
for command; do :; done
echo >> {folder}/calls
[ "$(wc -l < {folder}/calls)" -le {calls} ] || {{ echo "no route to host" >&2; exit 255; }}
exec sh -c "$command"
"""


def kill_in_the_middle(fleet, host):
    """Kills a host's server once its run sends load."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for progress in (fleet.folder / "state" / host / "runs").glob("*/progress.json"):
            state = json.loads(progress.read_text())
            if state.get("phase") == "run-1" and state["done"]:
                os.kill(pid_of(fleet, host), 9)
                return
        time.sleep(0.05)


def test_hosts_that_are_lost_on_the_way_are_reported(fleet):
    """One loses its server under load, one goes out of reach between two tasks of its own; the third is measured."""
    for name in ("sound", "dies", "goes"):
        fleet.add(name)
    slow = {"inference_server_simulator": {"timing": {"decode_base_ms": 20.0, "frontend_ms": 0.1}}}
    assert fleet.play("deploy.yml", **slow).rc == 0
    ssh = fleet.folder / "ssh"
    ssh.write_text(LOSING_SSH.format(folder=fleet.folder, calls=2))
    ssh.chmod(0o755)
    fleet.hosts["goes"][1].update(ansible_connection="ssh", ansible_ssh_executable=str(ssh), ansible_pipelining=True)
    killer = threading.Thread(target=kill_in_the_middle, args=(fleet, "dies"))
    killer.start()
    played = fleet.play("bench.yml", benchmark_num_prompts=200, benchmark_output_tokens=64)
    killer.join()
    assert played.rc != 0
    assert played.stats["dark"] == {"goes": 1}
    assert "llmfleet.serving.bench_serve" not in played.tasks_of("goes")
    assert "llmfleet.serving.host_facts" in played.tasks_of("goes")
    hosts = rows(fleet.report())
    assert {name: row["status"] for name, row in hosts.items()} == {"sound": "ok", "dies": "invalid", "goes": "failed"}
    assert "unreachable" in hosts["goes"]["reason"]
    assert "failed_share" in hosts["dies"]["reason"]
    assert hosts["dies"]["metrics"]["completed"] > 0


def test_a_limit_still_reports(fleet):
    fleet.add("one", "h100")
    fleet.add("two", "a100")
    assert fleet.play("deploy.yml", limit="h100").rc == 0
    played = fleet.play("bench.yml", limit="h100")
    assert played.rc == 0, played.output
    assert rows(fleet.report())["one"]["status"] == "ok"
    assert rows(fleet.report())["two"]["status"] == "missing"


def test_a_host_without_a_server_gets_the_command_that_starts_one(fleet):
    fleet.add("one")
    played = fleet.play("bench.yml")
    assert played.rc != 0
    assert "the playbook deploy.yml -l one" in rows(fleet.report())["one"]["reason"]


@pytest.mark.parametrize(
    ("choice", "wording"),
    [
        ({"benchmark_max_concurrency": -1}, "max_concurrency"),
        ({"benchmark_num_prompts": 0}, "num_prompts"),
        ({"benchmark_model": "other"}, "lfm25_8b_a1b"),
        ({"benchmark_workload": "huge"}, "published"),
    ],
)
def test_a_wrong_choice_is_refused_before_any_load(fleet, choice, wording):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    refused = fleet.play("bench.yml", **choice)
    assert refused.rc != 0
    assert wording in rows(fleet.report())["one"]["reason"]
    assert files_below(fleet.folder / "state" / "one" / "runs") == []


def test_another_server_is_measured_under_its_own_name(fleet):
    fleet.add("bare")
    fleet.add("deployed")
    assert fleet.play("deploy.yml", limit="deployed").rc == 0
    for name in ("bare", "deployed"):
        with simulator(fleet.folder) as server:
            played = fleet.play("bench.yml", limit=name, benchmark_base_url=server.url)
        assert played.rc == 0, played.output
        fact = json.loads((fleet.folder / "state" / name / "facts.d" / "llmfleet_benchmark.fact").read_text())
        assert (fact["provenance"]["model"], fact["provenance"]["server"]) == ("sim", {})


def test_check_mode_sends_no_load(fleet):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    fleet.play("bench.yml", check=True)
    assert files_below(fleet.folder / "state" / "one" / "runs") == []


def test_a_measurement_that_fails_is_shown_with_its_own_run(fleet):
    """The host keeps a good result; what is shown is the run that failed, with its cause, and nothing of the good one."""
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    assert fleet.play("bench.yml").rc == 0
    good = rows(fleet.report())["one"]
    command = ["sh", "-c", "seq 400; echo 'ValueError: no such tokenizer: x/y' >&2; exit 3"]
    played = fleet.play(
        "bench.yml",
        benchmark_client="vllm",
        benchmark_vllm_command=command,
        benchmark_vllm_tokenizer="x/y",
        benchmark_num_prompts=3,
    )
    assert played.rc != 0
    row = rows(fleet.report())["one"]
    assert (row["status"], row["metrics"], row["validity"]) == ("failed", {}, {"checks": []})
    assert row["run_id"] not in (None, good["run_id"])
    assert (fleet.folder / "state" / "one" / "runs" / row["run_id"]).is_dir()
    assert row["workload"]["num_prompts"] == 3 != good["workload"]["num_prompts"]
    assert "It ended with: ValueError: no such tokenizer: x/y" in row["reason"]
    assert f"its last result (ok, {good['finished_at']}, {good['run_id']}) is not counted" in row["reason"]
