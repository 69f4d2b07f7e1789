# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server.log_lines import (
    LINE_LENGTH,
    informative,
    text_of,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._server.start_phases import phases

LOGS = Path(__file__).resolve().parents[3] / "fixtures" / "server_logs"
POLLS = [
    '[2026-11-26 13:41:05] INFO:     127.0.0.1:52068 - "GET /v1/models HTTP/1.1" 200 OK',
    '[2026-11-26 13:41:05] INFO:     127.0.0.1:52074 - "GET /health HTTP/1.1" 503 Service Unavailable',
    '(APIServer pid=1) INFO:     127.0.0.1:40012 - "GET /version HTTP/1.1" 200 OK',
    '[2026-11-26 13:41:06] INFO:     127.0.0.1:52096 - "GET /server_info HTTP/1.1" 200 OK',
    "           ^^^^^^^^^~~",
    "",
]
OTHERS = [
    '[2026-11-26 13:41:06] INFO:     127.0.0.1:52096 - "GET /model_info HTTP/1.1" 200 OK',
    '[2026-11-26 13:41:06] INFO:     127.0.0.1:52096 - "POST /v1/chat/completions HTTP/1.1" 500 Internal Server Error',
]


def test_what_our_own_wait_causes_tells_nothing():
    assert informative([POLLS[0], OTHERS[0], *POLLS, OTHERS[1]]) == OTHERS


def test_a_line_is_bounded():
    (line,) = informative(["server_args=" + "x" * 14_500])
    assert len(line) == LINE_LENGTH and line.startswith("server_args=x") and line.endswith("x")


def test_a_real_start_ends_with_news_and_keeps_its_phases():
    lines = informative((LOGS / "sglang_started.txt").read_text().splitlines())
    assert lines[-1].endswith("The server is fired up and ready to roll!")
    assert not [line for line in lines if "/health" in line]
    assert phases(lines)["load_s"] == 2.83


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "(EngineCore_DP0 pid=37) INFO 11-22 15:57:00 [runner.py:2338] Starting to load model x...",
            "Starting to load model x...",
        ),
        ("(APIServer pid=1) INFO:     Started server process [1]", "Started server process [1]"),
        ("[2026-11-22 15:57:00] Load weight begin. avail mem=78.5 GB", "Load weight begin. avail mem=78.5 GB"),
        ("[2026-11-22 15:57:00 TP0] Capture cuda graph end.", "Capture cuda graph end."),
        ("2026-11-22 15:57:00,123 - INFO - ready", "ready"),
        (
            "Loading safetensors checkpoint shards:  50% Completed | 2/4",
            "Loading safetensors checkpoint shards:  50% Completed | 2/4",
        ),
        ("[rank0]: out of memory", "[rank0]: out of memory"),
        ("(Worker pid=37) ", "(Worker pid=37)"),
        ("", ""),
    ],
)
def test_the_text_of_a_line_is_what_stands_after_the_loggers_own(line, text):
    assert text_of(line) == text
