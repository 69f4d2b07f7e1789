# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long something is waited for: limits for calls that know none, and the pause before another attempt."""

from __future__ import annotations

import threading
from typing import Any, Callable

LONGEST_PAUSE_S = 60.0


def within(limit_s: float, call: Callable[[], Any]) -> Any:
    """What `call` returns. Raises what it raises, and TimeoutError when it has not ended within the limit.

    For what a limit of each read does not end: a resolver, or a library's HTTP, whose limit begins again with each byte. The call is
    made by a thread, which is left behind when the limit is over.
    """
    ends: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            ends.append((True, call()))
        except Exception as error:  # raised again by the caller's thread
            ends.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if not ends:
        raise TimeoutError(f"timed out: no answer within {limit_s:.3g} s")
    returned, value = ends[0]
    if not returned:
        raise value
    return value


def pause_s(attempt: int, retry_after: str | None, first_s: float) -> float:
    """Seconds before attempt `attempt` + 1 (the first is 0): what the server asks for, else twice as long each time; a minute at most."""
    try:
        asked = float(retry_after) if retry_after else 0.0
    except ValueError:  # a date instead of seconds: rarer than worth parsing, and the doubling is safe
        asked = 0.0
    return min(asked if asked > 0 else first_s * 2.0 ** min(attempt, 10), LONGEST_PAUSE_S)
