# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repeats: how sure is a mean, and when are there enough? Pure."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Mapping, Sequence

from .._metric_table import CONFIDENCE, JUDGED, keys_in

_MANY = 1000  # degrees of freedom from which the expansion is exact to all digits that matter
_TERMS = 60  # of the continued fraction


def half_width(values: Sequence[float]) -> float | None:
    """Half the 95 % confidence interval of the mean: t x s / sqrt(n), with s over n - 1. None for one value."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return student_t(count - 1) * deviation / math.sqrt(count)


@lru_cache(maxsize=128)
def student_t(freedom: float) -> float:
    """The 97.5 % quantile of Student's t: so many standard errors to either side of a mean hold 95 %.

    `freedom`: degrees of freedom, 1 or more, not always whole. The error is below 1e-12, and so is the step between the two
    ways in which it is computed.
    """
    return _t_by_bisection(freedom) if freedom < _MANY else _t_by_expansion(freedom)


def _t_by_bisection(freedom: float) -> float:
    low, high = 1.9, 13.0  # the quantiles of one degree of freedom and of infinitely many lie within
    for _step in range(52):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_tail(middle, freedom) > 0.025 else (low, middle)
    return (low + high) / 2


def _t_tail(t: float, freedom: float) -> float:
    """P(T > t): half the incomplete beta function (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1 and 26.5.27).

    By its continued fraction (26.5.8), from behind; it converges fast where t is above 1.
    """
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    fraction = 1.0
    for m in range(_TERMS, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        fraction = 1 + even / (1 + odd / fraction)
    fraction = 1 - (a + b) / (a + 1) * x / fraction
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(scale) / a / fraction / 2


def _t_by_expansion(freedom: float) -> float:
    """For many degrees of freedom: the normal quantile, corrected by powers of 1 / freedom (26.7.5)."""
    z = 1.959963984540054
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))


def confidence(repeats: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]] | None:
    """For each main metric its mean over the repeats, the half width of its 95 % interval, and that as a share.

    Repeats in which no request was completed say nothing about it.
    """
    intervals, measured = {}, [repeat for repeat in repeats if repeat["completed"]]
    for name in keys_in(CONFIDENCE):
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
    return bool(found and found[JUDGED]["relative"] <= target)


def median_index(repeats: Sequence[Mapping[str, Any]]) -> int:
    """The repeat whose output throughput is the (lower) median of those with completed requests: it speaks for all."""
    measured = [index for index, repeat in enumerate(repeats) if repeat["completed"]]
    order = sorted(measured or range(len(repeats)), key=lambda index: float(repeats[index][JUDGED] or 0))
    return order[(len(order) - 1) // 2]
