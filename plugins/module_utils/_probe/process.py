# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a process of a host is: its command, its session and the container that it runs in.

`parse_*` and `redact_command` are pure.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Sequence

from .._files import stat_fields
from .system import System

_SECRET_NAME = re.compile(
    r"api[-_]?key|(^|[-_])key$|token(?!s|iz)|secret|passw(or)?d|credential|authorization", re.IGNORECASE
)
_MASK = "********"


def redact_command(argv: Sequence[str]) -> str:
    """A command line fit for a message: the value of every option that is named like a secret is masked."""
    shown = []
    mask_next = False
    for word in argv:
        name, equals, _value = word.partition("=")
        if mask_next:
            shown.append(_MASK)
        elif equals and _SECRET_NAME.search(name):
            shown.append(name + equals + _MASK)
        else:
            shown.append(word)
        mask_next = not mask_next and not equals and word.startswith("-") and bool(_SECRET_NAME.search(word))
    return " ".join(shown)


def parse_container_id(cgroup: str | None) -> str | None:
    """The Docker container that a process runs in, from `/proc/PID/cgroup`: its full ID, or None."""
    match = re.search(r"docker[-/]([0-9a-f]{64})", cgroup or "")
    return match.group(1) if match else None


def parse_session_id(stat: str | None) -> int | None:
    """The session of a process: the ID of the process that started it with `setsid`."""
    fields = stat_fields(stat)
    return int(fields[3]) if len(fields) > 3 else None


def probe_process(system: System, pid: int) -> dict[str, Any]:
    """A process by its ID. Every figure is None when it has ended or belongs to another user."""
    words = (system.read(f"/proc/{pid}/cmdline") or "").split("\0")
    return {
        "pid": pid,
        "command": redact_command([word for word in words if word]) or None,
        "session_id": parse_session_id(system.read(f"/proc/{pid}/stat")),
        "container_id": parse_container_id(system.read(f"/proc/{pid}/cgroup")),
    }


def parse_pid_file(text: str | None, boot_id: str | None = None) -> int | None:
    """The process ID that a pid file holds: bare, or as `pid` of a JSON object; None where that names another `boot_id`."""
    try:
        content = json.loads(text or "")
    except ValueError:
        return None
    if isinstance(content, dict) and content.get("boot_id") not in (None, boot_id):
        return None  # by now the number may be a stranger's
    pid = content.get("pid") if isinstance(content, dict) else content
    return pid if isinstance(pid, int) and not isinstance(pid, bool) and pid > 0 else None


def home_of_caller() -> str:
    """The home of the user who connected, behind sudo too."""
    return str(Path("~" + os.environ.get("SUDO_USER", "")).expanduser())


def probe_pid_file(system: System, path: str) -> dict[str, Any]:
    """The process that a pid file names; `pid` is None when the file is absent or the process has ended.

    A leading `~` is the home of the user who connected.
    """
    full_path = home_of_caller() + path[1:] if path.startswith("~/") else path
    boot_id = (system.read("/proc/sys/kernel/random/boot_id") or "").strip() or None
    pid = parse_pid_file(system.read(full_path), boot_id)
    return {"path": path, "pid": pid if system.read(f"/proc/{pid}/stat") is not None else None}
