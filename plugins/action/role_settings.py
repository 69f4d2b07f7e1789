# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action `role_settings`: the variables of a role, evaluated for a host and made of the types that its argument specs name."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError, listed
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once
from ansible_collections.llmfleet.serving.plugins.plugin_utils._role_settings import Settings, names, settings_of


class ActionModule(ActionBase):
    """Runs on the controller alone; its options are described in `plugins/modules/role_settings.py`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Evaluate, type, and hand back under the names without the role's prefix."""
        super().run(tmp, task_vars)
        role = {"type": "str", "choices": names()}
        _result, options = self.validate_argument_spec(
            {
                "role": {**role, "required": True},
                "also": {"type": "list", "elements": "str", "choices": names(), "default": []},
                "home": {"type": "str", "default": ""},
            }
        )
        found, problems = [], []
        for name in (options["role"], *options["also"]):
            try:
                found.append(self._settings(str(name), str(options["home"]), task_vars or {}))
            except UserError as error:
                problems += error.problems
        if problems:
            return said_once({"failed": True, "changed": False, "msg": listed(dict.fromkeys(problems))})
        return {"changed": False, "typed": found[0].typed, "_ansible_no_log": found[0].secret}

    def _settings(self, role: str, home: str, task_vars: dict[str, Any]) -> Settings:
        return settings_of(role, task_vars, self._templar, self._loader, home)
