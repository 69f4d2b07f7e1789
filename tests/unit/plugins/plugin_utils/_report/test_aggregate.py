"""Hosts become groups, totals and a report that JSON can hold."""

from __future__ import annotations

import json

import facts as made
import pytest
from reports import aggregated as report


def test_every_host_has_a_row_in_the_given_order() -> None:
    fleet = {**made.simulated_fleet(), "bare": {}, "bad": made.host_facts(status="failed", reason="died")}
    found = report(fleet)
    assert [row["host"] for row in found["hosts"]] == list(fleet)
    assert found["totals"]["hosts"] == 5
    assert found["totals"]["ok"] + found["totals"]["missing"] + found["totals"]["failed"] == 5


def test_the_median_is_over_valid_hosts_alone() -> None:
    fleet = {
        "h100-01": made.host_facts("h100-01", factor=1.0),
        "h100-02": made.host_facts("h100-02", factor=1.2),
        "h100-03": made.host_facts("h100-03", factor=9.0, status="invalid", reason="warm cache"),
    }
    group = report(fleet)["groups"][0]
    assert (group["hosts"], group["invalid_hosts"]) == (["h100-01", "h100-02"], ["h100-03"])
    figure = group["metrics"]["output_throughput"]
    assert figure == pytest.approx({"median": 3787 * 1.1, "min": 3787.0, "max": 3787 * 1.2, "count": 2})


def test_what_differs_is_not_put_together() -> None:
    fleet = {
        "a": made.host_facts("a"),
        "b": made.host_facts("b", engine="sglang"),
        "c": made.host_facts("c", simulated=True),
        "d": made.host_facts("d", workload={**made.WORKLOAD, "max_concurrency": 8}),
        "e": made.host_facts("e", "a100"),
    }
    assert [group["hosts"] for group in report(fleet)["groups"]] == [["a"], ["b"], ["c"], ["d"], ["e"]]


def test_an_empty_fleet_and_a_fleet_of_failures() -> None:
    assert report({})["totals"]["hosts"] == 0
    found = report({"a": {}, "b": made.host_facts(status="failed", reason="died")})
    assert found["groups"] == []
    assert found["totals"]["output_throughput"] is None


def test_a_group_of_invalid_hosts_has_no_figures() -> None:
    group = report({"a": made.host_facts("a", status="invalid", reason="x")})["groups"][0]
    assert group["metrics"] == {} and group["published"] is None


def test_the_report_is_strict_json_whatever_the_facts_hold() -> None:
    metrics = {"output_throughput": 1.0, "mean_ttft_ms": float("nan"), "p99_itl_ms": "fast", "x": float("inf")}
    json.dumps(report({"a": made.host_facts(metrics=metrics, energy=float("nan"))}), allow_nan=False)


def test_cost_is_price_over_tokens_of_an_hour() -> None:
    found = report({"a": made.host_facts("a")}, hourly_price={"h100": 2.99})
    assert found["groups"][0]["cost_per_million_output_tokens"] == pytest.approx(2.99 / (3787 * 3600) * 1e6)
    assert found["hosts"][0]["cost"] == found["groups"][0]["cost_per_million_output_tokens"]
    assert report({"a": made.host_facts("a")}, hourly_price={"b200": 4.0})["groups"][0]["hourly_price"] is None


def test_energy_is_over_the_hosts_that_measured_it() -> None:
    fleet = {"a": made.host_facts("a"), "b": made.host_facts("b", energy=None), "c": made.host_facts("c", energy="?")}
    energy = report(fleet)["groups"][0]["energy"]
    assert energy["energy_per_output_token_j"]["count"] == 1
    assert report({"s": made.host_facts("s", simulated=True)})["groups"][0]["energy"] is None
