# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.filter.failure_text import failure_text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"msg": "no disk"}, "no disk"),
        ({"msg": ""}, "a task failed without a message"),
        ({}, "a task failed without a message"),
        ({"results": None, "msg": "no disk"}, "no disk"),
        (
            {
                "msg": "One or more items failed",
                "results": [
                    {"failed": True, "msg": "no disk"},
                    {"failed": False, "msg": "fine"},
                    {"failed": True, "msg": "no port"},
                    {"failed": True, "msg": "no disk"},
                ],
            },
            "no disk; no port",
        ),
        ({"msg": "One or more items failed", "results": [{"failed": True}]}, "a task failed without a message"),
        ({"msg": "interrupted", "results": [{"msg": "fine"}]}, "interrupted"),
    ],
)
def test_the_messages_of_what_failed_come_once(result, text):
    assert failure_text(result) == text
