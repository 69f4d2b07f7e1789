"""The few statistics that the report needs, on plain lists of numbers. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, smallest, largest and count of `values`; all but the count are None when there are none."""
    if not values:
        return {"median": None, "min": None, "max": None, "count": 0}
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "count": len(values)}
