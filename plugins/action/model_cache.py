# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of model_cache: says under which licence weights come that were not there before, and a failure once."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once

display = Display()


class ActionModule(ActionBase):
    """See the module model_cache for the options."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = self._task.args
        result = self._execute_module(
            module_name="llmfleet.serving.model_cache", task_vars=task_vars, wrap_async=self._task.async_val
        )
        if result.get("changed") and options.get("license"):
            host = (task_vars or {}).get("inventory_hostname", "")
            display.display(one_line(f"{host}: {options.get('model')} comes under the licence: {options['license']}"))
        return said_once(result)
