# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as CSV: a row per host, numbers in full. Pure."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from .._plain import mapping, number

_COLUMNS = ("host", "status", "reason", "gpu", "gpu_name", "gpu_count", "backend", "engine", "engine_version", "simulated",
            "model", "model_revision",
            "driver_version", "run_id", "started_at", "finished_at", "deviation", "robust_z", "outlier", "cost")  # fmt: skip
_FORMULA = re.compile(r"(^|; *)([=+\-@＝＋－＠])")
_WORKLOAD = ("input_tokens", "output_tokens", "num_prompts", "max_concurrency", "request_rate")


def render(report: dict[str, Any]) -> str:
    """Header and rows, RFC 4180 with plain line ends; every metric that any host has is a column."""
    rows = report["hosts"]
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    energy = sorted(
        {name for row in rows for name, value in mapping(row["energy"]).items() if number(value) is not None}
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(name) for name in (*_COLUMNS, *_WORKLOAD, *metrics, *energy)])
    for row in rows:
        values = [
            *(_value(row, name) for name in _COLUMNS),
            *(row["workload"].get(name) for name in _WORKLOAD),
            *(row["metrics"].get(name) for name in metrics),
            *(mapping(row["energy"]).get(name) for name in energy),
        ]
        writer.writerow([_cell(value) for value in values])
    return out.getvalue()


def _value(row: dict[str, Any], name: str) -> Any:
    """A column of a host; the revision is what its server serves."""
    return mapping(row["provenance"].get("server")).get(name) if name == "model_revision" else row[name]


def _cell(value: Any) -> Any:
    """A number as it is; text in one line that no spreadsheet takes for a formula.

    An apostrophe says that text follows. A program that separates cells at semicolons takes what comes after one for a cell.
    """
    if value is None or number(value) is not None:
        return value
    return _FORMULA.sub(r"\1'\2", one_line(value))
