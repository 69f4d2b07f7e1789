# Copyright (c) The llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action `report_write`: the forms of a report, written to a folder of its own on the controller."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import forms, store, terminal
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.plain import plain


class ActionModule(ActionBase):
    """Runs on the controller alone; its options are described in `plugins/modules/report_write.py`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, write, and say where the report is."""
        super().run(tmp, task_vars)
        names = list(forms.FORMS)
        _result, options = self.validate_argument_spec(
            {
                "report": {"type": "dict", "required": True},
                "directory": {"type": "path", "required": True},
                "forms": {"type": "list", "elements": "str", "choices": names, "default": names},
            }
        )
        report = plain(options["report"])
        files = forms.render(report, options["forms"])
        folder = None if self._task.check_mode else self._write(Path(options["directory"]), report, files)
        return {
            "changed": False,
            "directory": str(folder) if folder else None,
            "files": {name: _digest(text) for name, text in files.items()},
            "totals": report["totals"],
            "problems": _problems(report),
            "text": f"{terminal.render(report)}\n\n{_where(folder)}",
        }

    @staticmethod
    def _write(directory: Path, report: dict[str, Any], files: dict[str, str]) -> Path:
        name = "".join(character for character in report["generated_at"] if character.isalnum())
        try:
            return store.write(directory.absolute(), name, files)
        except store.StoreError as error:
            raise AnsibleActionFail(str(error)) from None


def _problems(report: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Host -> status and reason, of the hosts without a valid result."""
    return {
        row["host"]: {"status": row["status"], "reason": row["reason"]}
        for row in report["hosts"]
        if row["status"] != "ok"
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _where(folder: Path | None) -> str:
    return f"Report: {folder}" if folder else "Check mode: no report was written."
