# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on a server: `lock.json` in its state folder. docs/locks.md is the protocol, for other programs too."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from ._errors import Problem, UserError
from ._files import is_disk_full, read_json, write_json
from ._owners import as_owner, owner_of
from ._processes import identity
from ._text import one_line

FILE = "lock.json"
LONGEST_LEASE_S = 7 * 86400.0
BENCHMARK = "benchmark"  # the work of a run of module bench_serve
_MOST_BYTES = 16 * 1024
_WORDS = 80  # characters of each text of the file
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_POLL_S = 0.25
_GUARD_S = 10.0  # others hold the folder for milliseconds


class Holder(NamedTuple):
    """Who holds a server, as `lock.json` says it.

    `pid` with `started` is the process of this host that holds it, where one does; `controller` with the two others is the machine and
    the process that drives the run, where it is driven from elsewhere. Times are seconds since the epoch, by the host's clock.
    """

    run: str
    owner: str
    work: str
    since_s: float
    expires_s: float
    pid: int | None = None
    started: str = ""
    controller: str = ""
    controller_pid: int | None = None
    controller_started: str = ""


TAKE, TAKE_OVER, HELD = "take", "take over", "held"


def parsed(document: Any) -> Holder | None:
    """The holder that a document names; None where it is no lock."""
    if not isinstance(document, dict) or not _RUN.fullmatch(str(document.get("run") or "")):
        return None
    since_s, expires_s = _seconds(document.get("since_s")), _seconds(document.get("expires_s"))
    if since_s is None or expires_s is None:
        return None
    texts: dict[str, Any] = {
        name: one_line(document.get(name) or "", _WORDS) for name in ("owner", "work", "started", "controller_started")
    }
    texts["controller"] = one_line(document.get("controller") or "", 3 * _WORDS)
    numbers: dict[str, Any] = {name: _number(document.get(name)) for name in ("pid", "controller_pid")}
    end_s = min(expires_s, since_s + LONGEST_LEASE_S)
    return Holder(run=str(document["run"]), since_s=since_s, expires_s=end_s, **texts, **numbers)


def _seconds(value: Any) -> float | None:
    """A time that a clock can show."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e11
    return float(value) if known and math.isfinite(value) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None


def decide(
    found: Holder | None, claim: Holder, now_s: float, takeover: str, has_ended: Callable[[Holder], bool]
) -> str:
    """What a run may do that wants a server: TAKE, TAKE_OVER or HELD, which is to wait or to give up.

    `takeover` is the run that the user has named. `has_ended` says whether the process of this host that holds the server runs no more.
    """
    if found is None or found.run == claim.run:
        return TAKE
    safe = takeover == found.run or now_s >= found.expires_s or has_ended(found)
    return TAKE_OVER if safe else HELD


def process_has_ended(holder: Holder) -> bool:
    """Whether the process of this host that holds the server runs no more; False where none is named."""
    return holder.pid is not None and identity(holder.pid) != holder.started


def held_problem(holder: Holder, path: Path, now_s: float, waited_s: float, remedy: str) -> Problem:
    """What a run says that was refused; `remedy` is what to do where the other run is dead."""
    since, expires = (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s)) for at_s in (holder.since_s, holder.expires_s)
    )
    ago = f"{max(0, now_s - holder.since_s):.0f} s ago"
    end = "end it with -e benchmark_state=cancelled of the playbook bench.yml; " if holder.work == BENCHMARK else ""
    return Problem(
        f"another run has this server: {holder.work} of {holder.owner or 'unknown'}, run {holder.run}, "
        f"since {since} ({ago}); {path} says so",
        f"one run at a time on a server; this one waited {waited_s:.0f} s",
        f"wait for its end and run this again; {end}if it is dead, {remedy} (by itself the lock ends at {expires})",
    )


def take(folder: Path, claim: Holder, *, wait_s: float = 0.0, takeover: str = "") -> dict[str, Any]:
    """Takes the server of a state folder, and waits for it so long. The outcome has `path` and, as JSON values, either `held`, the
    holder that it was not taken from, or `taken_over`, the holder that it was (None for none).

    A lock of the same run is renewed. Root works as the user whose folder it is. Raises UserError.
    """
    with _in_words(folder):
        outcome: dict[str, Any] = as_owner(owner_of(folder), lambda: _take(folder, claim, wait_s, takeover))
    return {"path": str(folder / FILE), **outcome}


def renew(folder: Path, claim: Holder) -> None:
    """Writes the lock of a run again, with other words or another end, if the run still has it. Raises UserError."""
    with _in_words(folder):
        as_owner(owner_of(folder), lambda: _renew(folder, claim))


def release(folder: Path, run: str) -> dict[str, Any] | None:
    """Gives the server of a state folder back, and removes the folder if nothing else is in it.

    The holder as JSON values where another run has taken it over meanwhile, whose lock stays; else None. Raises UserError.
    """
    with _in_words(folder):
        found: dict[str, Any] | None = as_owner(owner_of(folder), lambda: _release(folder, run))
    return found


def _take(folder: Path, claim: Holder, wait_s: float, takeover: str) -> dict[str, Any]:
    until = time.monotonic() + wait_s
    while True:
        outcome = _attempt(folder, claim, takeover)
        left_s = until - time.monotonic()
        if "held" not in outcome or left_s <= 0:
            return outcome
        time.sleep(min(_POLL_S, left_s))


def _attempt(folder: Path, claim: Holder, takeover: str) -> dict[str, Any]:
    path = folder / FILE
    with _alone(folder):
        found = _read(path)
        verdict = decide(found, claim, time.time(), takeover, process_has_ended)
        if found is not None and verdict == HELD:
            return {"held": found._asdict()}
        since_s = found.since_s if found is not None and found.run == claim.run else claim.since_s
        _write(folder, claim._replace(since_s=since_s))
    return {"taken_over": found._asdict() if found is not None and verdict == TAKE_OVER else None}


def _renew(folder: Path, claim: Holder) -> None:
    with _alone(folder):
        found = _read(folder / FILE)
        if found is not None and found.run == claim.run:
            _write(folder, claim._replace(since_s=found.since_s))


def _write(folder: Path, holder: Holder) -> None:
    write_json(folder / FILE, {"schema_version": 1, **holder._asdict()})


def _release(folder: Path, run: str) -> dict[str, Any] | None:
    if not folder.is_dir():
        return None
    with _alone(folder):
        found = _read(folder / FILE)
        if found is not None and found.run != run:
            return dict(found._asdict())
        if found is not None:
            (folder / FILE).unlink()
        with suppress(OSError):  # there is more in it
            folder.rmdir()
    return None


def _read(path: Path) -> Holder | None:
    """The holder of a server; None when no run has it. Raises UserError for a file that is no lock."""
    if not os.path.lexists(path):
        return None
    holder = None if path.is_symlink() or not path.is_file() else parsed(read_json(path, _MOST_BYTES))
    if holder is None:
        found, expected = f"{path} is no lock that can be read", "the file that a run of this collection writes"
        raise UserError(Problem(found, expected, f"if no run changes this server, remove it on the host: rm {path}"))
    return holder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other takers out of a folder, which is made where it is missing, until the block ends."""
    until = time.monotonic() + _GUARD_S
    while True:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        guard = _guard(folder)
        if guard is not None:
            break
        if time.monotonic() > until:
            raise OSError(errno.EAGAIN, "another program keeps the folder locked", str(folder))
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(guard)


def _guard(folder: Path) -> int | None:
    """The folder, open and locked; None where another has it, or it was removed meanwhile. A network file system may know no such lock."""
    try:
        guard = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(guard)
        return None
    except OSError:
        return guard
    if not folder.exists() or not os.path.samestat(folder.stat(), os.fstat(guard)):
        os.close(guard)
        return None
    return guard


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """What keeps a lock from being written, as the user can correct it."""
    try:
        yield
    except OSError as error:
        remedy = f'give the folder to the user who logs in: sudo chown -R "$(id -un)" {folder}'
        if is_disk_full(error):
            remedy = f"free space there: df -h {folder}"
        elif error.errno not in (errno.EACCES, errno.EPERM):
            remedy = "set inference_server_state_dir to a folder that can be written"
        found = f"the lock of the server cannot be written: {error.filename or folder}: {error.strerror}"
        raise UserError(Problem(found, f"a folder {folder} that this user may write", remedy)) from error
