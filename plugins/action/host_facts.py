# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of host_facts: reads what a host keeps, and refuses a Python that is too old in words."""

from __future__ import annotations

from typing import Any

from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.interpreter import judged


class ActionModule(ActionBase):
    """See the module host_facts for the options, which are those of ansible.builtin.setup."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = {"gather_subset": ["!all", "!min", "local"], **self._task.args}
        result = self._execute_module(module_name="ansible.builtin.setup", module_args=options, task_vars=task_vars)
        return judged(self, result, task_vars or {}, basic)
