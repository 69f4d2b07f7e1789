# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils import _processes
from ansible_collections.llmfleet.serving.plugins.module_utils._files import log_tail
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as _process

from tests.support.small_disk import fill

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "server"
    _process.stop(tmp_path / "server", grace_s=0.1)


def wait_for_log(folder):
    deadline = time.monotonic() + 20
    while log_tail(folder / _process.LOG) == [] and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_started_process_is_found_again_and_leads_its_own_session(folder):
    pid = _process.start(folder, SLEEPER, {}, {"a.txt": "hello"}, "1")
    assert _process.running_pid(folder) == pid
    assert os.getsid(pid) == pid
    assert (folder / "a.txt").read_text() == "hello"
    assert _process.stale_files(folder, {"a.txt": "hello", "b.txt": ""}) == ["b.txt"]


@pytest.mark.parametrize("argv", [SLEEPER, STUBBORN])
def test_stop_ends_it_and_a_second_stop_finds_nothing(folder, argv):
    _process.start(folder, argv, {}, {}, "1")
    wait_for_log(folder)
    assert _process.stop(folder, grace_s=0.3) is True
    assert _process.running_pid(folder) is None
    assert _process.stop(folder, grace_s=0.3) is False


def test_stop_ends_what_the_process_started_too(folder):
    """An engine's worker that does not hear SIGTERM would keep the memory of the GPU."""
    worker = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    argv = ["sh", "-c", f"trap 'exit 0' TERM; sh -c \"{worker}\" & wait"]
    group = _process.start(folder, argv, {}, {}, "1")
    wait_for_log(folder)
    assert _process.stop(folder, grace_s=3.0) is True
    states = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], stdout=subprocess.PIPE, check=False).stdout
    assert all(state.startswith(b"Z") for state in states.split())


def test_a_later_process_with_the_same_number_is_not_taken_for_ours(folder):
    _process.start(folder, SLEEPER, {}, {}, "1")
    record = _process.read_record(folder)
    (folder / _process.RECORD).write_text(json.dumps({**record, "identity": "another start"}))
    assert _process.running_pid(folder) is None
    (folder / _process.RECORD).write_text(json.dumps(record))


@pytest.mark.parametrize(("boot", "runs"), [("same", True), (None, True), ("another", False)])
def test_after_a_reboot_a_stranger_with_number_and_start_time_is_not_taken_for_ours(
    folder, tmp_path, monkeypatch, boot, runs
):
    known = tmp_path / "boot_id"
    known.write_text("same\n")
    monkeypatch.setattr(_processes, "BOOT_ID", str(known))
    pid = _process.start(folder, SLEEPER, {}, {}, "1")
    record = _process.read_record(folder)
    assert record["boot_id"] == "same"
    (folder / _process.RECORD).write_text(json.dumps({**record, "boot_id": boot}))
    assert _process.running_pid(folder) == (pid if runs else None)
    (folder / _process.RECORD).write_text(json.dumps(record))


def test_a_new_record_replaces_the_old_one_as_a_whole(folder):
    folder.mkdir()
    (folder / _process.RECORD).write_text("old")
    os.link(folder / _process.RECORD, folder / "as a reader has it open")
    _process.start(folder, SLEEPER, {}, {}, "1")
    assert (folder / "as a reader has it open").read_text() == "old"
    assert list(json.loads((folder / _process.RECORD).read_text())) == ["pid", "identity", "boot_id", "digest", "argv"]


@pytest.mark.parametrize("text", ["", "{", "null"])
def test_a_broken_record_is_no_process(folder, text):
    folder.mkdir()
    (folder / _process.RECORD).write_text(text)
    assert _process.running_pid(folder) is None


@pytest.mark.parametrize(
    "record",
    [
        {"pid": 2**22 + 1, "identity": None},
        {"pid": os.getpid(), "identity": None},
        {"pid": "1", "identity": "1"},
        {"pid": 2**22 + 1},
        {"digest": "1"},
    ],
)
def test_a_record_without_a_process_is_none_and_can_be_stopped(folder, record):
    folder.mkdir()
    (folder / _process.RECORD).write_text(json.dumps(record))
    assert _process.running_pid(folder) is None
    assert _process.stop(folder, grace_s=0.1) is False
    assert not (folder / _process.RECORD).exists()


def test_one_that_dies_at_once_does_not_run(folder, monkeypatch):
    """It was gone before its start time could be asked for."""
    real, calls = _process.identity, []
    monkeypatch.setattr(_process, "identity", lambda pid: calls.append(pid) or (None if len(calls) == 1 else real(pid)))
    pid = _process.start(folder, ["true"], {}, {}, "1")
    while real(pid) is not None:
        time.sleep(0.01)
    assert _process.running_pid(folder) is None
    assert _process.stop(folder, grace_s=0.1) is False


def test_those_that_die_at_any_moment_are_stopped_without_a_word(folder):
    for _ in range(40):
        _process.start(folder, ["true"], {}, {}, "1")
        _process.stop(folder, grace_s=5)
        assert _process.running_pid(folder) is None


def test_one_that_ends_between_the_look_and_the_signal_is_stopped(folder, monkeypatch):
    pid = _process.start(folder, SLEEPER, {}, {}, "1")
    real = os.killpg

    def late(group, number):
        real(group, signal.SIGKILL)
        os.waitpid(pid, 0)
        real(group, number)

    monkeypatch.setattr(os, "killpg", late)
    assert _process.stop(folder, grace_s=5) is True


def test_one_that_cannot_be_recorded_does_not_run(small_disk):
    folder = small_disk / "server"
    _process.start(folder, ["true"], {}, {}, "1")
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        _process.start(folder, [*SLEEPER, "x" * 70_000], {}, {}, "2")
    mine = [path.parent.name for path in Path("/proc").glob("[0-9]*/cwd") if _links_to(path, folder)]
    deadline = time.monotonic() + 5
    while any(_process.identity(int(pid)) for pid in mine) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_process.identity(int(pid)) for pid in mine)


def _links_to(path, folder):
    try:
        return os.readlink(path) == str(folder)
    except OSError:
        return False


def test_the_log_of_the_run_before_is_kept(folder):
    for text in ("first", "second"):
        _process.start(
            folder, [sys.executable, "-c", f"print('{text}', flush=True); import time; time.sleep(60)"], {}, {}, text
        )
        wait_for_log(folder)
        if text == "first":
            _process.stop(folder, grace_s=5)
    assert log_tail(folder / "server.log") == ["second"]
    assert log_tail(folder / "server.log.previous") == ["first"]
