# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action `report_write`: a report compared with its history, and its forms written on the controller."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import (
    digest,
    forms,
    history,
    query,
    store,
    tables,
    terminal,
)

_T = TypeVar("_T")

_ARGUMENTS = {
    "report": {"type": "dict", "required": True},
    "directory": {"type": "path", "required": True},
    "forms": {"type": "list", "elements": "str", "choices": list(forms.FORMS), "default": list(forms.FORMS)},
    "history_file": {"type": "path"},
    "label": {"type": "str"},
    "baseline": {"type": "str"},
    "regression_threshold": {"type": "float", "default": 0.01},
    "query": {"type": "str"},
}


class ActionModule(ActionBase):
    """Runs on the controller alone; its options are described in `plugins/modules/report_write.py`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare, render, write, and print where the report is."""
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(_ARGUMENTS)
        return produce(plain(options), write=not self._task.check_mode)


def produce(options: dict[str, Any], *, write: bool) -> dict[str, Any]:
    """The task's result. What cannot be done is listed in `faults`; the rest of the report is still written."""
    directory = Path(options["directory"]).resolve()
    history_file = Path(options["history_file"]) if options["history_file"] else directory / "history.jsonl"
    name = "".join(character for character in options["report"]["generated_at"] if character.isalnum())
    faults: list[str] = []

    def attempt(default: _T, call: Callable[..., _T], *arguments: Any) -> _T:
        try:
            return call(*arguments)
        except UserError as error:
            faults.append(str(error))
            return default

    entries = history.parse(attempt("", store.read, history_file))
    current = history.entry(options["report"], name, options["label"])
    threshold = options["regression_threshold"]
    alone = history.compared(options["report"], current, entries, None, threshold)
    baseline = options["baseline"]
    report = (
        attempt(alone, history.compared, options["report"], current, entries, baseline, threshold)
        if baseline
        else alone
    )
    answer = attempt(None, query.search, report, options["query"]) if options["query"] else None
    files = forms.render(report, options["forms"])
    folder = attempt(None, store.write, directory, name, files) if write else None
    if folder and history.is_new(current, entries):
        attempt(None, store.append, history_file, json.dumps({**current, "run": folder.name}))
    return _result(report, files, folder, answer, faults)


def _result(
    report: dict[str, Any], files: dict[str, str], folder: Path | None, answer: Any, faults: list[str]
) -> dict[str, Any]:
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    directory = str(folder) if folder else None
    shown = [terminal.render(report)]
    if answer is not None:
        shown.append(f"Query: {json.dumps(answer, indent=1, ensure_ascii=False)}")
    shown += [f"Fault: {fault}" for fault in faults]
    page = folder / "report.html" if folder and "report.html" in files else folder
    shown.append(f"Report: {page}" if page else "No report was written.")
    return {
        "changed": False,
        "directory": directory,
        "files": sums,
        "digest": digest.digest(report, directory=directory, sha256=sums.get("report.json"), answer=answer),
        "answer": answer,
        "problems": {
            row["host"]: {"status": row["status"], "reason": row["reason"]}
            for row in report["hosts"]
            if row["status"] != "ok"
        },
        "regressions": tables.regressions(report),
        "faults": faults,
        "text": "\n\n".join(shown),
    }
