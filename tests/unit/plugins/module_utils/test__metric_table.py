# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metric table against all that it does not make: what clients measure, schema, module documentation, docs, published tables."""

from __future__ import annotations

import json
import re
from typing import Any

import facts as sample
import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils import _metric_table as table
from ansible_collections.llmfleet.serving.plugins.module_utils._bench import metrics
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients import vllm
from ansible_collections.llmfleet.serving.plugins.modules import bench_serve

PERCENTS = (50.0, 90.0, 99.0)
RESULT = {
    *(metric.key for metric in table.FIGURES),
    *(key for latency in table.LATENCIES for key in table.statistic_keys(latency.name, PERCENTS)),
}
SCHEMA = json.loads((sample.ROOT / "roles/report/files/report.schema.json").read_text())
EXPLAINED = dict(
    re.findall(r"^\| ([^|]+?) \| (`[^|]+`) \|", (sample.ROOT / "docs/report.md").read_text(), re.MULTILINE)
)


def paths(cell: dict[str, Any], above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The path of each number in a published cell."""
    leaves: set[tuple[str, ...]] = set()
    for key, value in cell.items():
        leaves |= paths(value, (*above, key)) if isinstance(value, dict) else {(*above, key)}
    return leaves


def test_each_figure_has_one_row() -> None:
    assert len(table.BY_KEY) == len(table.METRICS)


def test_the_native_client_measures_what_the_table_lists() -> None:
    assert set(metrics.vllm_metrics([], 0, PERCENTS, {})) == RESULT
    assert set(metrics.strict_metrics([], 0, PERCENTS, {})) == {*RESULT, "itl_basis"}


def test_the_client_vllm_gives_the_same_keys() -> None:
    assert set(vllm.metrics({}, PERCENTS)) == RESULT


def test_what_is_derived_is_marked_so() -> None:
    assert set(metrics.derived({"mean_tpot_ms": 5.0})) == {metric.key for metric in table.FIGURES if metric.derived}


def test_every_result_has_the_statistics_that_have_a_row() -> None:
    assert {metric.key for metric in table.METRICS} <= RESULT


@pytest.mark.parametrize("place", ["point", "confidence", "throughput", "history", "digest", "totals"])
def test_the_judged_figure_appears_everywhere(place: str) -> None:
    assert table.JUDGED in table.keys_in(place)


def test_only_known_places_are_named() -> None:
    places = {table.POINT, table.CONFIDENCE, table.THROUGHPUT, table.HISTORY, table.DIGEST, table.TOTALS}
    assert {place for metric in table.METRICS for place in metric.where} == places


def test_the_entry_of_a_repeat_has_all_that_its_readers_look_up() -> None:
    assert {"completed", *table.keys_in(table.CONFIDENCE), *table.keys_in(table.HISTORY)} <= set(table.point_keys())
    assert set(table.point_keys()) == set(table.keys_in(table.POINT))


def test_the_schema_sums_what_the_table_sums() -> None:
    totals = SCHEMA["$defs"]["totals"]
    sums = [name for name, kind in totals["properties"].items() if kind["type"] == ["number", "null"]]
    assert sums == list(table.keys_in(table.TOTALS))
    assert totals["required"] == list(totals["properties"])


def test_the_schema_draws_the_course_of_the_judged_figure() -> None:
    assert SCHEMA["$defs"]["group"]["properties"]["course"]["items"]["required"][-1] == table.JUDGED


def test_the_module_documents_each_figure() -> None:
    documented = yaml.safe_load(bench_serve.RETURN)["benchmark"]["contains"]["metrics"]["contains"]
    assert list(documented) == [metric.key for metric in table.METRICS if metric.meaning]
    assert [metric.key for metric in table.METRICS if not metric.meaning] == [
        f"p99_{latency.name}_ms" for latency in table.LATENCIES
    ]
    for key, entry in documented.items():
        row = table.BY_KEY[key]
        assert (
            " ".join(entry["description"]) if isinstance(entry["description"], list) else entry["description"]
        ) == row.meaning
        assert (entry["type"], entry["sample"]) == (row.type, row.sample)


@pytest.mark.parametrize(
    "metric",
    [
        *table.metrics_in(table.THROUGHPUT),
        *(table.BY_KEY[f"p99_{each.name}_ms"] for each in table.LATENCIES if each.tabled),
    ],
    ids=lambda metric: metric.key,
)
def test_the_docs_explain_each_figure_of_the_reports_tables(metric: table.Metric) -> None:
    (title,) = [title for title, keys in EXPLAINED.items() if f"`{metric.key}`" in keys]
    assert metric.title.startswith(title)


@pytest.mark.parametrize(
    "path", sorted((sample.ROOT / "roles/report/files/published").glob("*.json")), ids=lambda path: path.stem
)
def test_the_table_has_a_path_for_each_published_figure_and_no_other(path: Any) -> None:
    for engine in json.loads(path.read_text())["results"].values():
        for cell in engine.values():
            assert paths(cell) == {metric.published for metric in table.METRICS if metric.published}
