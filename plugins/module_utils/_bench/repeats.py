# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Repeats: how sure is a mean, and when are there enough? Pure. Private to the collection."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

# Student's t, two-sided 95 %, for 1, 2, 3 ... degrees of freedom.
_T95: tuple[float, ...] = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
)
_T95 += (2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
_T95_MANY = 1.960
_METRICS = (
    "output_throughput",
    "total_token_throughput",
    "mean_ttft_ms",
    "mean_tpot_ms",
    "mean_itl_ms",
    "mean_e2el_ms",
)


def half_width(values: Sequence[float]) -> float | None:
    """Half the 95 % confidence interval of the mean: t x s / sqrt(n), with s over n - 1. None for one value."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    t = _T95[count - 2] if count - 2 < len(_T95) else _T95_MANY
    return t * deviation / math.sqrt(count)


def confidence(repeats: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]] | None:
    """For each main metric its mean over the repeats, the half width of its 95 % interval, and that as a share.

    Repeats in which no request was completed say nothing about it.
    """
    intervals, measured = {}, [repeat for repeat in repeats if repeat["completed"]]
    for name in _METRICS:
        values = [float(repeat[name]) for repeat in measured if repeat.get(name) is not None]
        half = half_width(values)
        if half is not None:
            mean = math.fsum(values) / len(values)
            intervals[name] = {"mean": mean, "half_width": half, "relative": half / mean if mean else 0.0}
    return intervals or None


def enough(repeats: Sequence[Mapping[str, Any]], target: float) -> bool:
    """True when three repeats or more give the output throughput within `target` (a share) at 95 % confidence."""
    if sum(bool(repeat["completed"]) for repeat in repeats) < 3 or not target:
        return False
    found = confidence(repeats)
    return bool(found and found["output_throughput"]["relative"] <= target)


def median_index(repeats: Sequence[Mapping[str, Any]]) -> int:
    """The repeat whose output throughput is the (lower) median of those with completed requests: it speaks for all."""
    measured = [index for index, repeat in enumerate(repeats) if repeat["completed"]]
    order = sorted(measured or range(len(repeats)), key=lambda index: float(repeats[index]["output_throughput"] or 0))
    return order[(len(order) - 1) // 2]
