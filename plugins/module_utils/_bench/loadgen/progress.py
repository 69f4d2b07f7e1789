# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the processes of a load share: counters of progress, written by the workers and read by the parent, and the queue of requests."""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from dataclasses import astuple, dataclass
from pathlib import Path

_INDEX = struct.Struct("I")


@dataclass(frozen=True)
class Counts:
    """What has been done so far. `done_tokens` and `done_reads` are those of requests that have ended."""

    done: int = 0
    failed: int = 0
    reads: int = 0
    done_tokens: int = 0
    done_reads: int = 0


class ProgressCounters:
    """One row of counters for each worker, and one flag by which the parent stops them all."""

    _ROW = struct.Struct("5Q")

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._memory = mmap.mmap(-1, 8 + workers * self._ROW.size)

    def write(self, worker: int, counts: Counts) -> None:
        self._ROW.pack_into(self._memory, 8 + worker * self._ROW.size, *astuple(counts))

    def read(self) -> Counts:
        """The sum over the workers."""
        rows = [self._ROW.unpack_from(self._memory, 8 + w * self._ROW.size) for w in range(self._workers)]
        return Counts(*(sum(column) for column in zip(*rows)))

    def stop(self) -> None:
        self._memory[0] = 1

    @property
    def stopped(self) -> bool:
        return self._memory[0] == 1


class Queue:
    """Indices of requests that several processes take from: a shared file offset, which the kernel advances atomically."""

    def __init__(self, count: int, folder: Path) -> None:
        path = folder / f".queue-{os.getpid()}"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        path.unlink()
        os.write(self._fd, array("I", range(count)).tobytes())
        os.lseek(self._fd, 0, os.SEEK_SET)

    def take(self) -> int | None:
        """The next index, or None when all are taken."""
        data = os.read(self._fd, _INDEX.size)
        return int(_INDEX.unpack(data)[0]) if data else None

    def close(self) -> None:
        os.close(self._fd)
