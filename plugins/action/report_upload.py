# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action `report_upload`: files of a report sent from the controller by HTTP PUT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import upload

_ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "urls": {"type": "dict", "required": True},
    "headers": {"type": "dict", "default": {}, "no_log": True},
    "retries": {"type": "int", "default": 4},
    "timeout": {"type": "float", "default": 30.0},
}


class ActionModule(ActionBase):
    """Runs on the controller alone; its options are described in `plugins/modules/report_upload.py`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send each named file to its URL."""
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(_ARGUMENTS)
        options = plain(options)
        folder = Path(options["directory"])
        targets = {folder / name: str(url).replace("{run}", folder.name) for name, url in options["urls"].items()}
        if not self._task.check_mode:
            try:
                upload.put(targets, options["headers"], retries=options["retries"], timeout_s=options["timeout"])
            except UserError as error:
                raise AnsibleActionFail(str(error)) from None
        return {"changed": bool(targets), "uploaded": {path.name: upload.shown(url) for path, url in targets.items()}}
