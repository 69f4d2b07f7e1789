# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every state that a host may be in becomes a row with a status and a reason."""

from __future__ import annotations

from typing import Any

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.facts import Wanted, engine, host_row

GOOD = sample.benchmark()


def row(
    variables: dict[str, Any], *, in_play: bool = True, alive: bool = True, gpu_profiles: Any = None, **wanted: Any
) -> dict[str, Any]:
    return host_row(
        "h100-01", variables, in_play=in_play, alive=alive, wanted=Wanted(**wanted), gpu_profiles=gpu_profiles or {}
    )


def with_fact(fact: Any) -> dict[str, Any]:
    return {"ansible_facts": {"llmfleet_benchmark": fact}}


DIED = {"schema_version": 1, "status": "failed", "reason": "server died"}
UNREACHABLE = {"report_contact": {"unreachable": True, "msg": "ssh: refused"}}


PREFLIGHT = {
    "verdict": "failed",
    "checks": [
        {"name": "persistence_mode", "severity": "warning", "found": "off", "needed": "on"},
        {"name": "driver_version", "severity": "error", "found": "driver 535", "needed": "driver 580.0 or newer"},
    ],
}


@pytest.mark.parametrize(
    ("variables", "flags", "status", "words"),
    [
        (sample.host_facts(), {}, "ok", []),
        ({}, {}, "missing", ["bench.yml -l h100-01"]),
        ({}, {"in_play": False, "alive": False}, "missing", ["not part of this run"]),
        ({}, {"alive": False}, "failed", ["during this play"]),
        ({"gpu_preflight_summary": PREFLIGHT}, {"alive": False}, "failed", ["preflight: driver_version: found driver 535"]),
        ({"gpu_preflight_summary": PREFLIGHT}, {}, "missing", ["bench.yml"]),
        (UNREACHABLE, {"alive": False}, "unreachable", ["ssh: refused"]),
        ({**sample.host_facts(), **UNREACHABLE}, {}, "ok", []),
        ({**sample.host_facts(), **UNREACHABLE}, {"this_run_only": True}, "unreachable", ["not counted"]),
        ({"report_contact": {"failed": True, "msg": "no python"}}, {}, "failed", ["no python"]),
        ({"report_contact": {"failed": True, "msg": "no python"}}, {"this_run_only": True}, "failed", ["no python"]),
        (sample.host_facts(), {"in_play": False, "alive": False}, "ok", []),
        (sample.host_facts(), {"in_play": False, "alive": False, "this_run_only": True}, "missing", ["not counted"]),
        (sample.host_facts(), {"alive": False}, "failed", ["not counted"]),
        (with_fact(DIED), {"alive": False}, "failed", ["server died"]),
        (with_fact(DIED), {}, "failed", ["server died"]),
        (sample.host_facts(status="invalid", reason="warm cache"), {}, "invalid", ["warm cache"]),
        (sample.host_facts(status="invalid", reason=None), {}, "invalid", ["no reason"]),
        (sample.host_facts(schema_version=2), {}, "failed", ["schema version 2"]),
        (sample.host_facts(schema_version=None), {}, "failed", ["schema version None"]),
        (sample.host_facts(status="odd"), {}, "failed", ["'odd'"]),
        (sample.host_facts(metrics={"output_throughput": float("nan")}), {}, "failed", ["output_throughput"]),
        (sample.host_facts(metrics=None), {}, "failed", ["output_throughput"]),
        (with_fact({**GOOD, "provenance": "text", "workload": [], "validity": 7}), {}, "failed", ["provenance is 'text'"]),
        (with_fact("not a dictionary"), {}, "failed", ["'not a dictionary'", "bench.yml -l h100-01"]),
        ({"llmfleet_server": "odd"}, {}, "failed", ["llmfleet_server", "deploy.yml -l h100-01"]),
        ({"ansible_facts": None, "gpu_profile": "x"}, {}, "missing", []),
    ],
)  # fmt: skip
def test_status_and_reason(variables: dict[str, Any], flags: dict[str, bool], status: str, words: list[str]) -> None:
    result = row(variables, **flags)
    assert result["status"] == status
    assert (result["reason"] is None) == (status == "ok")
    for word in words:
        assert word in result["reason"]


ENDED_S = 1795349081.0  # 2026-11-22T12:04:41Z, when the sample ended
NIGHT = {"fleet_run": "17"}


@pytest.mark.parametrize(
    ("variables", "wanted", "status", "words"),
    [
        (sample.host_facts(), {"not_before": ENDED_S}, "ok", []),
        (sample.host_facts(), {"not_before": ENDED_S + 1}, "stale", ["ended before 2026-11-22T12:04:42Z", "bench.yml -l h100-01"]),
        (sample.host_facts(finished_at=None), {"not_before": ENDED_S + 1}, "ok", []),
        (sample.host_facts(status="invalid"), {"not_before": ENDED_S + 1}, "stale", ["invalid, 2026-11-22T12:04:41Z"]),
        (with_fact({**DIED, "finished_at": "2026-11-22T12:04:41Z"}), {"not_before": ENDED_S + 1}, "stale", []),
        (sample.host_facts(**NIGHT), {"fleet_run": "17"}, "ok", []),
        (sample.host_facts(**NIGHT), {}, "ok", []),
        (sample.host_facts(**NIGHT), {"fleet_run": "18"}, "stale", ["is of run 17, not of run 18"]),
        (sample.host_facts(), {"fleet_run": "18"}, "stale", ["is of no run over the fleet, not of run 18"]),
        ({}, {"fleet_run": "18", "not_before": ENDED_S}, "missing", ["has no result yet"]),
        ({**sample.host_facts(), **UNREACHABLE}, {"fleet_run": "18"}, "unreachable", ["ssh: refused", "not counted"]),
        ({**sample.host_facts(**NIGHT), **UNREACHABLE}, {"fleet_run": "17"}, "ok", []),
    ],
)  # fmt: skip
def test_a_result_of_another_time_is_stale(
    variables: dict[str, Any], wanted: Any, status: str, words: list[str]
) -> None:
    result = row(variables, **wanted)
    assert result["status"] == status
    assert bool(result["metrics"]) == (status == "ok")
    for word in words:
        assert word in result["reason"]


@pytest.mark.parametrize(
    ("left", "fleet_run", "status"),
    [
        ({}, "17", "ok"),  # a run that only measures
        ({"llmfleet_deployed_8": ["h100-01"], "llmfleet_deployed_9": []}, "17", "ok"),
        ({"llmfleet_deployed_8": ["h100-02"], "llmfleet_deployed_9": []}, "17", "failed"),
        ({"llmfleet_deployed_8": []}, "17", "failed"),
        ({"llmfleet_deployed_8": "h100-01"}, "17", "failed"),  # no list
        ({"llmfleet_deployed_8": []}, "", "ok"),  # the report is not about a run
    ],
)
def test_what_an_older_server_answered_is_no_result_of_a_run_whose_deployment_failed(
    left: dict[str, Any], fleet_run: str, status: str
) -> None:
    result = row({**sample.host_facts(**NIGHT), **left}, fleet_run=fleet_run)
    assert (result["status"], bool(result["metrics"])) == (status, status == "ok")
    if status == "failed":
        assert "its deployment in run 17 did not succeed" in result["reason"]
        assert "run deploy.yml -l h100-01" in result["reason"]


def test_a_failed_check_is_the_reason_when_there_is_no_other() -> None:
    checks = [{"name": "cold_cache", "status": "fail", "message": "12 % of the prompt tokens were cached"}]
    result = row(sample.host_facts(status="invalid", reason=None, validity={"checks": checks}))
    assert result["reason"] == "12 % of the prompt tokens were cached"


@pytest.mark.parametrize("newer", ["llmfleet_benchmark", "facts", "local"])
def test_the_newest_of_run_cache_and_file_counts(newer: str) -> None:
    def fact(place: str) -> dict[str, Any]:
        return {
            **GOOD,
            "run_id": place,
            "finished_at": "2026-11-23T00:00:00Z" if place == newer else "2026-11-22T00:00:00Z",
        }

    local = {"llmfleet_benchmark": fact("local")}
    facts = {"llmfleet_benchmark": fact("facts"), "ansible_local": local}
    variables = {"llmfleet_benchmark": fact("llmfleet_benchmark"), "ansible_facts": facts}
    assert row(variables)["run_id"] == newer


def test_without_facts_the_class_comes_from_the_profile() -> None:
    result = row(sample.bare_host("a100"))
    assert (result["gpu"], result["gpu_name"]) == ("a100", sample.NAMES["a100"])


def test_the_profile_is_the_hosts_own_or_its_classs_or_its_groups() -> None:
    profiles = {gpu: {"gpu_class": gpu, "published_key": f"{gpu} of the class"} for gpu in ("h100", "a100")}
    variables = {**sample.host_facts(), "group_names": ["a100", "inference"]}
    assert row(variables, gpu_profiles=profiles)["published_key"] == "h100"
    del variables["gpu_profile"]
    assert row(variables, gpu_profiles=profiles)["published_key"] == "h100 of the class"
    assert row({"group_names": ["a100", "inference"]}, gpu_profiles=profiles)["published_key"] == "a100 of the class"
    assert row({"group_names": ["l40s"]}, gpu_profiles=profiles)["published_key"] is None


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ({}, None),
        ({"backend": "sglang"}, "sglang"),
        ({"backend": "simulator", "engine": "sglang"}, "sglang"),
        ({"backend": "simulator"}, "vllm"),
    ],
)
def test_engine(server: dict[str, Any], name: str | None) -> None:
    assert engine(server) == name


@pytest.mark.parametrize(("status", "shown"), [("ok", True), ("invalid", True), ("failed", False)])
def test_only_a_measured_host_shows_figures(status: str, shown: bool) -> None:
    assert bool(row(sample.host_facts(status=status, reason="x"))["metrics"]) == shown


def test_a_benchmark_that_failed_now_outweighs_an_older_result() -> None:
    result = row({**sample.host_facts(), "report_failure_reason": "the server is down"}, this_run_only=True)
    assert (result["status"], result["metrics"]) == ("failed", {})
    assert result["reason"].startswith("the server is down")


OWN_RUN = {"run_id": "20261127T000000Z-own", "workload": {"input_tokens": 128, "output_tokens": 32, "num_prompts": 16}}


def test_a_measurement_that_failed_is_shown_with_its_own_run_not_the_one_before() -> None:
    failure = {"report_failure_reason": "the server is down", "report_failed_run": OWN_RUN}
    result = row({**sample.host_facts(), **failure}, this_run_only=True)
    assert (result["run_id"], result["workload"]) == (OWN_RUN["run_id"], OWN_RUN["workload"])
    assert (result["started_at"], result["finished_at"], result["record_path"]) == (None, None, None)
    assert result["validity"] == {"checks": []}
    assert result["provenance"] == {"server": GOOD["provenance"]["server"]}
    assert all(result[key] is None for key in ("client", "strict", "energy", "errors"))
    assert "its last result (ok, 2026-11-22T12:04:41Z, 20261122T120000Z-h100-01) is not counted" in result["reason"]


@pytest.mark.parametrize("flags", [{"in_play": False, "alive": False}, {"alive": False}])
def test_a_result_that_is_not_counted_leaves_nothing_in_the_row(flags: dict[str, bool]) -> None:
    result = row(sample.host_facts(), this_run_only=True, **flags)
    assert (result["run_id"], result["workload"], result["validity"]) == (None, {}, {"checks": []})


def test_a_reason_that_is_too_long_keeps_its_end() -> None:
    reason = "task failed: " + "Traceback " * 500 + "ValueError: no such tokenizer"
    found = row({"report_failure_reason": reason})["reason"]
    assert found.startswith("task failed: ") and found.endswith("ValueError: no such tokenizer") and len(found) <= 1000


def test_what_earlier_releases_kept_of_secrets_is_in_no_report() -> None:
    argv = ["vllm", "serve", "--api-key", "c4nary-Value", "--port", "8000"]
    server = {**GOOD["provenance"]["server"], "argv": argv, "run_command": "docker run -e HF_TOKEN=c4nary-Value image"}
    fact = {**GOOD, "provenance": {**GOOD["provenance"], "server": server}}
    made = row({"ansible_facts": {"llmfleet_benchmark": fact, "llmfleet_server": server}})
    assert made["provenance"]["server"]["argv"] == ["vllm", "serve", "--api-key", "(hidden)", "--port", "8000"]
    assert "c4nary" not in str(made)
