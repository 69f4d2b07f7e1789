# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a terminal: short, aligned, plain text. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from . import tables
from .tables import Table

_MOST_PROBLEMS = 20
_LONGEST_CELL = 60  # characters: a longer one would push the figures of all rows off the screen
_LONGEST_NOTE = 1000


def render(report: dict[str, Any]) -> str:
    """Hosts without a valid result first, the published benchmark's two tables last: what is seen when the run ends."""
    parts = [_problems(report)] if report["totals"]["ok"] < report["totals"]["hosts"] else []
    parts += [
        table_text(table, notes=True) for table in (tables.outliers(report), tables.changes(report)) if table.rows
    ]
    if report["groups"]:
        parts += [table_text(tables.throughput(report), notes=False), table_text(tables.latency(report), notes=True)]
    if report["simulated"]:
        parts.append(tables.SIMULATED_NOTE)
    return "\n\n".join([*parts, tables.headline(report)])


def table_text(table: Table, *, notes: bool) -> str:
    """A table with aligned columns, numbers to the right."""
    lines = [
        [one_line(cell, _LONGEST_CELL) if column else _indented(cell) for column, cell in enumerate(row)]
        for row in table.rows
    ]
    widths = [max(len(row[column]) for row in [table.header, *lines]) for column in range(len(table.header))]

    def line(row: list[str]) -> str:
        cells = [
            cell.ljust(width) if column < table.text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    below = [one_line(note, _LONGEST_NOTE) for note in table.notes] if notes else []
    return "\n".join([table.title, line(table.header), rule, *map(line, lines), *below])


def _problems(report: dict[str, Any]) -> str:
    table = tables.problems(report)
    lines = [f"  {one_line(f'{host} ({gpu}): {status}: {reason}')}" for host, gpu, status, reason in table.rows]
    if len(lines) > _MOST_PROBLEMS:
        lines[_MOST_PROBLEMS:] = [f"  and {len(lines) - _MOST_PROBLEMS} more, see the report"]
    return "\n".join([table.title, *lines])


def _indented(cell: str) -> str:
    return cell[: len(cell) - len(cell.lstrip())] + one_line(cell, _LONGEST_CELL)
