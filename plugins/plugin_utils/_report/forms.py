# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The forms of a report: file name -> text. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from . import markdown, page, spreadsheet, terminal


def as_json(report: dict[str, Any]) -> str:
    """Strict JSON (no NaN), one key per line, ends with a newline."""
    return json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


FORMS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "json": ("report.json", as_json),
    "csv": ("report.csv", spreadsheet.render),
    "html": ("report.html", page.render),
    "markdown": ("report.md", markdown.render),
    "text": ("report.txt", lambda report: terminal.render(report) + "\n"),
}


def render(report: dict[str, Any], names: list[str]) -> dict[str, str]:
    """File name -> text of the named forms."""
    return {FORMS[name][0]: FORMS[name][1](report) for name in names}
