# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few statistics that the report needs, on plain lists of numbers. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._bench.repeats import student_t

_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_FEW_VALUES = (
    5  # n values widen the spread by 1 + 5/n: the MAD of few values is often far too small, see docs/report.md
)


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, smallest, largest and count of `values`; all but the count are None when there are none."""
    if not values:
        return {"median": None, "min": None, "max": None, "count": 0}
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "count": len(values)}


def robust_deviation(values: Sequence[float]) -> float:
    """The standard deviation that the middle half of `values` suggests: 1.4826 x MAD, on the safe side for few."""
    middle = statistics.median(values)
    deviation = statistics.median(abs(value - middle) for value in values)
    return _MAD_TO_DEVIATION * deviation * (1 + _FEW_VALUES / len(values))


def robust_scores(values: Sequence[float], resolution: float) -> list[float]:
    """How many robust standard deviations each value lies from the median.

    `resolution`: the smallest relative deviation that is taken as the spread, so that a fleet of equal values does
    not turn its last digit into an outlier.
    """
    middle = statistics.median(values)
    spread = max(robust_deviation(values), resolution * abs(middle))
    return [(value - middle) / spread if spread else 0.0 for value in values]


def relative_change(before: Sequence[float], now: Sequence[float], *, paired: bool) -> dict[str, float | None]:
    """The relative change of the geometric mean from `before` to `now`, with its 95 % confidence interval.

    Student's t on the logarithms: of the pairs' ratios when `paired`, else Welch's. `low` and `high` are None where
    there are too few values to judge by (fewer than two pairs, or two values on either side).
    """
    old, new = ([math.log(value) for value in values] for values in (before, now))
    if paired:
        ratios = [after - first for first, after in zip(old, new)]
        centre, error, freedom = statistics.fmean(ratios), _standard_error(ratios), len(ratios) - 1.0
    else:
        centre = statistics.fmean(new) - statistics.fmean(old)
        error, freedom = _welch(old, new)
    return _interval(centre, error, freedom)


def lone_change(before: float, now: float, steps: Sequence[float]) -> dict[str, float | None]:
    """The relative change between two lone values, with its 95 % confidence interval.

    `steps`: ratios of earlier values to the ones before them, which show how much such a value changes by chance.
    """
    logs = [math.log(step) for step in steps]
    return _interval(math.log(now / before), math.sqrt(statistics.fmean(log**2 for log in logs)), len(logs))


def _interval(centre: float, error: float | None, freedom: float) -> dict[str, float | None]:
    if error is None:
        return {"change": math.expm1(centre), "low": None, "high": None}
    reach = student_t(freedom) * error
    return {"change": math.expm1(centre), "low": math.expm1(centre - reach), "high": math.expm1(centre + reach)}


def _standard_error(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _welch(old: Sequence[float], new: Sequence[float]) -> tuple[float | None, float]:
    """Standard error and degrees of freedom (Welch-Satterthwaite) of a difference of means."""
    if len(old) < 2 or len(new) < 2:
        return None, 1.0
    parts = [statistics.variance(values) / len(values) for values in (old, new)]
    whole = sum(parts)
    if not whole:
        return 0.0, 1.0
    freedom = whole**2 / sum(part**2 / (len(values) - 1) for part, values in zip(parts, (old, new)))
    return math.sqrt(whole), freedom
