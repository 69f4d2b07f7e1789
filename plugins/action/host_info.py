# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of host_info, often the first contact with a host: refuses a Python that is too old in words."""

from __future__ import annotations

from typing import Any

from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.interpreter import judged


class ActionModule(ActionBase):
    """See the module host_info for the options."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        result = self._execute_module(
            module_name="llmfleet.serving.host_info", module_args=dict(self._task.args), task_vars=task_vars
        )
        return judged(self, result, task_vars or {}, basic)
