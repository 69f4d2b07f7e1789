# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One worker of the load: an epoll loop over its connections.

While the load runs it does nothing but write requests, and record reads; decoding comes after.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import time
from array import array
from dataclasses import dataclass, replace
from pathlib import Path
from select import EPOLLIN, EPOLLOUT
from typing import Any, Callable

from ..record import Expectation, Record, decode
from ..recording import Recording
from ..settings import Timeouts
from .clock import now_ns
from .connection import (
    CLOSED,
    CONNECTING,
    HANDSHAKING,
    IDLE,
    MOST_BYTES,
    RECEIVING,
    SENDING,
    Connection,
)
from .progress import Counts, ProgressCounters, Queue

_SWEEP_NS = 50_000_000


@dataclass(frozen=True)
class Request:
    """One request, as bytes, what its answer has to be, and how many bytes that can have at most."""

    payload: bytes
    expectation: Expectation
    most_bytes: int = MOST_BYTES


@dataclass(frozen=True)
class Load:
    """What to send. Without `arrivals_ns` the load is closed: each of `max_concurrency` slots sends when it is free.

    With `arrivals_ns` (offsets from the start, one for each request) it is open; `max_concurrency` then bounds the
    requests in flight, 0 leaves them unbounded.
    """

    requests: list[Request]
    connection: Callable[[], Connection]  # makes one, closed
    max_concurrency: int
    arrivals_ns: array[int] | None
    timeouts: Timeouts
    real_time: bool = True


def cpu_wait_s() -> float:
    """Seconds for which this process was ready to run and no CPU was free, since it began; 0 where the kernel does not count it."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def set_realtime_priority(wanted: bool) -> bool:
    """Lets this process run the moment something arrives (real-time priority), or gives that up again.

    True when it has it: root may. A worker sleeps most of the time, so others lose little by it.
    """
    policy, priority = (os.SCHED_FIFO, 1) if wanted else (os.SCHED_OTHER, 0)
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError:
        return False
    return wanted


class Worker:
    """Drives a share of the connections; takes requests from the common queue."""

    def __init__(self, load: Load, share: int, queue: Queue, counters: ProgressCounters, number: int) -> None:
        self._load, self._queue, self._counters, self._number = load, queue, counters, number
        self._epoll = select.epoll()
        self._connections = [load.connection() for number in range(share)]
        self._by_fd: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._busy = 0
        self._next_due: tuple[int, int] | None = None  # open load: time (CLOCK_MONOTONIC) and index of the next request
        self._start_ns = self._begin_ns = 0
        self._parent = os.getppid()
        self._realtime = False
        self._finished: list[Recording] = []
        self._lag_us = array("I")
        self._counts = Counts()
        self._cpu_s = self._wall_s = self._wait_s = self._decode_s = 0.0

    # -- before the clock ---------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Opens all connections and waits until they are open, or have failed (they are tried again when used)."""
        for connection in self._connections:
            if connection.open():
                self._watch(connection)
        deadline = time.monotonic() + self._load.timeouts.connect_s
        while time.monotonic() < deadline and any(c.state in (CONNECTING, HANDSHAKING) for c in self._connections):
            self._serve(0.1)

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self, start_ns: int) -> None:
        """Sends the load from `start_ns` (CLOCK_REALTIME) on, until every request has ended.

        What it waits for it times by CLOCK_MONOTONIC, so that it goes on when the time of day is set.
        """
        gc.collect()
        gc.disable()
        self._start_ns = start_ns
        self._begin_ns = start_ns - now_ns() + time.monotonic_ns()
        self._idle = list(reversed(self._connections))
        time.sleep(max(0, self._begin_ns - time.monotonic_ns()) / 1e9)
        self._realtime = self._load.real_time and set_realtime_priority(True)
        cpu, wall, waited = time.process_time(), time.monotonic(), cpu_wait_s()
        self._launch()
        next_sweep = 0
        while self._busy or self._next_due:
            self._serve(_SWEEP_NS / 1e9)
            now = time.monotonic_ns()
            if self._next_due:
                self._launch()
            if now >= next_sweep:
                next_sweep = now + _SWEEP_NS
                self._sweep(now)
        self._sweep(time.monotonic_ns())
        self._wait_s = cpu_wait_s() - waited
        self._cpu_s, self._wall_s = time.process_time() - cpu, time.monotonic() - wall
        set_realtime_priority(False)
        gc.enable()

    def _serve(self, longest_s: float) -> None:
        """Waits for the sockets, no longer than `longest_s`, and serves each that is ready."""
        connection = None
        for fd, mask in self._wait(longest_s):
            connection = self._by_fd.get(fd)
            if connection is None:
                continue
            writing = mask & EPOLLOUT or connection.state == CONNECTING
            if connection.writable() if writing else connection.readable():
                self._finish(connection)
            elif writing or connection.state != RECEIVING:  # else it waits for the same as before
                self._watch(connection)
        if connection is not None and connection.state == RECEIVING and connection.recording.times:
            self._lag_us.append(min(max(0, now_ns() - connection.recording.times[-1]) // 1000, 0xFFFFFFFF))

    def _wait(self, longest_s: float) -> list[tuple[int, int]]:
        if self._next_due is None or not self._can_launch():
            return self._epoll.poll(longest_s)
        wait_s = min(max(0.0, (self._next_due[0] - time.monotonic_ns()) / 1e9), longest_s)
        select.select([self._epoll], [], [], wait_s)  # epoll itself sleeps in whole milliseconds
        return self._epoll.poll(0)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _can_launch(self) -> bool:
        return bool(self._idle) or not self._load.max_concurrency

    def _launch(self) -> None:
        """Starts what can start now: in a closed load on every free connection, in an open load what is due."""
        while self._can_launch():
            index = self._next_index()
            if index is None:
                return
            connection = self._idle.pop() if self._idle else self._grow()
            intended = self._start_ns + self._load.arrivals_ns[index] if self._load.arrivals_ns else 0
            self._busy += 1
            request = self._load.requests[index]
            if connection.start(Recording(index, intended), request.payload, request.most_bytes):
                self._finish(connection, launch=False)
            else:
                self._watch(connection)

    def _next_index(self) -> int | None:
        """The request to start now, or None. An open load holds the next one until its time has come."""
        if self._counters.stopped:
            self._next_due = None
            return None
        arrivals = self._load.arrivals_ns
        if arrivals is None:
            return self._queue.take()
        if self._next_due is None:
            index = self._queue.take()
            if index is None:
                return None
            self._next_due = (self._begin_ns + arrivals[index], index)
        due_ns, index = self._next_due
        if due_ns > time.monotonic_ns():
            return None
        self._next_due = None
        return index

    def _grow(self) -> Connection:
        connection = self._load.connection()
        self._connections.append(connection)
        return connection

    def _finish(self, connection: Connection, launch: bool = True) -> None:
        """Keeps the recording and frees the connection."""
        recording = connection.recording
        self._finished.append(recording)
        self._busy -= 1
        self._watch(connection)
        self._idle.append(connection)
        self._count(recording)
        if launch:
            self._launch()

    def _count(self, recording: Recording) -> None:
        counts, size = self._counts, recording.received_bytes
        asked = self._load.requests[recording.index].expectation.output_tokens
        failed = bool(recording.outcome) or recording.refused
        known = not failed and asked is not None
        self._counts = replace(
            counts,
            done=counts.done + 1,
            failed=counts.failed + failed,
            received_bytes=counts.received_bytes + size,
            ended_tokens=counts.ended_tokens + (asked or 0 if known else 0),
            ended_bytes=counts.ended_bytes + (size if known else 0),
        )

    def _watch(self, connection: Connection) -> None:
        """Asks epoll for what the connection waits for."""
        sending = connection.state in (CONNECTING, SENDING)
        mask = EPOLLIN | EPOLLOUT if sending else EPOLLIN
        if connection.sock is None or mask == connection.watched:
            return
        fd = connection.sock.fileno()
        if connection.watched:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
            self._by_fd[fd] = connection
        connection.watched = mask

    # -- now and then -------------------------------------------------------------------------------------------------

    def _sweep(self, now: int) -> None:
        """Ends what has outlived its limits (or everything, when the run is cancelled or the parent has died) and shows the progress."""
        stopped = self._counters.stopped or os.getppid() != self._parent
        coming, longest, known = 0, bytearray(), self._counts.ended_bytes
        for connection in self._connections:
            if connection.state in (CLOSED, IDLE):
                continue
            if connection.abort() if stopped else connection.expire(now, self._load.timeouts):
                self._finish(connection)
            else:
                coming += connection.recording.received_bytes
                if not known and len(connection.recording.data) > len(longest):
                    longest = connection.recording.data
        if not known:  # a look at one answer: 32 KiB at most, and not for long
            self._counts = replace(self._counts, seen_events=longest.count(b"data:"), seen_bytes=len(longest))
        counts = replace(self._counts, received_bytes=self._counts.received_bytes + coming)
        self._counters.write(self._number, counts)

    # -- after the clock ----------------------------------------------------------------------------------------------

    def records(self) -> list[Record]:
        """Decodes all recordings, each one freed as it is done."""
        for connection in self._connections:
            connection.close()
        self._finished.reverse()
        cpu = time.process_time()
        records = []
        while self._finished:
            recording = self._finished.pop()
            records.append(decode(recording, self._load.requests[recording.index].expectation))
        self._decode_s = time.process_time() - cpu
        return records

    def stats(self) -> dict[str, Any]:
        """How well this worker kept up. `lag_us` are its delays between a segment's arrival and the end of its service."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "cpu_s": self._cpu_s,
            "wall_s": self._wall_s,
            "wait_s": self._wait_s,
            "decode_s": self._decode_s,
            "real_time": self._realtime,
            "lag_us": self._lag_us,
            "user_timed": sum(connection.user_timed for connection in self._connections),
            "reconnects": sum(max(0, connection.opened - 1) for connection in self._connections),
            "retransmits": sum(connection.retransmits for connection in self._connections),
            "involuntary_switches": usage.ru_nivcsw,
            "max_rss_kib": usage.ru_maxrss,
        }
