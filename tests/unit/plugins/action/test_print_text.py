# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.llmfleet.serving.plugins.action import print_text


def test_a_table_stays_a_table_and_a_terminal_obeys_nothing_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    action, shown = print_text.ActionModule.__new__(print_text.ActionModule), []
    action._task = SimpleNamespace(args={"text": "host   tok/s\n\x1b[2Jone\t 3,787\r\u202e"})
    monkeypatch.setattr(print_text.ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(print_text.Display, "display", lambda _self, text: shown.append(text))
    assert action.run() == {"changed": False}
    assert shown == ["\nhost   tok/s\n [2Jone\t 3,787  \n"]
