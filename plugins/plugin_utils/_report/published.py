# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts published figures beside measured ones, and only where the workload and model are the published ones. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import METRICS

from .._plain import number
from .workload import differences

# metric name in our results -> path in a published cell
_PATHS = {metric.key: metric.published for metric in METRICS if metric.published}


def compare(
    group: dict[str, Any], figures: dict[str, float | None], documents: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """The published cell for a group of hosts, or why there is none; None when nothing was published for its model.

    Returns `comparable`, `reason`, `source`, `label` (how sure the engine's name is), `metrics` and `ratio`
    (measured / published, per metric).
    """
    document = next((item for item in documents if item.get("model") == group["model"]), None)
    if document is None:
        return None
    cell = document.get("results", {}).get(group["engine"], {}).get(group["published_key"] or group["gpu"])
    if cell is None:
        return None
    base = {"source": document.get("source"), "label": "inferred", "note": document.get("note")}
    different = differences(group["workload"], document.get("workload", {}))
    if group["gpu_count"] != 1:
        different.append(f"{group['gpu_count']} GPUs instead of 1")
    if different:
        reason = "another workload than the published one: " + ", ".join(different)
        return {**base, "comparable": False, "reason": reason, "metrics": {}, "ratio": {}}
    metrics = flatten(cell)
    ratio = {name: _ratio(figures.get(name), value) for name, value in metrics.items()}
    return {**base, "comparable": True, "reason": None, "metrics": metrics, "ratio": ratio}


def flatten(cell: dict[str, Any]) -> dict[str, float | int]:
    """A published cell under the metric names of `vllm bench serve`."""
    metrics = {}
    for name, path in _PATHS.items():
        value: Any = cell
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if number(value) is not None:
            metrics[name] = value
    return metrics


def _ratio(measured: float | None, published: float) -> float | None:
    return None if measured is None or not published else measured / published
