# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of host_info, often the first contact with a host: refuses a Python that is too old in words.

Where it takes the lock of a server it says for whom, and takes over from a run of this controller that has ended. What the host keeps
was read before: another run may have changed it until the lock was taken, so it is read again where it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.interpreter import judged
from ansible_collections.llmfleet.serving.plugins.plugin_utils._kept_facts import same, taken_over
from ansible_collections.llmfleet.serving.plugins.plugin_utils._role_settings import settings_of
from ansible_collections.llmfleet.serving.plugins.plugin_utils._this_run import patiently, taken_over_line, this_run

display = Display()


class ActionModule(ActionBase):
    """See the module host_info for the options."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options, variables = dict(self._task.args), task_vars or {}
        role = options.pop("settings_of", None)
        if not isinstance(options.get("lock"), Mapping):
            result = judged(self, self._probe(options, variables), variables, basic)
            return said_once(self._with_settings(result, str(role), variables)) if role else result
        lock = dict(options["lock"])

        def call(wait_s: float, takeover: str) -> dict[str, Any]:
            wanted = {**lock, "wait_s": wait_s, "holder": this_run(variables)}
            if takeover:
                wanted["takeover"] = takeover
            return self._probe({**options, "lock": wanted}, variables)

        result = judged(self, patiently(call, float(lock.get("wait_s") or 0)), variables, basic)
        result.pop("held", None)
        return said_once(self._with_what_is_kept(result, f"{lock.get('state_dir')}/facts.d", variables))

    def _probe(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        return self._execute_module(module_name="llmfleet.serving.host_info", module_args=options, task_vars=variables)

    def _with_settings(self, result: dict[str, Any], role: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The result, with the settings of a role whose defaults look at it, under the name that the task registers."""
        if result.get("failed") or result.get("unreachable"):
            return result
        try:
            settings = settings_of(role, {**variables, str(self._task.register): result}, self._templar, self._loader)
        except UserError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        return {**result, "typed": settings.typed, "_ansible_no_log": settings.secret}

    def _with_what_is_kept(self, result: dict[str, Any], folder: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The result, with the facts that the host keeps where they are no longer those that were read before the lock was taken."""
        taken = result.get("lock")
        if not isinstance(taken, Mapping):
            return result
        if isinstance(taken.get("taken_over"), Mapping):
            display.display(taken_over_line(variables.get("inventory_hostname", ""), taken["taken_over"]))
        local = (variables.get("ansible_facts") or {}).get("ansible_local") or {}
        if same(local.get("llmfleet_server_good"), str(taken.get("kept_digest"))):
            return result
        options = {"fact_path": folder, "gather_subset": ["!all", "!min", "local"]}
        read = self._execute_module(module_name="ansible.builtin.setup", module_args=options, task_vars=variables)
        return {**result, "ansible_facts": taken_over(read, folder).get("ansible_facts") or {}}
