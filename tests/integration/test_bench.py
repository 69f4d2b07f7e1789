from __future__ import annotations

import json
import os

import pytest

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
    found = rows(report)
    assert found["fast"]["metrics"]["output_throughput"] > found["slow"]["metrics"]["output_throughput"]
    assert "SIMULATED" in played.output
    assert "SIMULATED" in (fleet.reports / "latest" / "report.md").read_text()
    fact = json.loads((fleet.folder / "state" / "fast" / "facts.d" / "llmfleet_benchmark.fact").read_text())
    assert fact["metrics"] == found["fast"]["metrics"]
    assert len(json.dumps(fact)) <= 32 * 1024
    assert len(played.tasks_of("fast")) <= 20


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
    found = rows(fleet.report())
    assert found["alive"]["status"] == "ok"
    assert found["dead"]["status"] == "failed"
    assert "deploy.yml" in found["dead"]["reason"]


def test_an_unreachable_host_has_a_row(fleet):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    fleet.add("gone", ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1, ansible_ssh_timeout=2)
    played = fleet.play("bench.yml")
    assert played.rc != 0
    found = rows(fleet.report())
    assert found["one"]["status"] == "ok"
    assert found["gone"]["status"] == "unreachable"


def test_a_limit_still_reports(fleet):
    fleet.add("one", "h100")
    fleet.add("two", "a100")
    assert fleet.play("deploy.yml", limit="h100").rc == 0
    played = fleet.play("bench.yml", limit="h100")
    assert played.rc == 0, played.output
    assert rows(fleet.report())["one"]["status"] == "ok"
    assert rows(fleet.report())["two"]["status"] == "missing"


def test_a_host_without_a_server_is_told_what_to_type(fleet):
    fleet.add("one")
    played = fleet.play("bench.yml")
    assert played.rc != 0
    assert "playbooks/deploy.yml -l one" in rows(fleet.report())["one"]["reason"]


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"benchmark_max_concurrency": -1}, "max_concurrency"),
        ({"benchmark_num_prompts": 0}, "num_prompts"),
        ({"benchmark_model": "other"}, "lfm25_8b_a1b"),
        ({"benchmark_workload": "huge"}, "published"),
    ],
)
def test_a_wrong_choice_is_refused_before_any_load(fleet, choice, told):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    refused = fleet.play("bench.yml", **choice)
    assert refused.rc != 0
    assert told in rows(fleet.report())["one"]["reason"]
    assert files_below(fleet.folder / "state" / "one" / "runs") == []


def test_check_mode_sends_no_load(fleet):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    fleet.play("bench.yml", check=True)
    assert files_below(fleet.folder / "state" / "one" / "runs") == []
