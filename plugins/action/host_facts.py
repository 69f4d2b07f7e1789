# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of host_facts: reads what a host keeps, and refuses a Python that is too old in words.

What the host keeps comes in through here: a file that is no dictionary, too large or nested too deep is left out, so that
it costs its host alone; `llmfleet_unread_facts` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line
from ansible_collections.llmfleet.serving.plugins.plugin_utils._border import UNREAD, bounded
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.interpreter import judged

AT_MOST_BYTES = 1024 * 1024  # what a host keeps to go back to holds two whole specifications


class ActionModule(ActionBase):
    """See the module host_facts for the options, which are those of ansible.builtin.setup."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = {"gather_subset": ["!all", "!min", "local"], **self._task.args}
        result = self._execute_module(module_name="ansible.builtin.setup", module_args=options, task_vars=task_vars)
        return judged(
            self, taken_over(result, str(options.get("fact_path") or "/etc/ansible/facts.d")), task_vars or {}, basic
        )


def taken_over(result: dict[str, Any], folder: str) -> dict[str, Any]:
    """The result of setup with those facts of the host that can be used, and a warning for each of the others."""
    facts = result.get("ansible_facts")
    local = facts.get("ansible_local") if isinstance(facts, Mapping) else None
    if not isinstance(facts, Mapping) or not isinstance(local, Mapping):
        return result
    unread = {}
    for name, fact in local.items():
        fault = bounded(fact, AT_MOST_BYTES)[1]
        if fault:
            unread[name] = (
                f"{folder}/{one_line(name, 80)}.fact cannot be used: {fault}. Remove the file, then run what writes it"
            )
    if not unread:
        return {**result, "ansible_facts": {**facts, UNREAD: {}}}
    kept = {name: fact for name, fact in local.items() if name not in unread}
    warnings = [*result.get("warnings", []), *unread.values()]
    return {**result, "ansible_facts": {**facts, "ansible_local": kept, UNREAD: unread}, "warnings": warnings}
