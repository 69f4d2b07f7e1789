# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counts the module calls that each host cost: what decides how long a fleet takes."""

from __future__ import annotations

import collections
import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: module_calls
type: aggregate
short_description: Counts module calls by host
description:
  - Prints how many modules ran on each host, and writes the figures as JSON to the file that E(MODULE_CALLS_FILE) names.
"""

# What runs on the controller alone.
LOCAL = {
    "assert",
    "debug",
    "fail",
    "include_role",
    "include_tasks",
    "include_vars",
    "import_role",
    "import_tasks",
    "meta",
}
LOCAL |= {"check_plan", "print_text", "role_settings", "set_fact", "validate_argument_spec"}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_calls"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: collections.Counter[str] = collections.Counter()

    def _count(self, result: Any) -> None:
        if result.task.action.rpartition(".")[2] not in LOCAL:
            self.calls[result.host.get_name()] += 1

    def v2_runner_on_ok(self, result: Any) -> None:
        if not result.task.loop:
            self._count(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not result.task.loop:
            self._count(result)

    v2_runner_item_on_ok = _count
    v2_runner_item_on_failed = _count

    def v2_playbook_on_stats(self, stats: Any) -> None:
        shown = ", ".join(f"{host} {self.calls[host]}" for host in sorted(stats.processed))
        self._display.display(f"module calls: {shown}")
        if os.environ.get("MODULE_CALLS_FILE"):
            Path(os.environ["MODULE_CALLS_FILE"]).write_text(
                json.dumps({host: self.calls[host] for host in stats.processed})
            )
