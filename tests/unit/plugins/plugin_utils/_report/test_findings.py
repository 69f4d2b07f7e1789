# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Outliers and drift: what is planted is found, what is alike is left alone."""

from __future__ import annotations

from typing import Any

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.drift import flags
from reports import aggregated


def test_the_planted_slow_gpu_is_found_and_the_others_are_not() -> None:
    result = aggregated(sample.fleet(90, seed=1, noise=0.003, slow={"h100-0004": 0.97}))
    assert [group["outliers"] for group in result["groups"]] == [[], ["h100-0004"], []]
    row = next(row for row in result["hosts"] if row["outlier"])
    assert row["outlier"] == "slow" and row["robust_z"] < -5 and row["deviation"] == pytest.approx(-0.03, abs=0.012)


def test_a_gpu_that_is_too_fast_is_found_as_well() -> None:
    result = aggregated(sample.fleet(60, seed=1, noise=0.003, slow={"a100-0005": 1.2}))
    assert [row["outlier"] for row in result["hosts"] if row["outlier"]] == ["fast"]


def test_few_hosts_have_a_deviation_and_no_verdict() -> None:
    result = aggregated(
        {name: sample.host_facts(name, factor=factor) for name, factor in (("a", 1.0), ("b", 1.0), ("c", 0.5))}
    )
    assert [row["deviation"] for row in result["hosts"]] == pytest.approx([0, 0, -0.5])
    assert all(row["robust_z"] is None and row["outlier"] is None for row in result["hosts"])


def test_an_invalid_host_neither_counts_nor_is_an_outlier() -> None:
    fleet = sample.fleet(30, seed=1, noise=0.003)
    fleet["h100-0001"]["ansible_facts"]["llmfleet_benchmark"].update(status="invalid", reason="x")
    row = next(row for row in aggregated(fleet)["hosts"] if row["host"] == "h100-0001")
    assert row["deviation"] is None and row["outlier"] is None


def drift(change: Any) -> list[dict[str, Any]]:
    fleet = {name: sample.host_facts(name) for name in ("a", "b", "c")}
    change(fleet["c"]["ansible_facts"]["llmfleet_benchmark"])
    return aggregated(fleet)["groups"][0]["drift"]


def set_server(key: str, value: Any) -> Any:
    return lambda fact: fact["provenance"]["server"].update({key: value})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (set_server("image_digest", "sha256:cd"), "image digest"),
        (set_server("engine_version", "0.33.0"), "engine version"),
        (set_server("model_revision", "fedcba"), "model revision"),
        (set_server("argv", ["--model", "x", "--enforce-eager"]), "server flags"),
        (lambda fact: fact["provenance"]["server"]["gpu"].update(driver_version="1"), "GPU driver"),
        (lambda fact: fact["provenance"]["host"].update(kernel="5.15"), "kernel"),
        (lambda fact: fact["client"].update(clock="user"), "benchmark client"),
    ],
)
def test_drift_is_named_with_the_common_value_first(change: Any, what: str) -> None:
    result = drift(change)
    assert [item["what"] for item in result] == [what]
    assert [value["count"] for value in result[0]["values"]] == [2, 1]
    assert result[0]["values"][1]["hosts"] == ["c"]


@pytest.mark.parametrize(
    "change",
    [
        lambda _fact: None,
        set_server("image_digest", None),
        set_server("argv", [*sample.server()["argv"][:-1], "8007"]),
    ],
    ids=["alike", "unknown", "port"],
)
def test_what_is_alike_unknown_or_a_port_is_no_drift(change: Any) -> None:
    assert drift(change) == []


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["--port", "1", "--x"], "--x"),
        (["--port=1", "--host=::", "--x", "y"], "--x y"),
        (["--portal", "1"], "--portal 1"),
        (None, ""),
    ],
)
def test_flags(argv: Any, kept: str) -> None:
    assert flags({"provenance": {"server": {"argv": argv}}}) == kept
