# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warnings and deprecations in what Ansible prints."""

from __future__ import annotations

import re
from collections.abc import Mapping

_BEGINS = re.compile(r"^\[(?:WARNING|DEPRECATION WARNING|ERROR)\]: ?")
_ENDS = re.compile(r"^(?:\[|TASK |PLAY |RUNNING HANDLER |\S+: \[|$)")

# What is not the project's and cannot be mended at its cause: why -> a pattern of the whole text.
NOT_OURS: Mapping[str, re.Pattern[str]] = {
    "ansible-core 2.20 and newer have a collection of their own without a version, which ansible-doc meets when it lists roles": re.compile(
        r"^\[WARNING\]: Collection at '\S*/ansible/_internal/ansible_collections/ansible/_protomatter' does not have a MANIFEST.json"
    ),
}


def notices(output: str) -> list[str]:
    """Each warning, deprecation and error of an output as one line: Ansible breaks long ones."""
    found: list[str] = []
    open_notice = False
    for line in output.splitlines():
        if _BEGINS.match(line):
            found.append(line.strip())
            open_notice = True
        elif _ENDS.match(line):
            open_notice = False
        elif open_notice:
            found[-1] += " " + line.strip()
    return found


def ours(output: str, rules: Mapping[str, re.Pattern[str]] = NOT_OURS) -> list[str]:
    """The notices that no rule explains."""
    return [notice for notice in notices(output) if not any(rule.search(notice) for rule in rules.values())]
