# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""At most one load on a server by one user of the host: a lock on a file where only this user can hold it.

A server that this collection has deployed is also kept from changes meanwhile, by its lease (docs/locks.md).
"""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._errors import Problem, UserError
from .._lease import BENCHMARK, LONGEST_LEASE_S, Holder, held_problem, release, renew, take
from .._openai.endpoint import Address
from .._processes import identity

_FOLDER = Path(".local/state/llmfleet/locks")  # in the home of the user, wherever the state folder of a run is
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class ServerLock:
    """The lock on a server, which the kernel frees with the last process of the job.

    It is the user's own, so no one else can keep a server from being measured. Two users who load one server at the same time are
    found by the server's counters (checks `prompt_tokens_mismatch` and `generation_tokens_mismatch`).
    """

    def __init__(self, path: Path, holder: int) -> None:
        self.path, self._holder = path, holder

    @staticmethod
    def name_for(address: Address) -> str:
        """The name of the lock on the server at a socket address; all addresses of this host are one."""
        host = "local" if _is_local(address) else address[1][0]
        return f"llmfleet-bench-{host}-{address[1][1]}"

    @classmethod
    def acquire(cls, address: Address, state_dir: Path) -> ServerLock | None:
        """The lock, or None while a load is running. `state_dir` has the file where the user has no home. Raises UserError."""
        path = _path_for(cls.name_for(address), state_dir)
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                holder = os.open(path, _FLAGS | os.O_CREAT, 0o600)
            except OSError as error:
                raise _not_opened(path, error) from error
            if not _lock(holder):
                return None
            if _is_at(path, holder):
                return cls(path, holder)
            os.close(holder)  # it was given up and removed since it was opened

    @classmethod
    def held(cls, address: Address, state_dir: Path) -> bool:
        """Whether a load is running. Leaves nothing on the host. Raises UserError."""
        path = _path_for(cls.name_for(address), state_dir)
        try:
            holder = os.open(path, _FLAGS)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _not_opened(path, error) from error
        free = _lock(holder)
        if free:
            os.close(holder)
        return not free

    def leave(self) -> None:
        """Gives up this process's hold; a job that was forked meanwhile keeps its own."""
        os.close(self._holder)

    def release(self) -> None:
        """Frees the server and removes the file."""
        with suppress(OSError):  # a file that stays does no harm
            if _is_at(self.path, self._holder):
                self.path.unlink()
        os.close(self._holder)


class Held(UserError):
    """Another run has the server: `holder`, as JSON values."""

    def __init__(self, problem: Problem, holder: dict[str, Any]) -> None:
        super().__init__(problem)
        self.holder = holder


class Measured:
    """A server while a run measures it: its lock, and its lease where this collection has deployed it."""

    def __init__(self, lock: ServerLock) -> None:
        self._lock, self._folder, self._claim = lock, Path(), Holder("", "", BENCHMARK, 0.0, 0.0)

    def keep_from_changes(self, state_dir: Path, run_id: str, owner: str, takeover: str) -> None:
        """Takes the lease of the server in the name of this process. Raises Held, and UserError."""
        now_s, pid = time.time(), os.getpid()
        claim = Holder(run_id, owner, BENCHMARK, now_s, now_s + LONGEST_LEASE_S, pid, identity(pid) or "")
        outcome = take(state_dir, claim, takeover=takeover)
        if "held" in outcome:
            found, remedy = Holder(**outcome["held"]), f"remove the file on the host: rm {outcome['path']}"
            raise Held(held_problem(found, Path(outcome["path"]), now_s, 0.0, remedy), outcome["held"])
        self._folder, self._claim = state_dir, claim

    def hand_to(self, pid: int) -> None:
        """Names the process of the job as the one that has the lease, before the process that took it ends."""
        if self._claim.run:
            with suppress(UserError):  # a full disk: the run goes on
                renew(self._folder, self._claim._replace(pid=pid, started=identity(pid) or ""))

    def leave(self) -> None:
        """Gives up this process's hold; a job that was forked meanwhile keeps its own."""
        self._lock.leave()

    def release(self) -> None:
        """Gives the server back."""
        if self._claim.run:
            with suppress(UserError):  # it ends with this process
                release(self._folder, self._claim.run)
        self._lock.release()


def _not_opened(path: Path, error: OSError) -> UserError:
    found = f"The lock on the server, {path}, cannot be opened ({error.strerror})."
    return UserError(Problem(found, "a file of the user who measures.", f"Correct {path.parent}."))


def _lock(holder: int) -> bool:
    """Whether the file could be locked; it is closed where it could not."""
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(holder)
        return False
    return True


def _is_at(path: Path, holder: int) -> bool:
    """Whether the open file is still the one that the path names."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(holder))
    except FileNotFoundError:
        return False


def _path_for(name: str, state_dir: Path) -> Path:
    """The file of a lock. A server on loopback is another one on each host, and in each of its network namespaces, of a shared home."""
    try:
        home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        home = Path()
    folder = home / _FOLDER if home.is_absolute() and os.access(home, os.W_OK) else state_dir / "locks"
    return folder / f"{name}@{os.uname().nodename}-{_network()}.lock"


def _network() -> int:
    """The number of the network namespace; 0 where there is none."""
    try:
        return Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return 0


def _is_local(address: Address) -> bool:
    """Whether the address is one of this host: only to such a socket can be bound."""
    family, (host, _port, *rest) = address
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0, *rest))
    except OSError:
        return False
    return True
