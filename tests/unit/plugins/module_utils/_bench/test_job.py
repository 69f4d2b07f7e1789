# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import calendar
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench import job
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.job import (
    JobFolder,
    Monitor,
    Running,
    differences,
    start,
    wait,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.progress import Counts
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.lock import Held, Measured, ServerLock
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._files import write_json
from ansible_collections.llmfleet.serving.plugins.module_utils._processes import identity

from tests.support.small_disk import fill

ADDRESS = (2, ("192.0.2.1", os.getpid()))


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "runs" / "r1")


def lock() -> Measured:
    taken = ServerLock.acquire(ADDRESS, Path("/nowhere"))
    assert taken is not None
    return Measured(taken)


def test_a_server_is_kept_from_changes_as_long_as_the_job_runs(folder: JobFolder, tmp_path: Path) -> None:
    held, state = lock(), tmp_path / "state"
    held.keep_from_changes(state, "r1", "me", "")
    assert json.loads((state / "lock.json").read_text())["pid"] == os.getpid()
    ends = tmp_path / "ends"

    def work() -> None:
        while not ends.exists():
            time.sleep(0.02)

    start(folder, held, Monitor(folder, 10, cancel_when_alone=False), work)
    document = json.loads((state / "lock.json").read_text())
    assert (document["run"], document["work"]) == ("r1", "benchmark")
    assert document["pid"] != os.getpid() and identity(document["pid"]) == document["started"]
    other = Measured(ServerLock.acquire((2, ("192.0.2.1", 1)), tmp_path))  # type: ignore[arg-type]
    with pytest.raises(Held, match="benchmark of me, run r1"):
        other.keep_from_changes(state, "r2", "you", "")
    other.release()
    ends.touch()
    assert wait(folder) == {}
    assert not (state / "lock.json").exists()


def test_a_job_leaves_its_result(folder: JobFolder) -> None:
    monitor = Monitor(folder, 10, cancel_when_alone=False)
    start(folder, lock(), monitor, lambda: (folder.path / "fact.json").write_text('{"status": "ok"}'))
    assert wait(folder) == {"status": "ok"}


def test_a_job_says_why_it_failed(folder: JobFolder) -> None:
    def work() -> None:
        raise UserError(Problem("a", "b", "c"))

    start(folder, lock(), Monitor(folder, 10, cancel_when_alone=False), work)
    with pytest.raises(UserError) as error:
        wait(folder)
    assert error.value.first == ("a", "b", "c")


def test_an_error_of_ours_is_in_the_log(folder: JobFolder) -> None:
    start(folder, lock(), Monitor(folder, 10, cancel_when_alone=False), lambda: {}["nothing"])
    with pytest.raises(UserError, match="KeyError"):
        wait(folder)
    assert "Traceback" in folder.log_tail()


def test_a_full_disk_loses_no_result(small_disk: Path) -> None:
    folder = JobFolder(small_disk / "runs" / "r1")
    monitor = Monitor(folder, 10, cancel_when_alone=False)

    def work() -> None:
        write_json(folder.path / "fact.json", {"status": "ok"})
        fill(small_disk)
        assert monitor.tick("run-1", 4, Counts(done=4)), "a load goes on when its progress cannot be written"

    start(folder, lock(), monitor, work)
    assert wait(folder) == {"status": "ok"}
    assert folder.progress() == {"state": "done"}


def test_a_full_disk_is_blamed_and_not_the_memory(small_disk: Path) -> None:
    folder = JobFolder(small_disk / "runs" / "r1")

    def work() -> None:
        fill(small_disk)
        write_json(folder.path / "fact.json", {"status": "ok"})

    start(folder, lock(), Monitor(folder, 10, cancel_when_alone=False), work)
    with pytest.raises(UserError, match=r"disk of .* is full .*No space left") as error:
        wait(folder)
    assert "dmesg" not in str(error.value)


def test_a_job_that_could_not_say_how_it_ended_has_its_result(small_disk: Path) -> None:
    """As when it was killed between the two."""
    folder = JobFolder(small_disk / "runs" / "r1")
    start(folder, lock(), Monitor(folder, 10, cancel_when_alone=False), lambda: os._exit(1))
    while folder.alive():
        time.sleep(0.01)
    with pytest.raises(UserError, match="job died"):
        wait(folder)
    fill(small_disk)
    with pytest.raises(UserError, match="is full"):
        wait(folder)
    (small_disk / "other").unlink()
    write_json(folder.path / "fact.json", {"status": "ok"})
    assert wait(folder) == {"status": "ok"}


def test_progress(folder: JobFolder) -> None:
    monitor = Monitor(folder, output_tokens=10, cancel_when_alone=False)
    assert monitor.tick("run-1", 4, Counts())
    assert (folder.progress()["eta_s"], folder.progress()["output_tok_s"]) == (None, None)
    assert monitor.tick("run-1", 4, Counts(done=4, failed=1, received_bytes=4000, ended_tokens=30, ended_bytes=3000))
    progress = folder.progress()
    values = [progress[name] for name in ("state", "phase", "done", "failed", "total", "eta_s", "tokens", "share")]
    assert values == ["running", "run-1", 4, 1, 4, 0, 40, 1.0]


def test_the_share_of_a_warm_up_is_of_its_requests_for_their_answers_are_shorter(folder: JobFolder) -> None:
    monitor = Monitor(folder, output_tokens=10, cancel_when_alone=False)
    monitor.tick("warmup", 4, Counts(received_bytes=4000, seen_events=5, seen_bytes=1000))
    assert (folder.progress()["tokens"], folder.progress()["share"], folder.progress()["eta_s"]) == (20, 0, None)


@pytest.mark.parametrize(
    ("counts", "tokens_per_byte"),
    [
        (Counts(), 0),
        (Counts(seen_events=5, seen_bytes=1000), 0.005),
        (Counts(seen_events=5, seen_bytes=1000, ended_tokens=20, ended_bytes=2000), 0.01),
    ],
)
def test_tokens_follow_from_bytes(counts: Counts, tokens_per_byte: float) -> None:
    assert counts.tokens_per_byte == tokens_per_byte


def test_a_steady_load_has_a_steady_rate_from_the_first_tokens_on(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waves of 32 requests, 60 s each, the first 2 s of it prompts; 3,800 tok/s while tokens come, 250 bytes each."""
    clock = [1000.0]
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: clock[0], time=lambda: 0.0))
    monitor = Monitor(folder, output_tokens=6887, cancel_when_alone=False)
    rates, shares = [], []
    for tick in range(4 * 180):
        wave, within = divmod(tick / 4, 60)
        tokens = int(wave * 58 * 3800 + max(0.0, within - 2) * 3800)
        done = int(wave) * 32
        ended = (
            {"ended_tokens": done * 6887, "ended_bytes": done * 6887 * 250}
            if done
            else {"seen_events": 100, "seen_bytes": 25_300}
        )
        clock[0] = 1000 + tick / 4
        monitor.tick("run-1", 128, Counts(done=done, received_bytes=tokens * 250, **ended))
        if tick >= 4 * 15:
            rates.append(folder.progress()["output_tok_s"])
            shares.append(folder.progress()["share"])
    assert min(rates) > 3000 and max(rates) < 3900
    assert shares == sorted(shares) and 0.05 < shares[0] < 0.07


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its item is the time, which passes only where a test says so."""
    now = [1000.0]
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: 0.0))
    return now


def test_a_phase_is_timed_and_counted_from_its_own_begin(folder: JobFolder, clock: list[float]) -> None:
    """Ten tokens a second of 100 bytes each, 4 x 100 of them in each phase; of the second one nothing has ended."""
    monitor = Monitor(folder, output_tokens=100, cancel_when_alone=False)
    for phase in ("run-1", "run-2"):
        rates = []
        for second in range(21):
            monitor.tick(phase, 4, Counts(received_bytes=second * 1000, seen_events=5, seen_bytes=500))
            progress = folder.progress()
            rates.append(progress["output_tok_s"])
            clock[0] += 1
        assert rates == [None, *[pytest.approx(10)] * 20]
        assert (progress["tokens"], progress["share"], progress["eta_s"]) == (200, 0.5, pytest.approx(20))
    assert progress["elapsed_s"] == pytest.approx(41)


def test_answers_that_are_longer_than_asked_leave_no_negative_time(folder: JobFolder, clock: list[float]) -> None:
    monitor = Monitor(folder, output_tokens=10, cancel_when_alone=False)
    monitor.tick("run-1", 4, Counts())
    clock[0] += 5
    monitor.tick("run-1", 4, Counts(done=2, received_bytes=9000, ended_tokens=20, ended_bytes=2000))
    assert (folder.progress()["share"], folder.progress()["eta_s"]) == (1, 0)


def test_what_stops_a_load(folder: JobFolder) -> None:
    monitor = Monitor(folder, 10, cancel_when_alone=True)
    folder.path.mkdir(parents=True)
    folder.beat()
    assert monitor.tick("run-1", 4, Counts())
    os.utime(folder.path / "heartbeat", (1, 1))
    assert not monitor.tick("run-1", 4, Counts())
    folder.beat()
    assert monitor.tick("run-1", 4, Counts())
    folder.ask_to_stop()
    assert not monitor.tick("run-1", 4, Counts())


def test_sigterm_stops_a_load(folder: JobFolder) -> None:
    monitor = Monitor(folder, 10, cancel_when_alone=False)
    monitor.stop()
    assert not monitor.tick("run-1", 4, Counts())


def test_the_note_about_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    monkeypatch.setenv("SSH_CLIENT", "192.0.2.7 50000 22")
    note = Running(tmp_path, "server")
    assert note.read() == {}
    note.write("r1", {"seed": 0})
    kept = note.read()
    assert {name: kept[name] for name in ("run_id", "asked")} == {"run_id": "r1", "asked": {"seed": 0}}
    assert kept["started_by"] == "ann from 192.0.2.7"
    assert time.time() - calendar.timegm(time.strptime(kept["started_at"], "%Y-%m-%dT%H:%M:%SZ")) < 60


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run_id": 1, "asked": {}}', '{"run_id": "r1", "fingerprint": "f"}'])
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    note = Running(tmp_path, "server")
    note.write("r1", {})
    (tmp_path / "running" / "server.json").write_text(text)
    assert note.read() == {}


@pytest.mark.parametrize("text", [None, "", "[]", "5", '"x"', "{"])
def test_a_workload_that_was_not_noted_is_empty(folder: JobFolder, text: str | None) -> None:
    folder.path.mkdir(parents=True)
    folder.write_workload({"num_prompts": 3})
    assert folder.workload() == {"num_prompts": 3}
    (folder.path / "workload.json").unlink()
    if text is not None:
        (folder.path / "workload.json").write_text(text)
    assert folder.workload() == {}


def test_what_two_calls_ask_differently_is_named() -> None:
    theirs, ours = {"seed": 0, "validity.closure": 0.1, "slo.ttft": 5.0}, {"seed": 0, "validity.closure": 0.5}
    assert differences(theirs, ours) == [
        "validity.closure is 0.1 there and 0.5 here",
        "slo.ttft is 5.0 there and None here",
    ]
