# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts become groups, totals and a report that JSON can hold."""

from __future__ import annotations

import json

import facts as sample
import pytest
from reports import aggregated as report


def test_every_host_has_a_row_in_the_given_order() -> None:
    fleet = {**sample.simulated_fleet(), "bare": {}, "bad": sample.host_facts(status="failed", reason="died")}
    result = report(fleet)
    assert [row["host"] for row in result["hosts"]] == list(fleet)
    assert result["totals"]["hosts"] == 5
    assert result["totals"]["ok"] + result["totals"]["missing"] + result["totals"]["failed"] == 5


def test_the_median_is_over_valid_hosts_alone() -> None:
    fleet = {
        "h100-01": sample.host_facts("h100-01", factor=1.0),
        "h100-02": sample.host_facts("h100-02", factor=1.2),
        "h100-03": sample.host_facts("h100-03", factor=9.0, status="invalid", reason="warm cache"),
    }
    group = report(fleet)["groups"][0]
    assert (group["hosts"], group["invalid_hosts"]) == (["h100-01", "h100-02"], ["h100-03"])
    figure = group["metrics"]["output_throughput"]
    assert figure == pytest.approx({"median": 3787 * 1.1, "min": 3787.0, "max": 3787 * 1.2, "count": 2})


def test_what_differs_is_not_put_together() -> None:
    fleet = {
        "a": sample.host_facts("a"),
        "b": sample.host_facts("b", engine="sglang"),
        "c": sample.host_facts("c", simulated=True),
        "d": sample.host_facts("d", workload={**sample.WORKLOAD, "max_concurrency": 8}),
        "e": sample.host_facts("e", "a100"),
    }
    assert [group["hosts"] for group in report(fleet)["groups"]] == [["a"], ["b"], ["c"], ["d"], ["e"]]


def test_an_empty_fleet_and_a_fleet_of_failures() -> None:
    assert report({})["totals"]["hosts"] == 0
    result = report({"a": {}, "b": sample.host_facts(status="failed", reason="died")})
    assert result["groups"] == []
    assert result["totals"]["output_throughput"] is None


def test_a_group_of_invalid_hosts_has_no_figures() -> None:
    group = report({"a": sample.host_facts("a", status="invalid", reason="x")})["groups"][0]
    assert group["metrics"] == {} and group["published"] is None


def test_the_report_is_strict_json_whatever_the_facts_hold() -> None:
    metrics = {"output_throughput": 1.0, "mean_ttft_ms": float("nan"), "p99_itl_ms": "fast", "x": float("inf")}
    json.dumps(report({"a": sample.host_facts(metrics=metrics, energy=float("nan"))}), allow_nan=False)


def test_cost_is_price_over_tokens_of_an_hour() -> None:
    result = report({"a": sample.host_facts("a")}, hourly_price={"h100": 2.99})
    assert result["groups"][0]["cost_per_million_output_tokens"] == pytest.approx(2.99 / (3787 * 3600) * 1e6)
    assert result["hosts"][0]["cost"] == result["groups"][0]["cost_per_million_output_tokens"]
    assert report({"a": sample.host_facts("a")}, hourly_price={"b200": 4.0})["groups"][0]["hourly_price"] is None


def test_energy_is_over_the_hosts_that_measured_it() -> None:
    fleet = {
        "a": sample.host_facts("a"),
        "b": sample.host_facts("b", energy=None),
        "c": sample.host_facts("c", energy="?"),
    }
    energy = report(fleet)["groups"][0]["energy"]
    assert energy["energy_per_output_token_j"]["count"] == 1
    assert report({"s": sample.host_facts("s", simulated=True)})["groups"][0]["energy"] is None
