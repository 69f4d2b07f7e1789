# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A workload's line distinguishes what must not be put together."""

from __future__ import annotations

from typing import Any

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.workload import differences, label


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "8192 in / 2048 out tokens, 512 prompts, 32 concurrent, random"),
        ({"request_rate": 4}, "8192 in / 2048 out tokens, 512 prompts, 32 concurrent, 4 requests/s, random"),
        ({"sweep": [1, 8]}, "8192 in / 2048 out tokens, 512 prompts, best of 1/8 concurrent, random"),
        (
            {"prefix_tokens": 64, "range_ratio": 0.0},
            "8192 in / 2048 out tokens, 512 prompts, 32 concurrent, random, prefix_tokens 64",
        ),
    ],
)
def test_label(change: dict[str, Any], text: str) -> None:
    assert label({**sample.WORKLOAD, **change}) == text


def test_nothing_known() -> None:
    assert label({}) == "unknown workload"
    assert label({"dataset": "random"}).count("?") == 4


def test_the_published_workload_differs_in_nothing() -> None:
    assert differences(sample.WORKLOAD, sample.PUBLISHED["workload"]) == []
