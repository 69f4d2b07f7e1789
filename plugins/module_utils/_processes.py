# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What distinguishes a process from a later one with the same number, on hosts and on the controller."""

# By subprocess: where there is no AnsibleModule, there is no run_command.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import subprocess
from pathlib import Path

from ._files import stat_fields

ENDED = ("Z", "X")  # states of a process that runs no more
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def identity(pid: int) -> str | None:
    """What distinguishes a process from a later process with the same number: its start time. None when no such process runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")  # of a name that is cut within a character
    except (FileNotFoundError, ProcessLookupError):  # the second while it is read
        return None if Path("/proc/self/stat").exists() else _identity_by_ps(pid)
    fields = stat_fields(stat)
    return fields[19] if len(fields) > 19 and fields[0] not in ENDED else None


def _identity_by_ps(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], stdout=subprocess.PIPE, check=False)
    return answer.stdout.decode().strip() or None


def boot_id() -> str | None:
    """What distinguishes this boot of the host from the next; None where the system does not say."""
    try:
        return Path(BOOT_ID).read_text().strip()
    except OSError:
        return None
