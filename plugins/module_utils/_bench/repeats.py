# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repeats: how sure is a mean, and when are there enough? Pure."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Mapping, Sequence

from .._metric_table import CONFIDENCE, JUDGED, keys_in


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
    """The 97.5 % quantile of Student's t, by bisection of its distribution function.

    So many standard errors to either side of a mean hold 95 %. `freedom`: degrees of freedom, 1 or more, not always whole.
    The error is below 1e-6 for 1 to 100 whole degrees, 4e-5 for 1,000, and 0.002 between one and two.
    """
    low, high = 1.0, 13.0
    for _step in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_tail(middle, freedom) > 0.025 else (low, middle)
    return (low + high) / 2


def _t_tail(t: float, freedom: float) -> float:
    """P(T > t), integrating the density over the angle atan(t / sqrt(freedom)) by Simpson's rule.

    The density is that of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1; over the angle it is a power
    of a cosine, whose integrals for whole degrees of freedom are 26.7.3 and 26.7.4.
    """
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    start, steps = math.atan(t / math.sqrt(freedom)), 200
    width = (math.pi / 2 - start) / steps
    heights = [math.cos(start + width * step) ** (freedom - 1) for step in range(steps + 1)]
    return scale * width / 3 * (heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]))


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
