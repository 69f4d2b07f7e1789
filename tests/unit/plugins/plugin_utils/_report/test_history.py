# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs are remembered once, compared with the right one, and judged with their interval."""

from __future__ import annotations

import json
from typing import Any

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import history
from reports import entry, report, rerun


def fleet(run: str, factor: float = 1.0, *, size: int = 30, seed: int = 1, noise: float = 0.003) -> dict[str, Any]:
    names = sample.fleet(size, seed=seed, noise=noise)
    return rerun(sample.fleet(size, seed=seed, noise=noise, slow=dict.fromkeys(names, factor)), run)


def changes(result: dict[str, Any], against: str = "previous") -> list[dict[str, Any]]:
    return [group["change"][against] for group in result["groups"]]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "unchanged"), (0.98, "regression"), (1.02, "improvement"), (0.995, "unchanged")]
)
def test_a_planted_change_is_found_with_its_interval(factor: float, verdict: str) -> None:
    result = report(fleet("two", factor, seed=2), entries=[entry(fleet("one"), "one")])
    for change in changes(result):
        assert change["verdict"] == verdict
        figure = change["metrics"]["output_throughput"]
        assert figure["basis"] == "hosts" and figure["low"] < factor - 1 < figure["high"]
    assert len(result["regressions"]) == (3 if verdict == "regression" else 0)


def test_noise_beyond_the_threshold_is_unclear() -> None:
    result = report(
        fleet("two", 0.98, size=9, noise=0.08, seed=5), entries=[entry(fleet("one", size=9, noise=0.08), "one")]
    )
    assert "unclear" in [change["verdict"] for change in changes(result)]


def test_the_threshold_decides() -> None:
    result = report(fleet("two", 0.98), entries=[entry(fleet("one"), "one")], threshold=0.05)
    assert {change["verdict"] for change in changes(result)} == {"unchanged"}


def test_a_second_report_of_the_same_results_is_no_second_run() -> None:
    first = entry(fleet("one"), "first")
    again = entry(fleet("one"), "again")
    assert history.is_new(first, []) and not history.is_new(again, [first])
    assert changes(report(fleet("one"), entries=[first])) == [None, None, None]


def test_a_label_is_remembered_even_without_a_new_measurement() -> None:
    first = entry(fleet("one"), "first")
    assert history.is_new(entry(fleet("one"), "again", "v1"), [first])


def test_the_previous_run_of_a_group_is_the_newest_that_measured_it() -> None:
    whole = entry(fleet("one"), "whole")
    part = {"h100-0001": fleet("two", 0.9)["h100-0001"], "h100-0004": fleet("two", 0.9)["h100-0004"]}
    result = report(fleet("three"), entries=[whole, entry(part, "part")])
    assert [change["run"] for change in changes(result)] == ["whole", "part", "whole"]


@pytest.mark.parametrize("name", ["v1", "first"])
def test_a_baseline_is_found_by_label_or_folder(name: str) -> None:
    entries = [entry(fleet("one"), "first", "v1"), entry(fleet("two", 0.97), "second")]
    result = report(fleet("three", 0.97), entries=entries, baseline=name)
    assert [change["verdict"] for change in changes(result, "baseline")] == ["regression"] * 3
    assert [change["verdict"] for change in changes(result)] == ["unchanged"] * 3
    assert {each["against"] for each in result["regressions"]} == {"baseline"}


def test_an_unknown_baseline_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'v9'.*v1"):
        report(fleet("two"), entries=[entry(fleet("one"), "first", "v1")], baseline="v9")


def lone(run: str, factor: float, repeats: tuple[float, ...] = ()) -> dict[str, Any]:
    """A fleet of one host."""
    points = [{"output_throughput": 3787 * factor * wobble} for wobble in repeats]
    return rerun({"a": sample.host_facts("a", factor=factor, repeats=points)}, run)


def test_a_lone_host_without_a_past_is_unclear() -> None:
    change = changes(report(lone("two", 0.98), entries=[entry(lone("one", 1.0), "one")]))[0]
    assert (change["verdict"], change["metrics"]["output_throughput"]["basis"]) == ("unclear", None)


def test_a_lone_host_is_judged_by_its_repeats() -> None:
    steady = (0.999, 1.0, 1.001)
    change = changes(report(lone("two", 0.98, steady), entries=[entry(lone("one", 1.0, steady), "one")]))[0]
    figure = change["metrics"]["output_throughput"]
    assert (change["verdict"], figure["basis"]) == ("regression", "groups")
    assert figure["low"] < -0.02 < figure["high"] < 0


@pytest.mark.parametrize(("wobble", "verdict"), [(0.001, "regression"), (0.02, "unclear")])
def test_a_lone_host_with_a_past_is_judged_by_it(wobble: float, verdict: str) -> None:
    entries = [entry(lone(f"run-{day}", 1 + wobble * (-1) ** day), f"day-{day}") for day in range(5)]
    change = changes(report(lone("now", 0.97), entries=entries))[0]
    assert (change["verdict"], change["metrics"]["output_throughput"]["basis"]) == (verdict, "runs")


def test_another_workload_has_another_history() -> None:
    other = {"a": sample.host_facts("a", workload={**sample.WORKLOAD, "max_concurrency": 8})}
    assert changes(report(rerun({"a": sample.host_facts("a")}, "two"), entries=[entry(other, "one")])) == [None]


def test_the_course_has_a_point_for_each_run() -> None:
    entries = [entry(fleet(f"run-{day}", 1 - day / 100), f"day-{day}") for day in range(4)]
    result = report(fleet("now", 0.9), entries=entries)
    course = result["groups"][0]["course"]
    assert [point["run"] for point in course] == ["day-0", "day-1", "day-2", "day-3", "now"]
    throughput = [point["output_throughput"] for point in course]
    assert throughput == sorted(throughput, reverse=True)


def of(run: dict[str, Any], fleet_run: str, *hosts: str) -> dict[str, Any]:
    """Results that were measured in a run over the fleet; of these hosts alone, where some are named."""
    for variables in run.values():
        variables["ansible_facts"]["llmfleet_benchmark"]["fleet_run"] = fleet_run
    return {host: run[host] for host in hosts or run}


def test_the_slices_of_a_run_are_no_runs_of_their_own() -> None:
    def night(name: str, factor: float, seed: int) -> list[dict[str, Any]]:
        whole = fleet(name, factor, seed=seed)
        halves = list(whole)[::2], list(whole)[1::2]
        return [entry(of(whole, name, *half), f"{name}-slice-{index}") for index, half in enumerate(halves)]

    entries = [*night("one", 1.0, 1), *night("two", 0.97, 2)]
    result = report(of(fleet("two", 0.97, seed=2), "two"), entries=entries)
    assert [change["verdict"] for change in changes(result)] == ["regression"] * 3
    for change, group in zip(changes(result), result["groups"]):
        assert change["run"].startswith("one-") and change["metrics"]["output_throughput"]["basis"] == "hosts"
        assert len(group["course"]) == 2
    slice_of_two = report(of(fleet("two", 0.97, seed=2), "two", *list(fleet("two"))[::2]), entries=entries[:3])
    assert {change["run"] for change in changes(slice_of_two)} == {"one-slice-1"}


def test_a_part_of_a_run_is_not_compared_with_that_run() -> None:
    entries = [entry(fleet("one"), "one"), entry(fleet("two", 0.97, seed=2), "two")]
    part = {host: variables for host, variables in fleet("two", 0.97, seed=2).items() if host in list(fleet("two"))[:9]}
    result = report(part, entries=entries)
    assert {change["run"] for change in changes(result)} == {"one"}
    assert not history.is_new(entry(part, "part"), entries)
    assert [len(group["course"]) for group in result["groups"]] == [2, 2, 2]


def test_entries_of_earlier_releases_still_count() -> None:
    old = entry(fleet("one"), "one")
    old.pop("fleet_run")
    for group in old["groups"].values():
        group.pop("results")
    (kept,) = history.parse(json.dumps(old))
    assert [change["verdict"] for change in changes(report(fleet("two", 0.98, seed=2), entries=[kept]))] == [
        "regression"
    ] * 3
    assert not history.is_new(entry(fleet("one"), "again"), [kept])


def test_broken_lines_and_other_schemas_are_left_out() -> None:
    good = entry(fleet("one"), "one")
    halves = [json.dumps({**good, "groups": []}), json.dumps({**good, "groups": {"x": {}}}), '{"schema_version": 1}']
    text = "\n".join(
        [
            '{"schema_version": 1, "run": "cut',
            json.dumps({**good, "schema_version": 9}),
            "[]",
            "",
            *halves,
            json.dumps(good),
        ]
    )
    assert [result["run"] for result in history.parse(text)] == ["one"]


@pytest.mark.parametrize(
    "change",
    [{"run": 1}, {"label": ["v1"]}, {"generated_at": 5}, {"groups": {"x": {"measured": [], "hosts": 1, "values": {}}}}]
    + [{"groups": {"x": {"measured": "m", **part}}} for part in ({"hosts": "1", "values": {}}, {"hosts": 1, "values": []})],
)  # fmt: skip
def test_a_line_of_odd_types_or_without_end_is_left_out(change: dict[str, Any]) -> None:
    good = entry(fleet("one"), "one")
    lines = [json.dumps(good), json.dumps({**good, "groups": {**good["groups"]}, **change}), "[" * 100_000]
    entries = history.parse("\n".join(lines))
    found = report(fleet("now"), entries=entries)
    assert [each["run"] for each in entries] == ["one"]
    assert len(found["groups"][0]["course"]) == 2
