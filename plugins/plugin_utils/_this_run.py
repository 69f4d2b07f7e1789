# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which run of Ansible this is, as a lock on a host names it, and whether another one of this controller still runs."""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._processes import identity
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line


def this_run(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Who takes a server: the run, by the process of `ansible-playbook` that started this task's, its user and what it plays."""
    pid = os.getppid()
    started, machine = identity(pid) or "", _machine()
    run = hashlib.sha256(f"{machine} {pid} {started}".encode()).hexdigest()[:12]
    return {
        "run": run,
        "owner": one_line(f"{_user(variables)}@{os.uname().nodename}", 80),
        "work": one_line(variables.get("ansible_play_name") or "a task", 80),
        "controller": machine,
        "controller_pid": pid,
        "controller_started": started,
    }


def has_ended(holder: Mapping[str, Any]) -> bool:
    """Whether the holder of a lock was a run of this controller whose process has ended; False where that cannot be seen from here."""
    pid, started = holder.get("controller_pid"), holder.get("controller_started")
    here = holder.get("controller") == _machine() and isinstance(pid, int) and bool(started)
    return here and identity(int(str(pid))) != started


def _machine() -> str:
    """What distinguishes this machine since its boot, and a container on it: process numbers mean something only there."""
    return f"{os.uname().nodename} {_first_line('/proc/sys/kernel/random/boot_id')} {_namespace()}"


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:  # macOS
        return ""


def _namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _user(variables: Mapping[str, Any]) -> str:
    """The user of AWX who pressed the button, else of this process."""
    name = variables.get("awx_user_name") or variables.get("tower_user_name")
    if name:
        return str(name)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that no user has
        return f"user {os.geteuid()}"


def patiently(call: Callable[[float, str], dict[str, Any]], wait_s: float) -> dict[str, Any]:
    """The result of a module that takes a server: `call` with the seconds that it may wait and the run that it may take over.

    What holds the server is in the result's `held`. A run of this controller that has ended, before or meanwhile, is taken over.
    """
    result = call(0.0, "")
    for patience_s in (wait_s, 0.0):
        held = result.get("held")
        if not isinstance(held, Mapping):
            break
        if has_ended(held):
            return call(0.0, str(held.get("run")))
        if patience_s > 0:
            result = call(patience_s, "")
    return result


def taken_over_line(host: Any, holder: Mapping[str, Any]) -> str:
    """What is printed where a run takes a server over."""
    what = f"{holder.get('work')} of {holder.get('owner')}, run {holder.get('run')}"
    return one_line(f"{host}: takes the server over from {what}, which ended without giving it back", 300)
