# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils import _lease
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._lease import (
    BENCHMARK,
    FILE,
    HELD,
    LONGEST_LEASE_S,
    TAKE,
    TAKE_OVER,
    Holder,
    decide,
    held_problem,
    parsed,
    process_has_ended,
    release,
    take,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._processes import identity
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_795_000_000.0


def holder(run="other", **more):
    return Holder(
        **{
            "run": run,
            "owner": "ubuntu@laptop",
            "work": "Deploy",
            "since_s": NOW - 60,
            "expires_s": NOW + 600,
            **more,
        }
    )


MINE = holder("mine", since_s=NOW)


@pytest.mark.parametrize(
    ("found", "takeover", "ended", "verdict"),
    [
        (None, "", False, TAKE),
        (holder("mine"), "", False, TAKE),  # of the same run: renewed
        (holder(), "", False, HELD),
        (holder(), "another", False, HELD),  # the run that was named has gone, and a third one came
        (holder(), "other", False, TAKE_OVER),
        (holder(expires_s=NOW), "", False, TAKE_OVER),
        (holder(expires_s=NOW + 0.1), "", False, HELD),
        (holder(pid=1, started="1"), "", True, TAKE_OVER),
        (holder(since_s=NOW + 1e6, expires_s=NOW + 2e6), "", False, HELD),  # the clock was set back
    ],
)
def test_who_may_take_a_server(found, takeover, ended, verdict):
    assert decide(found, MINE, NOW, takeover, lambda _holder: ended) == verdict


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"run": "a", "since_s": 1},
        {"run": "a b", "since_s": 1, "expires_s": 2},
        {"run": "-rf", "since_s": 1, "expires_s": 2},
        {"run": "a", "since_s": "1", "expires_s": 2},
        {"run": "a", "since_s": True, "expires_s": 2},
        {"run": "a", "since_s": 1, "expires_s": float("inf")},
        {"run": "a", "since_s": 1, "expires_s": 10**400},
    ],
)
def test_what_is_no_lock(document):
    assert parsed(document) is None


def test_a_lock_survives_its_file_and_a_lease_has_an_end():
    mine = holder(pid=7, started="12", controller="laptop 1", controller_pid=8, controller_started="9")
    assert parsed(json.loads(json.dumps(mine._asdict()))) == mine
    assert parsed(holder(expires_s=NOW + 1e9)._asdict()).expires_s == NOW - 60 + LONGEST_LEASE_S


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Holder._fields, "schema_version"]), JSON))
def test_whatever_stands_in_the_file_is_a_lock_or_none_and_can_be_shown(document):
    found = parsed(document)
    if found is not None:
        assert found.owner.isprintable() and found.work.isprintable() and len(found.owner) <= 80
        text = str(held_problem(found, Path("/s/lock.json"), NOW, 1, "rm /s/lock.json"))
        assert "\n" not in text and found.run in text


def test_a_refusal_says_who_since_when_and_what_to_type():
    problem = held_problem(holder(), Path("/s/lock.json"), NOW, 10.2, "take it over: -e x=other")
    assert problem.found == (
        "another run has this server: Deploy of ubuntu@laptop, run other, since 2026-11-18T11:05:40Z (60 s ago); "
        "/s/lock.json says so"
    )
    assert "waited 10 s" in problem.expected
    assert "-e x=other" in problem.remedy and "benchmark_state" not in problem.remedy
    assert "-e benchmark_state=cancelled" in held_problem(holder(work=BENCHMARK), Path("/s"), NOW, 0, "x").remedy


def test_a_folder_is_locked_renewed_refused_taken_over_and_left_as_it_was(tmp_path):
    folder, now = tmp_path / "state" / "server", time.time()
    mine, other = (holder(run, since_s=now, expires_s=now + 600) for run in ("mine", "other"))
    assert take(folder, mine) == {"path": str(folder / FILE), "taken_over": None}
    assert (folder.stat().st_mode & 0o777, (folder / FILE).stat().st_mode & 0o777) == (0o700, 0o600)
    assert take(folder, mine._replace(since_s=now + 5))["taken_over"] is None
    assert json.loads((folder / FILE).read_text())["since_s"] == now
    assert take(folder, other)["held"]["run"] == "mine"
    assert take(folder, other, takeover="mine")["taken_over"]["run"] == "mine"
    assert release(folder, "mine")["run"] == "other"  # it is no longer mine to give back
    assert (folder / FILE).exists()
    assert release(folder, "other") is None
    assert list(tmp_path.rglob("*")) == [tmp_path / "state"]
    assert release(folder, "other") is None


def test_a_folder_with_more_in_it_stays(tmp_path):
    (tmp_path / "facts.d").mkdir()
    now = time.time()
    take(tmp_path, holder("mine", since_s=now, expires_s=now + 9))
    release(tmp_path, "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["facts.d"]


def test_a_run_waits_for_another_that_ends_meanwhile(tmp_path):
    now = time.time()
    mine, other = (holder(run, since_s=now, expires_s=now + 600) for run in ("mine", "other"))
    take(tmp_path, other)
    threading.Timer(0.5, release, (tmp_path, "other")).start()
    assert take(tmp_path, mine, wait_s=60)["taken_over"] is None


def test_a_process_of_this_host_holds_a_server_as_long_as_it_runs(tmp_path):
    now = time.time()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        theirs = holder(pid=process.pid, started=identity(process.pid), since_s=now, expires_s=now + 600)
        take(tmp_path, theirs)
        assert not process_has_ended(theirs)
        assert "held" in take(tmp_path, holder("mine", since_s=now, expires_s=now + 9))
        process.kill()
    assert process_has_ended(theirs)
    assert process_has_ended(theirs._replace(pid=os.getpid()))  # another process has the number now
    assert take(tmp_path, holder("mine", since_s=now, expires_s=now + 9))["taken_over"]["run"] == "other"


def test_of_many_at_once_one_takes_it(tmp_path):
    now, context = time.time(), multiprocessing.get_context("fork")
    start, said = context.Barrier(6), context.SimpleQueue()

    def taker(run):
        start.wait()
        said.put("held" in take(tmp_path / "x", holder(run, since_s=now, expires_s=now + 600)))

    processes = [context.Process(target=taker, args=(f"run{at}",)) for at in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(said.get() for _process in processes) == [False, *[True] * 5]


@pytest.mark.parametrize("kind", ["text", "link", "folder", "long"])
def test_a_file_that_is_no_lock_is_named_with_what_to_type_and_stays(tmp_path, kind):
    path, now = tmp_path / FILE, time.time()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("{}")
    {
        "text": lambda: path.write_text("mine"),
        "link": lambda: path.symlink_to(elsewhere),
        "folder": path.mkdir,
        "long": lambda: path.write_text(json.dumps({**holder()._asdict(), "x": "y" * 20_000})),
    }[kind]()
    with pytest.raises(UserError, match=f"rm {path}"):
        take(tmp_path, holder("mine", since_s=now, expires_s=now + 9))
    assert os.path.lexists(path) and elsewhere.read_text() == "{}"


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(13, "Permission denied", "/s"), "sudo chown -R "),
        (OSError(28, "No space left on device", "/s"), "df -h"),
        (OSError(30, "Read-only file system", "/s"), "inference_server_state_dir"),
    ],
)
def test_a_folder_that_cannot_be_written_is_reported_with_the_remedy(tmp_path, monkeypatch, error, remedy):
    def refuse(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(_lease, "write_json", refuse)
    with pytest.raises(UserError, match="cannot be written") as raised:
        take(tmp_path, holder("mine"))
    assert remedy in str(raised.value)


def test_a_folder_that_another_program_keeps_locked_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(_lease, "_GUARD_S", 0.1)
    monkeypatch.setattr(_lease, "_guard", lambda _folder: None)
    with pytest.raises(UserError, match="another program keeps the folder locked"):
        take(tmp_path, holder("mine"))
