# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A summary of the report that fits where the report does not: set_stats, a survey, an alert. Pure."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import DIGEST, JUDGED, keys_in
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

LIMIT_BYTES = 16 * 1024

_METRICS = keys_in(DIGEST)
_LISTS = ("hosts", "outliers", "problems", "regressions", "groups")  # what is cut first when it is too much


def digest(report: dict[str, Any], *, directory: str | None, sha256: str | None, answer: Any = None) -> dict[str, Any]:
    """Totals, medians, verdicts, outliers, problems and a line for each host, at most 16 KiB as JSON.

    `sha256` is that of report.json, `answer` that to the report's query. A list that had to be cut is shorter than its
    count in `counts`; an answer that does not fit is left out.
    """
    rows = report["hosts"]
    lists: dict[str, list[Any]] = {
        "hosts": [_host(row) for row in rows],
        "groups": [_group(group) for group in report["groups"]],
        "regressions": report.get("regressions", []),
        "problems": [
            {"host": one_line(row["host"], 100), "status": row["status"], "reason": one_line(row["reason"] or "", 160)}
            for row in rows
            if row["status"] != "ok"
        ],
        "outliers": [
            {"host": one_line(row["host"], 100), "deviation": row["deviation"]} for row in rows if row["outlier"]
        ],
    }
    summary = {
        "schema_version": report["schema_version"],
        "generated_at": report["generated_at"],
        "simulated": report["simulated"],
        "directory": directory,
        "sha256": sha256,
        "totals": report["totals"],
        "counts": {name: len(items) for name, items in lists.items()},
        **lists,
        "answer": answer if _size(answer) < LIMIT_BYTES // 4 else None,
    }
    for name in _LISTS:
        while summary[name] and _size(summary) > LIMIT_BYTES:
            summary[name] = summary[name][: len(summary[name]) // 2]
    return summary


def _host(row: dict[str, Any]) -> dict[str, Any]:
    kept = {key: row[key] for key in ("status", "finished_at")}
    return {"host": one_line(row["host"], 100), **kept, JUDGED: row["metrics"].get(JUDGED)}


def _group(group: dict[str, Any]) -> dict[str, Any]:
    keys = ("gpu", "gpu_count", "engine", "simulated", "model", "workload_label", "cost_per_million_output_tokens")
    medians = {name: (group["metrics"].get(name) or {}).get("median") for name in _METRICS}
    changes = {name: change and change["verdict"] for name, change in (group.get("change") or {}).items()}
    return {**{key: group[key] for key in keys}, "hosts": len(group["hosts"]), "metrics": medians, "verdicts": changes}


def _size(value: Any) -> int:
    return len(json.dumps(value).encode())
