# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as Markdown that can be pasted into an issue. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from . import tables
from .numbers import count
from .tables import Table

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&@!$]|(?<=:)//|(?<=www)\.)")
_LONGEST_CELL = 2000  # characters


_MOST_ROWS = 40  # an issue or a chat message takes no more; CSV, JSON and HTML have every row


def render(report: dict[str, Any]) -> str:
    """The whole report; ends with a newline."""
    parts = [f"# Benchmark report, {escape(report['generated_at'])}", escape(tables.headline(report)) + "."]
    parts += [f"{escape(each)}." for each in tables.models(report)]
    if report["simulated"]:
        parts.append(f"> **{tables.SIMULATED_NOTE}**")
    for table in sections(report):
        parts += [f"## {table.title}", table_text(table)]
    return "\n\n".join(parts) + "\n"


def sections(report: dict[str, Any]) -> list[Table]:
    """The tables that have rows, in reading order."""
    makers = (
        tables.throughput,
        tables.latency,
        tables.changes,
        tables.problems,
        tables.outliers,
        tables.spread,
        tables.economy,
        tables.drift,
        tables.hosts,
        tables.provenance,
        tables.commands,
    )
    return [table for table in (make(report) for make in makers) if table.rows]


def table_text(table: Table) -> str:
    """A table, its notes under it."""
    marks = ["---" if column < table.text_columns else "---:" for column in range(len(table.header))]
    rows = [[escape(cell) for cell in row] for row in [table.header, *table.rows[:_MOST_ROWS]]]
    lines = [_row(rows[0]), _row(marks), *map(_row, rows[1:])]
    more = len(table.rows) - _MOST_ROWS
    notes = [
        *([f"And {count(more, 'row')} more, in the other forms of this report."] if more > 0 else []),
        *table.notes,
    ]
    return "\n".join(lines) + "".join(f"\n\n{escape(note)}" for note in notes)


def escape(text: str) -> str:
    """`text` as it would be read, whatever markup it holds."""
    return _SPECIAL.sub(r"\\\1", one_line(text, _LONGEST_CELL))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
