"""The report as Markdown that can be pasted into an issue. Pure."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import tables
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.plain import one_line
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.tables import Table

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&@!])")


def render(report: dict[str, Any]) -> str:
    """The whole report; ends with a newline."""
    parts = [f"# Benchmark report, {report['generated_at']}", escape(tables.headline(report)) + "."]
    if report["simulated"]:
        parts.append(f"> **{tables.SIMULATED_NOTE}**")
    for table in sections(report):
        parts += [f"## {table.title}", table_text(table)]
    return "\n\n".join(parts) + "\n"


def sections(report: dict[str, Any]) -> list[Table]:
    """The tables that have rows, in reading order."""
    found = [tables.throughput(report), tables.latency(report), tables.problems(report)]
    return [table for table in found if table.rows]


def table_text(table: Table) -> str:
    """A table, its notes under it."""
    marks = ["---" if column < table.text_columns else "---:" for column in range(len(table.header))]
    rows = [[escape(cell) for cell in row] for row in [table.header, *table.rows]]
    lines = [_row(rows[0]), _row(marks), *map(_row, rows[1:])]
    return "\n".join(lines) + "".join(f"\n\n{escape(note)}" for note in table.notes)


def escape(text: str) -> str:
    """`text` as it would be read, whatever markup it holds."""
    return _SPECIAL.sub(r"\\\1", one_line(text))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
