# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the processes of a load share: counters of progress, written by the workers and read by the parent, and the queue of requests."""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from dataclasses import astuple, dataclass, fields
from pathlib import Path

WARMUP = "warmup"  # the phase before the first measurement
_INDEX = struct.Struct("I")


@dataclass(frozen=True)
class Counts:
    """What has been done so far, and how much has come.

    `received_bytes` are those of all answers up to now, also of those that still come. How many tokens they are follows from
    answers that have ended with as many tokens as were asked for (`ended_tokens` in `ended_bytes`) or, until there is one, from a
    look at the end of one that comes (`seen_events` in `seen_bytes`, each event taken for a token).
    """

    done: int = 0
    failed: int = 0
    received_bytes: int = 0
    ended_tokens: int = 0
    ended_bytes: int = 0
    seen_events: int = 0
    seen_bytes: int = 0

    @property
    def tokens_per_byte(self) -> float:
        """Tokens in a byte of the answers; 0 while nothing is known of it."""
        if self.ended_bytes:
            return self.ended_tokens / self.ended_bytes
        return self.seen_events / self.seen_bytes if self.seen_bytes else 0.0


class ProgressCounters:
    """One row of counters for each worker, and one flag by which the parent stops them all."""

    _ROW = struct.Struct(f"{len(fields(Counts))}Q")

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
