# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts published figures beside measured ones, and only where the workload and model are the published ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import METRICS
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from .._plain import number
from .workload import differences

# metric name in our results -> path in a published cell
_PATHS = {metric.key: metric.published for metric in METRICS if metric.published}


def refuse_odd(documents: object) -> None:
    """Raises UserError for published figures of another shape than a list of `{model, workload, results: {engine: {gpu: figures}}}`."""
    for place, document in enumerate(documents if isinstance(documents, list) else [None], 1):
        if not _is_document(document):
            name = one_line(document.get("model") if isinstance(document, Mapping) else f"number {place}", 80)
            found = f"the published figures of {name} have another shape than a report can read"
            remedy = "correct the file in report_published_files"
            raise UserError(Problem(found, "model, workload and results: {engine: {gpu: figures}}", remedy))


def _is_document(document: object) -> bool:
    if not isinstance(document, Mapping) or not isinstance(document.get("workload", {}), Mapping):
        return False
    results = document.get("results", {})
    engines = list(results.values()) if isinstance(results, Mapping) else [None]
    return all(
        isinstance(gpus, Mapping) and all(isinstance(cell, Mapping) for cell in gpus.values()) for gpus in engines
    )


def compare(
    group: dict[str, Any],
    figures: dict[str, float | None],
    documents: Sequence[dict[str, Any]],
    model_names: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any] | None:
    """The published cell for a group of hosts, or why there is none; None when nothing was published for its model.

    `model_names`: what a folder from which a model is served holds, by the folder, as the user says.
    Returns `comparable`, `reason`, `source`, `label` (how sure the engine's name is), `taken_as` (the published model that a
    folder is taken as), `metrics` and `ratio` (measured / published, per metric).
    """
    model = str(group["model"] or "")
    name = model_names.get(model) or _hub_name(model) or model
    document = next((item for item in documents if item.get("model") == name), None)
    if document is None:
        return _unknown_folder(group, documents) if model == name and _is_folder(model) else None
    cell = _cell(group, document)
    if cell is None:
        return None
    base = {**_origin(document), "taken_as": name if name != model else None}
    different = differences(group["workload"], document.get("workload", {}))
    if group["gpu_count"] != 1:
        different.append(f"{group['gpu_count']} GPUs instead of 1")
    if different:
        return {**base, **_incomparable("another workload than the published one: " + ", ".join(different))}
    metrics = flatten(cell)
    ratio = {name: _ratio(figures.get(name), value) for name, value in metrics.items()}
    return {**base, "comparable": True, "reason": None, "metrics": metrics, "ratio": ratio}


def _unknown_folder(group: dict[str, Any], documents: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Why figures of a model in a folder are not compared, where some published ones fit its hardware and engine: a folder's
    name, or the name that the model is served under, is no proof of what it holds.
    """
    folder = group["model"]
    fitting = [each for each in documents if each.get("model") and _cell(group, each) is not None]
    alike = [each for each in fitting if each["model"].rpartition("/")[2] == folder.rstrip("/").rpartition("/")[2]]
    if not fitting:
        return None
    names = [each["model"] for each in alike or fitting]
    reason = (
        f"the model is served from the folder {folder}, and what it holds is not known; if it is {' or '.join(names)}, "
        f"set report_model_names: {{{folder}: {names[0]}}}"
    )
    return {**_origin((alike or fitting)[0]), "taken_as": None, **_incomparable(reason)}


def _incomparable(reason: str) -> dict[str, Any]:
    return {"comparable": False, "reason": reason, "metrics": {}, "ratio": {}}


def _origin(document: dict[str, Any]) -> dict[str, Any]:
    return {"source": document.get("source"), "label": "inferred", "note": document.get("note")}


def _cell(group: dict[str, Any], document: dict[str, Any]) -> dict[str, Any] | None:
    """The published figures for a group's engine and GPU."""
    cells = document.get("results", {}).get(group["engine"], {})
    return cells.get(group["published_key"] or group["gpu"])


def _is_folder(model: str) -> bool:
    return model.startswith(("/", "~", "./", "../"))


def _hub_name(model: str) -> str | None:
    """The name on the hub of a model in a folder of the hub's own cache, `.../models--OWNER--NAME/snapshots/REVISION`; else None."""
    found = re.search(r"/models--([\w.-]+?)--([\w.-]+)/snapshots/[0-9a-f]{40}/?$", model)
    return f"{found[1]}/{found[2]}" if found else None


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
