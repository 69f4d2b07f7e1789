# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every check of the preflight is made of, and whose a process is. Pure."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

Host = Mapping[str, Any]  # the return of M(llmfleet.serving.host_info), all sections
Want = Mapping[str, Any]
Verdict = Dict[str, str]  # status (pass, fail or skip), found, needed and remedy
Check = Callable[[Host, Want], Verdict]


def passed(found: object, needed: object) -> Verdict:
    """The host has what is needed."""
    return {"status": "pass", "found": str(found), "needed": str(needed), "remedy": ""}


def failed(found: object, needed: object, remedy: str) -> Verdict:
    """The host lacks what is needed; `remedy` is what to do."""
    return {"status": "fail", "found": str(found), "needed": str(needed), "remedy": remedy}


def skip(reason: str) -> Verdict:
    """Nothing to judge: not wanted, or not to be seen."""
    return {"status": "skip", "found": reason, "needed": "", "remedy": ""}


def judge(good: bool, found: object, needed: object, remedy: str) -> Verdict:
    """Passed when `good`, else failed."""
    return passed(found, needed) if good else failed(found, needed, remedy)
