# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server as a detached process: a folder holds its files, its log and `process.json`, by which a later run finds it.

Works on any Linux or macOS host, without root.
"""

# By subprocess: run_command waits for the end, and a server goes on.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._files import read_json, stat_fields, write_json
from .._processes import ENDED, boot_id, identity

RECORD = "process.json"
LOG = "server.log"


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the last start: `pid`, `identity`, `boot_id`, `digest`, `argv`; empty when there is no record.

    `identity` is None of a process that had ended before it could be asked for. `boot_id` is missing in records of older releases.
    """
    record = read_json(folder / RECORD)
    return record if isinstance(record, dict) else {}


def running_pid(folder: Path) -> int | None:
    """The number of the process that was started from this folder, if it still runs."""
    record = read_record(folder)
    pid, started = record.get("pid"), record.get("identity")
    if record.get("boot_id") not in (None, boot_id()):
        return None  # a start time counts from the boot: after another one a stranger may have number and time
    return pid if isinstance(pid, int) and isinstance(started, str) and identity(pid) == started else None


def stale_files(folder: Path, files: dict[str, str]) -> list[str]:
    """Names of those files whose content on the host differs from the wanted content."""
    return [name for name, content in files.items() if _read(folder / name) != content]


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except (FileNotFoundError, ValueError):  # the second for bytes that are no text
        return None


def start(folder: Path, argv: list[str], env: dict[str, str], files: dict[str, str], digest: str) -> int:
    """Writes the files, starts `argv` in a session of its own and returns its pid. The previous log is kept as `.previous`.

    Raises OSError when the program cannot be started, or not be recorded: then it does not run.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in files.items():
        (folder / name).write_text(content)
    log = folder / LOG
    if log.exists():
        log.replace(folder / (LOG + ".previous"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=str(folder),
            env={**os.environ, **env},
            start_new_session=True,
        )
    record = {
        "pid": process.pid,
        "identity": identity(process.pid),
        "boot_id": boot_id(),
        "digest": digest,
        "argv": argv,
    }
    try:
        write_json(folder / RECORD, record, indent=2)
    except OSError:
        _signal(process.pid, signal.SIGKILL)  # nothing would find it again
        raise
    return process.pid


def stop(folder: Path, grace_s: float) -> bool:
    """Ends the process and what it started: SIGTERM, then SIGKILL after `grace_s`. True when a process ran."""
    pid, expected = running_pid(folder), read_record(folder).get("identity")
    if pid is not None:
        _signal(pid, signal.SIGTERM)
        if not _has_ended(pid, expected, grace_s):
            _signal(pid, signal.SIGKILL)
            _has_ended(pid, expected, grace_s)
    if (folder / RECORD).exists():
        (folder / RECORD).unlink()
    return pid is not None


def _signal(pid: int, number: int) -> None:
    """Signals a process and what it started; it may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def _has_ended(pid: int, expected: str | None, wait_s: float) -> bool:
    """Whether a process and what it started end within that time."""
    deadline = time.monotonic() + wait_s
    while identity(pid) == expected or _group_runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _group_runs(group: int) -> bool:
    """Whether a process of the group still runs; where there is no /proc to ask, none does."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = stat_fields(path.read_text(errors="replace"))
            if fields[2:3] == [str(group)] and fields[0] not in ENDED:
                return True
    return False
