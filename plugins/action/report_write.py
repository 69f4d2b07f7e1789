# Copyright (c) The llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action `report_write`: a report compared with its history, and its forms written on the controller."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import (
    digest,
    forms,
    history,
    query,
    store,
    tables,
    terminal,
)
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.plain import plain

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
        """Compare, render, write, and say where the report is."""
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(_ARGUMENTS)
        try:
            return self._run(plain(options))
        except (history.HistoryError, query.QueryError, store.StoreError) as error:
            raise AnsibleActionFail(str(error)) from None

    def _run(self, options: dict[str, Any]) -> dict[str, Any]:
        directory = Path(options["directory"]).absolute()
        history_file = Path(options["history_file"]) if options["history_file"] else directory / "history.jsonl"
        name = "".join(character for character in options["report"]["generated_at"] if character.isalnum())
        entries = history.parse(store.read(history_file))
        current = history.entry(options["report"], name, options["label"])
        report = history.compared(
            options["report"], current, entries, options["baseline"], options["regression_threshold"]
        )
        answer = query.search(report, options["query"]) if options["query"] else None
        files = forms.render(report, options["forms"])
        folder = None
        if not self._task.check_mode:
            folder = store.write(directory, name, files)
            if history.is_new(current, entries):
                store.append(history_file, json.dumps({**current, "run": folder.name}))
        return _result(report, files, folder, answer)


def _result(report: dict[str, Any], files: dict[str, str], folder: Path | None, answer: Any) -> dict[str, Any]:
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    directory = str(folder) if folder else None
    where = f"Report: {folder}" if folder else "Check mode: no report was written."
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
        "text": "\n\n".join([terminal.render(report), *_answer(answer), where]),
    }


def _answer(answer: Any) -> list[str]:
    return [] if answer is None else [f"Query: {json.dumps(answer, indent=1, ensure_ascii=False)}"]
