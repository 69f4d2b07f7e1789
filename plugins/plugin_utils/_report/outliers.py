# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the slow (or strangely fast) hosts of a group. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import JUDGED

from .statistics import robust_scores

FEWEST_HOSTS = 5  # below that the spread of a group cannot be judged
RESOLUTION = 0.002  # two runs on the same GPU differ by more than this


def standings(rows: list[dict[str, Any]], limit: float) -> list[dict[str, Any]]:
    """Where each row of one group stands: `deviation` from the median (-0.03 is 3 % slower), `robust_z`, `outlier`.

    `robust_z` is None, and no row is an outlier, in a group of fewer than five hosts.
    """
    values = [row["metrics"][JUDGED] for row in rows]
    if not values:
        return []
    middle = statistics.median(values)
    scores: Sequence[float | None] = [None] * len(values)
    if len(values) >= FEWEST_HOSTS:
        scores = robust_scores(values, RESOLUTION)
    return [
        {
            "deviation": value / middle - 1 if middle else None,
            "robust_z": score,
            "outlier": None if score is None or abs(score) <= limit else ("slow" if score < 0 else "fast"),
        }
        for value, score in zip(values, scores)
    ]
