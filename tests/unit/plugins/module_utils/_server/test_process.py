# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import sys
import time

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._files import log_tail
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as _process

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


def test_a_later_process_with_the_same_number_is_not_taken_for_ours(folder):
    _process.start(folder, SLEEPER, {}, {}, "1")
    record = _process.read_record(folder)
    (folder / _process.RECORD).write_text(json.dumps({**record, "identity": "another start"}))
    assert _process.running_pid(folder) is None
    (folder / _process.RECORD).write_text(json.dumps(record))


def test_a_new_record_replaces_the_old_one_as_a_whole(folder):
    folder.mkdir()
    (folder / _process.RECORD).write_text("old")
    os.link(folder / _process.RECORD, folder / "as a reader has it open")
    _process.start(folder, SLEEPER, {}, {}, "1")
    assert (folder / "as a reader has it open").read_text() == "old"
    assert list(json.loads((folder / _process.RECORD).read_text())) == ["pid", "identity", "digest", "argv"]


@pytest.mark.parametrize("text", ["", "{", "null"])
def test_a_broken_record_is_no_process(folder, text):
    folder.mkdir()
    (folder / _process.RECORD).write_text(text)
    assert _process.running_pid(folder) is None


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
