# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test of what a served model must be able to do, as an action runs it: what is only reported is printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.utils.display import Display
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from ._failure import said_once, shortly

display = Display()
_LONGEST_LINE = 1000  # characters on the terminal


def tested(action: Any, options: Mapping[str, Any], task_vars: Mapping[str, Any] | None) -> dict[str, Any]:
    """What module server_smoke returns for `options`, run by the action plugin `action`. A failure is there once."""
    result = action._execute_module(
        module_name="llmfleet.serving.server_smoke",
        module_args=dict(options),
        task_vars=task_vars,
        wrap_async=action._task.async_val,
    )
    if result.get("reported") and not result.get("failed"):
        host = (task_vars or {}).get("inventory_hostname", "")
        display.display(one_line(f"{host}: reported only: {result['reported']}", _LONGEST_LINE))
    return said_once(shortly(result, display.verbosity, "results", "summary"))
