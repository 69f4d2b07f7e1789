# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long commands that say what they do: a line when they begin, one every few seconds, one when they end."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_START = time.monotonic()
_HEARTBEAT_S = 15.0
_TAIL_LINES = 40


class StepFailed(RuntimeError):
    """A command that exited non-zero or outlasted its limit; the message carries the tail of its output."""


def say(text: str) -> None:
    """Print one line with the seconds since the tests began."""
    print(f"[{time.monotonic() - _START:6.1f} s] {text}", flush=True)


def tail(path: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a text file."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def run_step(
    title: str,
    argv: Sequence[str | Path],
    log: Path,
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command with its output in `log`, printing its progress; return what it printed.

    `env` is added to the environment. Raises StepFailed when the command fails or takes longer than `timeout_s`.
    """
    say(f"{title} ...")
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        try:
            _wait(process, title, log, began, timeout_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise StepFailed(f"{title}: exit status {process.returncode}. The end of {log}:\n{tail(log)}")
    say(f"{title}: {time.monotonic() - began:.1f} s")
    return log.read_text(errors="replace")


def _wait(process: subprocess.Popen[bytes], title: str, log: Path, began: float, timeout_s: float) -> None:
    while True:
        left = began + timeout_s - time.monotonic()
        if left <= 0:
            raise StepFailed(f"{title}: not finished after {timeout_s:.0f} s. The end of {log}:\n{tail(log)}")
        try:
            process.wait(min(left, _HEARTBEAT_S))
            return
        except subprocess.TimeoutExpired:
            last = tail(log, 1).split("\r")[-1].strip()[:120]
            say(f"  {title}: {time.monotonic() - began:.0f} s{': ' + last if last else ''}")
