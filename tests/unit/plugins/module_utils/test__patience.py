# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._patience import pause_s, within


def test_what_ends_in_time_is_as_it_would_be_without_a_limit():
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_what_does_not_end_is_left():
    begun, never = time.monotonic(), threading.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        within(0.05, never.wait)
    assert time.monotonic() - begun < 10
    never.set()


@pytest.mark.parametrize(
    ("attempt", "retry_after", "pace", "expected"),
    [
        (0, None, 1.0, 1.0),
        (3, None, 1.0, 8.0),
        (0, "7", 1.0, 7.0),
        (0, "0.5", 12.0, 0.5),
        (9, None, 12.0, 60.0),
        (0, "3600", 1.0, 60.0),
        (1, "Wed, 21 Oct 2026 07:28:00 GMT", 1.0, 2.0),
        (0, "-3", 1.0, 1.0),
        (0, "nan", 1.0, 1.0),
        (0, "inf", 1.0, 60.0),
        (100_000, None, 1.0, 60.0),
    ],
)
def test_how_long_to_wait_for_the_next_attempt(attempt, retry_after, pace, expected):
    assert pause_s(attempt, retry_after, pace) == expected
