# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of a benchmark: one row each, with everything that is said of it in one place. Data.

To add one, compute it in `_bench/metrics.py`, add its row here, and run tools/metric_docs.py, which writes it into the
documentation of the module bench_serve. Results, reports, history and statistics follow.

The order of the rows is that of every table of the report. In results, what is derived follows what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

# Where a figure appears beside the full result and the CSV file, which hold all.
POINT = "point"  # the entry of a repeat, or of a level of a sweep
CONFIDENCE = "confidence"  # the interval over the repeats
THROUGHPUT = "throughput"  # the report's first table, and that of smallest and largest figures
HISTORY = "history"  # what is kept of each run, and the table of changes
DIGEST = "digest"  # the report's summary for set_stats
TOTALS = "totals"  # the report's sum over the fleet

JUDGED = "output_throughput"  # the figure by which measurements are chosen, hosts compared and runs judged


@dataclass(frozen=True)
class Metric:
    """A figure of a result.

    `key` is its name in results and reports, that of `vllm bench serve`'s result file where it has one. `title` is its
    name in the report's tables. `larger_is_better` is None for a figure that is neither good nor bad. `published` is its
    path in a cell of the published tables (roles/report/files/published), empty where they do not have it. `derived`:
    it follows from other figures, whatever measured those. `meaning`, `type` and `sample` are its documentation.
    """

    key: str
    title: str
    unit: str
    larger_is_better: bool | None
    where: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    derived: bool = False
    meaning: str = ""
    type: str = "float"
    sample: Any = None

    @property
    def heading(self) -> str:
        """The title with the unit, for a column of plain numbers."""
        return self.title if self.title.endswith(self.unit) else f"{self.title} ({self.unit})"


@dataclass(frozen=True)
class Latency:
    """A time in milliseconds of which a result has statistics: mean_, median_, std_ and a key for each percentile.

    `mean` and `p99` are where these two statistics appear. `tabled`: the pair has a column in the report's latency table,
    and a chart. `published`: the published tables have the pair. `per_request`: there is one value a request, so that it
    can have an objective. `sample` is that of the mean.
    """

    name: str
    title: str
    meaning: str
    sample: float
    mean: tuple[str, ...]
    p99: tuple[str, ...]
    tabled: bool = True
    published: bool = True
    per_request: bool = True


FIGURES = (
    Metric(
        "duration", "Duration", "s", None, (POINT,),
        meaning="Seconds from the start of the load to the end of the last request.", sample=149.9,
    ),
    Metric(
        "completed", "Completed", "requests", True, (POINT,),
        meaning="Requests that succeeded, by the strict rules.", type="int", sample=512,
    ),
    Metric(
        "failed", "Failed", "requests", False, (POINT,),
        meaning="Requests that did not.", type="int", sample=0,
    ),
    Metric(
        "total_input_tokens", "Input", "tokens", None,
        meaning="Prompt tokens of the completed requests, as the server counts them.", type="int", sample=4194304,
    ),
    Metric(
        "total_output_tokens", "Output", "tokens", None,
        meaning="Generated tokens of the completed requests, as the server counts them.", type="int", sample=1048576,
    ),
    Metric(
        "request_throughput", "Requests", "requests/s", True, (POINT,),
        meaning="Completed requests per second.", sample=3.41,
    ),
    Metric(
        "output_throughput", "Gen. tok/s", "tok/s", True,
        (POINT, CONFIDENCE, THROUGHPUT, HISTORY, DIGEST, TOTALS), published=("output_tok_s",),
        meaning="Generated tokens per second.", sample=6995.2,
    ),
    Metric(
        "per_user_output_throughput", "Per-user tok/s", "tok/s", True,
        (POINT, THROUGHPUT, DIGEST), published=("per_user_tok_s",), derived=True,
        meaning="Tokens per second that one user sees, 1000 / RV(benchmark.metrics.mean_tpot_ms).", sample=241.5,
    ),
    Metric(
        "total_token_throughput", "Total tok/s", "tok/s", True,
        (POINT, CONFIDENCE, THROUGHPUT, DIGEST, TOTALS), published=("total_tok_s",),
        meaning="Prompt and generated tokens per second.", sample=34976.0,
    ),
    Metric(
        "max_output_tokens_per_s", "Peak tok/s", "tok/s", True,
        meaning="Most events (RV(benchmark.strict), tokens) in a second.", sample=9245.0,
    ),
    Metric(
        "max_concurrent_requests", "Peak concurrency", "requests", None,
        meaning="Most requests that touch one second (RV(benchmark.strict), that are in flight at one moment).",
        type="int", sample=40,
    ),
    Metric(
        "request_goodput", "Goodput", "requests/s", True,
        meaning="Completed requests per second that meet O(slo); null without it.",
    ),
)  # fmt: skip

LATENCIES = (
    Latency(
        "ttft", "TTFT",
        "Mean time to first token in milliseconds. Besides it there are C(median_), C(std_) and C(pNN_) for each of "
        "O(percentiles), and all of them for C(tpot), C(itl) and C(e2el); null where nothing could be measured.", 882.3,
        mean=(POINT, CONFIDENCE, THROUGHPUT, HISTORY, DIGEST), p99=(POINT, DIGEST),
    ),
    Latency(
        "tpot", "TPOT", "Mean time per output token after the first, in milliseconds.", 4.14,
        mean=(POINT, CONFIDENCE, HISTORY, DIGEST), p99=(POINT,),
    ),
    Latency(
        "itl", "ITL", "Mean gap between events (RV(benchmark.strict), tokens) in milliseconds.", 4.15,
        mean=(POINT, CONFIDENCE, THROUGHPUT, DIGEST), p99=(POINT,), per_request=False,
    ),
    Latency(
        "e2el", "E2EL", "Mean time to the last token in milliseconds.", 9357.0,
        mean=(POINT, CONFIDENCE), p99=(POINT,), tabled=False, published=False,
    ),
)  # fmt: skip


def statistic_keys(name: str, percents: Sequence[float]) -> list[str]:
    """The keys of a latency's statistics, as `vllm bench serve` writes them: mean_ttft_ms ... p99_ttft_ms, p99.9_ttft_ms."""
    statistics = ["mean", "median", "std", *(f"p{percent:g}" for percent in percents)]
    return [f"{statistic}_{name}_ms" for statistic in statistics]


def _statistics(latency: Latency) -> tuple[Metric, Metric]:
    """The rows of a latency's mean and 99th percentile, which every result has."""

    def path(statistic: str) -> tuple[str, ...]:
        return (f"{latency.name}_ms", statistic) if latency.published else ()

    mean, p99 = f"mean_{latency.name}_ms", f"p99_{latency.name}_ms"
    return (
        Metric(mean, f"{latency.title} mean", "ms", False, latency.mean, path("mean"),
               meaning=latency.meaning, sample=latency.sample),
        Metric(p99, f"{latency.title} P99", "ms", False, latency.p99, path("p99")),
    )  # fmt: skip


_STATISTICS = tuple(metric for latency in LATENCIES for metric in _statistics(latency))
METRICS = (*FIGURES, *_STATISTICS)
BY_KEY = {metric.key: metric for metric in METRICS}


def point_keys() -> tuple[str, ...]:
    """The keys of a repeat's entry: what is measured, what is derived, statistics of latencies."""
    in_results = (*sorted(FIGURES, key=lambda metric: metric.derived), *_STATISTICS)
    return tuple(metric.key for metric in in_results if POINT in metric.where)


def metrics_in(where: str) -> tuple[Metric, ...]:
    """The figures that appear in one place, in the order of the rows."""
    return tuple(metric for metric in METRICS if where in metric.where)


def keys_in(where: str) -> tuple[str, ...]:
    """The keys of the figures that appear in one place, in the order of the rows."""
    return tuple(metric.key for metric in metrics_in(where))
