# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action `check_plan`: a plan that cannot work is refused in words, what it warns of is printed, and it is handed on."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmfleet.serving.plugins.module_utils._text import printable
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import sequence

display = Display()


class ActionModule(ActionBase):
    """Runs on the controller, but for a lock that it gives back; its options are described in `plugins/modules/check_plan.py`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print the notes, and fail with the problems where there are any."""
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            {"plan": {"type": "dict", "required": True}, "lock": {"type": "dict"}, "state_dir": {"type": "path"}}
        )
        plan, host = dict(options["plan"]), (task_vars or {}).get("inventory_hostname", "")
        notes = [*sequence(plan.get("warnings")), *sequence(plan.pop("notes", []))]
        if plan.get("problems"):
            self._release(options, task_vars or {})
            message = "\n".join(map(str, plan["problems"]))
            return said_once({"failed": True, "changed": False, "msg": message})
        for note in notes:
            display.display(printable(f"{host}: {note}"))
        return {"changed": False, "plan": plan}

    def _release(self, options: dict[str, Any], variables: dict[str, Any]) -> None:
        """Gives the lock of the server back, if there is one; one that cannot be given back ends by itself."""
        run = (options.get("lock") or {}).get("run")
        if run:
            given = {"state_dir": options["state_dir"], "release": run}
            self._execute_module(module_name="llmfleet.serving.host_fact", module_args=given, task_vars=variables)
