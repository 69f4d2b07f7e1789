# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Counters that the workers write and the parent reads while the load runs, in shared memory. Private to the collection."""

from __future__ import annotations

import mmap
import struct
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Counts:
    """What has been done so far. `done_tokens` and `done_reads` are those of requests that have ended."""

    done: int = 0
    failed: int = 0
    reads: int = 0
    done_tokens: int = 0
    done_reads: int = 0


class Board:
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
