# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action `print_text`: text on the terminal as it is, so that a table stays a table."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmfleet.serving.plugins.module_utils._text import printable


class ActionModule(ActionBase):
    """Runs on the controller alone; its option is described in `plugins/modules/print_text.py`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print the text, and nothing around it; what a terminal would obey is not printed."""
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec({"text": {"type": "str", "required": True}})
        Display().display(f"\n{printable(options['text'])}\n")
        return {"changed": False}
