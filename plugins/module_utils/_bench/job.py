# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A benchmark as a detached job: it outlives the connection that started it, and is found again.

A job has a folder, state_dir/runs/RUN_ID, with these files:
workload.json (what it measures), progress.json (written by the job once a second), heartbeat (touched by whoever waits),
cancel (a request to stop), job.log (what the job prints, locked while it lives), and in the end fact.json and result.json.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import time
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping

from .._errors import Problem, UserError
from .._files import check_room, hold_room, is_disk_full, log_tail, read_json, write_json
from .loadgen.progress import WARMUP, Counts
from .lock import Measured

_POLL_S = 0.1
_WRITE_EVERY_S = 1.0
_RATE_OVER_S = 10.0
_ORPHAN_AFTER_S = 60.0  # without a heartbeat
_LAST_WORD_BYTES = 64 * 1024  # of progress.json: an error's text may be long
_STARTING, _DONE, _FAILED = "starting", "done", "failed"


@dataclass(frozen=True)
class JobFolder:
    """The files of a job."""

    path: Path

    def progress(self) -> dict[str, Any]:
        """The job's last word on its progress."""
        return read_json(self.path / "progress.json") or {"state": _STARTING}

    def write_progress(self, document: dict[str, Any], *, last: bool = False) -> None:
        """Writes the progress; its last word into the space that was held for it."""
        write_json(self.path / "progress.json", document, in_room=last)

    def hold_room(self) -> None:
        """Takes the space for the last word. Raises OSError."""
        hold_room(self.path / "progress.json", _LAST_WORD_BYTES)

    def open_log(self) -> int:
        """The log as a file descriptor whose lock lives as long as any process that has inherited it."""
        log = os.open(self.path / "job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(log, fcntl.LOCK_EX)
        return log

    def alive(self) -> bool:
        """Whether the job still runs."""
        try:
            with (self.path / "job.log").open() as log:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def fact(self) -> dict[str, Any] | None:
        """The result, once there is one."""
        return read_json(self.path / "fact.json")

    def write_workload(self, workload: dict[str, Any]) -> None:
        """Notes what the run is to measure, for a run that fails has no result that says so."""
        write_json(self.path / "workload.json", workload)

    def workload(self) -> dict[str, Any]:
        """What the run was to measure; empty where that was not noted."""
        noted = read_json(self.path / "workload.json")
        return noted if isinstance(noted, dict) else {}

    def log_tail(self) -> str:
        """The end of what the job printed."""
        return "\n".join(log_tail(self.path / "job.log"))

    def beat(self) -> None:
        """Says that a caller still waits for the job."""
        (self.path / "heartbeat").touch()

    def silence_s(self) -> float:
        """Seconds since the last heartbeat."""
        try:
            return time.time() - (self.path / "heartbeat").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def ask_to_stop(self) -> None:
        (self.path / "cancel").touch()

    @property
    def asked_to_stop(self) -> bool:
        return (self.path / "cancel").exists()


class Monitor:
    """The job's own view of its progress: writes it down, and finds out when it has to stop."""

    def __init__(self, folder: JobFolder, output_tokens: int, cancel_when_alone: bool) -> None:
        self._folder, self._output_tokens, self._cancel_when_alone = folder, output_tokens, cancel_when_alone
        self._begun = time.monotonic()
        self._phase = ""
        self._phase_begun = self._written = 0.0
        self._came: deque[tuple[float, int]] = deque()  # when how many bytes had come, over the last seconds
        self._stopped = False

    def stop(self, *_signal: object) -> None:
        """Ends the load at its next tick; also the handler of SIGTERM."""
        self._stopped = True

    def tick(self, phase: str, total: int, counts: Counts) -> bool:
        """Takes the progress of a load. False when the load is to stop."""
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._phase_begun, self._written = phase, now, 0.0
            self._came = deque([(now, 0)])
        if now - self._written >= _WRITE_EVERY_S or counts.done == total:
            self._written = now
            self._show(self._document(now, total, counts))
        return not self.stopping

    @property
    def stopping(self) -> bool:
        """Whether the run is to end: by a signal, by request, or because its caller has gone."""
        alone = self._cancel_when_alone and self._folder.silence_s() > _ORPHAN_AFTER_S
        return self._stopped or alone or self._folder.asked_to_stop

    def _show(self, document: dict[str, Any]) -> None:
        with suppress(OSError):  # a full disk: the load is worth more than what is seen of it
            self._folder.write_progress(document)

    def _document(self, now: float, total: int, counts: Counts) -> dict[str, Any]:
        tokens = counts.received_bytes * counts.tokens_per_byte
        share = counts.done / total
        if self._phase != WARMUP:  # whose answers are shorter
            share = max(share, min(1.0, tokens / (total * self._output_tokens)))
        return {
            "state": "running",
            "phase": self._phase,
            "done": counts.done,
            "failed": counts.failed,
            "total": total,
            "tokens": round(tokens),
            "share": share,
            "output_tok_s": self._bytes_per_s(now, counts.received_bytes) * counts.tokens_per_byte if tokens else None,
            "elapsed_s": now - self._begun,
            "eta_s": (now - self._phase_begun) * (1 - share) / share if share else None,
        }

    def _bytes_per_s(self, now: float, received_bytes: int) -> float:
        """The rate over the last seconds: in a shorter time a wave of prompts, for which no token comes, would look like a stop."""
        self._came.append((now, received_bytes))
        while len(self._came) > 2 and self._came[1][0] <= now - _RATE_OVER_S:
            self._came.popleft()
        since, before = self._came[0]
        return (received_bytes - before) / (now - since) if now > since else 0.0


def start(folder: JobFolder, lock: Measured, monitor: Monitor, work: Callable[[], Any]) -> None:
    """Runs `work` in a process of its own session, which holds the lock; returns at once.

    The process writes how it ended into progress.json, with the words of a UserError when there was one.
    """
    folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.write_progress({"state": _STARTING})
    folder.hold_room()
    folder.beat()
    log = folder.open_log()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            job = os.fork()
            if job == 0:
                _live(folder, log, monitor, lambda: _outcome(folder, lock, work))
            lock.hand_to(job)
        finally:
            os._exit(0)  # never back into the caller's code, nor through its exit handlers
    os.waitpid(child, 0)
    os.close(log)
    lock.leave()


def _live(folder: JobFolder, log: int, monitor: Monitor, outcome: Callable[[], dict[str, Any]]) -> None:
    """The life of the job: away from the connection that started it, to its end."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, monitor.stop)
    folder.write_progress(outcome(), last=True)


def _outcome(folder: JobFolder, lock: Measured, work: Callable[[], Any]) -> dict[str, Any]:
    """Works, lets go of the server, and says how it ended: in this order, so that whoever sees the end can start the next one."""
    try:
        work()
        return {"state": _DONE}
    except UserError as error:
        return {"state": _FAILED, "error": error.first._asdict()}
    except BaseException as error:
        _log(traceback.format_exc())
        problem = Problem(f"The job failed: {error!r}.", "it to finish.", "Report its job.log.")
        if isinstance(error, OSError) and is_disk_full(error):
            problem = disk_full(folder.path, error)
        return {"state": _FAILED, "error": problem._asdict()}
    finally:
        lock.release()


def _log(text: str) -> None:
    with suppress(OSError):  # a full disk
        os.write(2, text.encode())


def disk_full(folder: Path, error: OSError) -> Problem:
    """What to say when a benchmark cannot write."""
    return Problem(
        f"The disk of {folder} is full ({error}).",
        "room for the files of a run.",
        f"Free space there (df -h {folder}), or set state_dir to a folder on another disk, then run the benchmark again.",
    )


def wait(folder: JobFolder) -> dict[str, Any]:
    """Waits for the end of a job and returns its fact. Raises UserError with the job's own reason when it has none."""
    while True:
        folder.beat()
        alive = folder.alive()  # asked first: a job writes how it ended before it goes
        progress = folder.progress()
        if progress["state"] == _DONE:
            return dict(folder.fact() or {})
        if progress["state"] == _FAILED:
            raise UserError(Problem(**progress["error"]))
        if not alive:
            return _left_behind(folder)
        time.sleep(_POLL_S)


def _left_behind(folder: JobFolder) -> dict[str, Any]:
    """The fact of a job that could not say how it ended. Raises UserError when it has left none."""
    fact = folder.fact()
    if fact:
        return dict(fact)
    try:
        check_room(folder.path, _LAST_WORD_BYTES)
    except OSError as error:
        raise UserError(disk_full(folder.path, error)) from error
    raise UserError(
        Problem(
            f"The benchmark job died; the end of its log: {folder.log_tail() or 'empty'}.",
            "it to finish.",
            "Look for the out-of-memory killer in dmesg, then run the benchmark again.",
        )
    )


@dataclass(frozen=True)
class Running:
    """The note about the load on a server, kept beside the runs."""

    state_dir: Path
    name: str

    @property
    def _path(self) -> Path:
        return self.state_dir / "running" / f"{self.name}.json"

    def write(self, run_id: str, asked: Mapping[str, Any]) -> None:
        """Notes the run and what was asked of it, in plain JSON types."""
        started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_json(self._path, {"run_id": run_id, "asked": asked, "started_by": caller(), "started_at": started_at})

    def read(self) -> dict[str, Any]:
        """`run_id` and `asked` of the latest run on this server; empty when there was none that can be read."""
        note = read_json(self._path)
        whole = isinstance(note, dict) and isinstance(note.get("run_id"), str) and isinstance(note.get("asked"), dict)
        return note if whole else {}


def caller() -> str:
    """Who starts a run on this host, and from where, as `ubuntu from 192.0.2.7`; behind sudo the user who connected."""
    user = os.environ.get("SUDO_USER")
    try:
        user = user or pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = f"user {os.geteuid()}"
    source = os.environ.get("SSH_CLIENT", "").split()[:1]
    return " from ".join([user, *source])


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What two calls ask differently, as `validity.closure is 0.1 there and 0.5 here`."""
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    return [f"{name} is {theirs.get(name)!r} there and {ours.get(name)!r} here" for name in names]
