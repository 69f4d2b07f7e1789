# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two clients' results on one server, beside each other: medians, ratios and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import mean, median

from ansible_collections.llmfleet.serving.plugins.module_utils._bench.repeats import half_width

Result = Mapping[str, float]

TOTALS = ("completed", "failed", "total_input_tokens", "total_output_tokens")
RATES = ("request_throughput", "output_throughput", "total_token_throughput", "duration")
LATENCIES = tuple(
    f"{statistic}_{quantity}_ms" for quantity in ("ttft", "tpot", "itl", "e2el") for statistic in ("mean", "p50", "p99")
)
AGREEING = ("output_throughput", "mean_tpot_ms")


@dataclass(frozen=True)
class Row:
    """One metric: each client's median over its runs, and the median of the pairs' ratios (ours / theirs)."""

    metric: str
    ours: float
    theirs: float
    ratio: float


def compare(ours: Sequence[Result], theirs: Sequence[Result]) -> list[Row]:
    """A row for each metric that every run has; run i of ours and run i of theirs are a pair."""
    every = [*ours, *theirs]
    return [
        Row(
            metric,
            median(run[metric] for run in ours),
            median(run[metric] for run in theirs),
            median(_ratio(one[metric], other[metric]) for one, other in zip(ours, theirs, strict=True)),
        )
        for metric in (*TOTALS, *RATES, *LATENCIES)
        if all(run.get(metric) is not None for run in every)
    ]


def disagreements(ours: Sequence[Result], theirs: Sequence[Result], tolerance: float) -> list[str]:
    """Why the clients do not agree: totals that differ in any run, or a median ratio off by more than `tolerance`, of pairs that
    bear it out: on a machine whose own speed swings from run to run, a median alone is that machine's.
    """
    lines = [
        f"{metric} differs between runs: ours {[run[metric] for run in ours]}, theirs {[run[metric] for run in theirs]}"
        for metric in TOTALS
        if len({run[metric] for run in (*ours, *theirs)}) != 1
    ]
    ratios = {row.metric: row.ratio for row in compare(ours, theirs)}
    lines += [
        f"{metric}: ours is {ratios[metric]:.3f} of theirs, expected within {tolerance:.0%}"
        for metric in AGREEING
        if abs(ratios[metric] - 1) > tolerance and _surely_off(ours, theirs, metric, tolerance)
    ]
    return lines


def _surely_off(ours: Sequence[Result], theirs: Sequence[Result], metric: str, tolerance: float) -> bool:
    """Whether the 95 % interval of the pairs' mean ratio (of its logarithm, Student's t) lies outside of the tolerance as a whole."""
    logs = [log(_ratio(one[metric], other[metric])) for one, other in zip(ours, theirs, strict=True)]
    return abs(mean(logs)) - (half_width(logs) or 0.0) > log(1 + tolerance)


def table(ours: Sequence[Result], theirs: Sequence[Result]) -> str:
    """The comparison as text, a line a metric; then the figures that must agree, run by run."""
    lines = [f"{'metric (median of ' + str(len(ours)) + ')':32}{'bench_serve':>14}{'vllm bench':>14}{'ratio':>9}"]
    lines += [f"{row.metric:32}{row.ours:14.2f}{row.theirs:14.2f}{row.ratio:9.3f}" for row in compare(ours, theirs)]
    for metric in AGREEING:
        pairs = "  ".join(f"{one[metric]:.2f}/{other[metric]:.2f}" for one, other in zip(ours, theirs, strict=True))
        lines.append(f"{metric}, each pair: {pairs}")
    return "\n".join(lines)


def _ratio(one: float, other: float) -> float:
    if one == other:
        return 1.0
    return one / other if other else float("inf")
