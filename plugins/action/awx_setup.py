# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action `awx_setup`: an AWX or an automation controller brought to the state that this project wants."""

from __future__ import annotations

import os
from typing import Any

import yaml
from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError, listed
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx import checks, site, wanted
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx.api import Api, login
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import plain

_ARGUMENTS = {"settings": {"type": "dict", "required": True, "no_log": True}}


class ActionModule(ActionBase):
    """Runs on the controller alone; its option is described in `plugins/modules/awx_setup.py`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the settings, look at AWX, refuse or change."""
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(_ARGUMENTS)
        settings = plain(options["settings"])
        problems = checks.problems(settings)
        if problems:
            return _refused(UserError(*problems))
        if settings["dry_run"]:
            objects = wanted.shown(wanted.wanted(settings))
            return {"changed": False, "text": yaml.safe_dump(objects, sort_keys=False, width=120)}
        try:
            done = site.settle(Api(login(os.environ)), settings, check=self._task.check_mode)
        except UserError as error:
            return _refused(error)
        changes, kept = [str(change) for change in done.changes], list(dict.fromkeys(done.kept))
        return {"changed": bool(changes), "changes": changes, "kept": kept, "text": _text(changes, kept)}


def _refused(error: UserError) -> dict[str, Any]:
    return said_once({"failed": True, "changed": False, "msg": listed(error.problems)})


def _text(changes: list[str], kept: list[str]) -> str:
    """What was done, and what was left as it was found."""
    lines = changes or ["AWX is as it should be; nothing was changed."]
    return "\n".join([*lines, *(f"kept: {entry}" for entry in kept)])
