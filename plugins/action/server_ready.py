# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of server_ready: waits in slices, and shows each server's stage between two of them.

A server that answers within the first slice costs one module call.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

_INTERVAL_S = 15.0  # the module's default for progress_interval


class ActionModule(ActionBase):
    """See the module server_ready for the options."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = dict(self._task.args)
        given = options.get("progress_interval")
        slice_s = _INTERVAL_S if given is None else float(given)
        if self._task.check_mode or self._task.async_val or slice_s <= 0:
            return self._module(options, task_vars)
        began, attempts = time.monotonic(), 0
        while True:
            waited_s = time.monotonic() - began
            result = self._module({**options, "slice_s": slice_s, "waited_s": waited_s}, task_vars)
            attempts += result.get("attempts", 0)
            if "waiting" not in result:
                return {**result, "attempts": attempts} if attempts else result
            for server in result["waiting"]:
                display.display(describe((task_vars or {}).get("inventory_hostname", ""), server, result["elapsed_s"]))

    def _module(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        name = "llmfleet.serving.server_ready"
        return self._execute_module(
            module_name=name, module_args=options, task_vars=task_vars, wrap_async=self._task.async_val
        )


def describe(host: str, server: dict[str, Any], elapsed_s: float) -> str:
    """One line for a person: `gpu-01 http://127.0.0.1:8000: loading weights, 45 s: (Worker pid=37) INFO ...`."""
    line = f"{host} {server['base_url']}: {server['stage']}, {elapsed_s:.0f} s"
    return f"{line}: {server['last_line']}" if server["last_line"] else line
