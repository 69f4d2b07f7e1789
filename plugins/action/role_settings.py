# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action `role_settings`: the variables of a role, evaluated for a host and made of the types that its argument specs name."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once
from ansible_collections.llmfleet.serving.plugins.plugin_utils._role_settings import names, settings_of_all


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
        roles = [str(options["role"]), *map(str, options["also"])]
        try:
            return {
                "changed": False,
                **settings_of_all(roles, task_vars or {}, self._templar, self._loader, str(options["home"])),
            }
        except UserError as error:
            return said_once({"failed": True, "changed": False, "msg": str(error)})
