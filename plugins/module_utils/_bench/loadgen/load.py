# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A load from its first to its last byte: forks the workers, starts them together, gathers what they recorded."""

from __future__ import annotations

import gc
import os
import pickle
import resource
import select
import socket
import struct
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from ..._errors import Problem, UserError
from ..record import Record
from .clock import ClockWatch, kernel_time, now_ns
from .progress import Counts, ProgressCounters, Queue
from .worker import Load, Worker

_START_DELAY_NS = 2_000_000  # from the signal to the first request: enough for every worker to wake up
_TICK_S = 0.25
_READY, _DONE, _PARSE = b"R", b"D", b"P"
_START = struct.Struct("q")
_SPARE_FILES = 64
_UNBOUNDED_SLOTS = 32  # connections a worker opens beforehand when nothing bounds their number


@dataclass
class LoadResult:
    """The records of a load in order of their index, and how the client itself fared."""

    records: list[Record]
    start_ns: int
    workers: list[dict[str, Any]]
    clock_step_ms: float


def worker_count(connections: int, cpus: int) -> int:
    """Workers by default: one for every 64 connections, on at most a quarter of the CPUs (the server has the rest)."""
    return max(1, min((connections + 63) // 64, cpus // 4))


def raise_file_limit(connections: int) -> None:
    """Lifts RLIMIT_NOFILE to what the connections need. Raises UserError when the hard limit forbids it."""
    needed = connections + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise UserError(
                Problem(
                    f"A process may open {hard} files here.",
                    f"at least {needed} for {connections} connections.",
                    "Lower max_concurrency, or raise the hard limit (ulimit -Hn) of the connecting user.",
                )
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class _Child:
    """The parent's side of one worker."""

    def __init__(self, load: Load, share: int, queue: Queue, counters: ProgressCounters, number: int) -> None:
        self.socket, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                self.socket.close()
                _work(Worker(load, share, queue, counters, number), theirs)
                status = 0
            except BaseException:
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(status)  # never back into the caller's code
        theirs.close()

    def expect(self, signal: bytes) -> None:
        """Reads one signal of the worker. Raises UserError when the worker is gone."""
        try:
            came = self.socket.recv(1)
        except ConnectionError:
            came = b""
        if came != signal:
            self.lost()

    def tell(self, signal: bytes) -> None:
        """Sends the worker a signal. Raises UserError when it is gone."""
        try:
            self.socket.sendall(signal)
        except ConnectionError:
            self.lost()

    def result(self) -> dict[str, Any]:
        """Reads the worker's records and statistics. Raises UserError when it is gone."""
        self.tell(_PARSE)
        with self.socket.makefile("rb") as stream:
            try:
                return dict(pickle.load(stream))
            except (EOFError, ConnectionError, pickle.UnpicklingError):
                return self.lost()

    def lost(self) -> Any:
        status = os.waitpid(self.pid, 0)[1]
        self.pid = 0
        raise UserError(
            Problem(
                f"A benchmark worker ended early (wait status {status}).",
                "it to live until the load is done.",
                "See job.log in the run's folder, and dmesg for the out-of-memory killer.",
            )
        )

    def join(self) -> None:
        """Waits for the end of the worker."""
        if self.pid:
            os.waitpid(self.pid, 0)


def _work(worker: Worker, pipe: socket.socket) -> None:
    """The life of a worker: connect, wait for the start, run, wait, decode, hand over."""
    worker.connect()
    pipe.sendall(_READY)
    start = pipe.recv(_START.size)
    if len(start) < _START.size:
        return
    worker.run(_START.unpack(start)[0])
    pipe.sendall(_DONE)
    if pipe.recv(1) != _PARSE:
        return
    result = {"records": worker.records(), "stats": worker.stats()}
    with pipe.makefile("wb") as stream:
        pickle.dump(result, stream, protocol=4)


def run_load(
    load: Load,
    workers: int,
    folder: Path,
    on_tick: Callable[[Counts], bool],
    on_end: Callable[[], None],
) -> LoadResult:
    """Runs a load to its end.

    `on_tick` is called before the first request and several times a second with the progress; the load is cancelled
    when it returns False. Cancelled requests come back as records with the error class `cancelled`, those not sent as
    none. `on_end` is called when the clock has stopped, before decoding. Raises UserError when a worker is lost.
    """
    slots = load.max_concurrency or min(len(load.requests), workers * _UNBOUNDED_SLOTS)
    raise_file_limit(load.max_concurrency or len(load.requests))
    counters, queue = ProgressCounters(workers), Queue(len(load.requests), folder)
    gc.collect()
    gc.freeze()
    children: list[_Child] = []
    try:
        with kernel_time():
            for number in range(workers):
                share = slots // workers + (number < slots % workers)
                children.append(_Child(load, share, queue, counters, number))
            for child in children:
                child.expect(_READY)
            if not on_tick(counters.read()):
                counters.stop()
            watch = ClockWatch()
            start_ns = now_ns() + _START_DELAY_NS
            for child in children:
                child.tell(_START.pack(start_ns))
            _wait_for(children, counters, watch, on_tick)
            on_end()
            results = [child.result() for child in children]
    finally:
        counters.stop()
        for child in children:  # all before the first is waited for: later workers have inherited these ends
            child.socket.close()
        for child in children:
            child.join()
        queue.close()
        gc.unfreeze()
    records = sorted((record for result in results for record in result["records"]), key=lambda record: record.index)
    return LoadResult(records, start_ns, [result["stats"] for result in results], watch.look())


def _wait_for(
    children: list[_Child], counters: ProgressCounters, watch: ClockWatch, on_tick: Callable[[Counts], bool]
) -> None:
    """Waits until every worker is done with the load, and looks after progress and clock meanwhile."""
    waiting = list(children)
    next_tick = 0.0
    while waiting:
        ready = select.select([child.socket for child in waiting], [], [], _TICK_S)[0]
        for child in [child for child in waiting if child.socket in ready]:
            child.expect(_DONE)
            waiting.remove(child)
        if time.monotonic() >= next_tick:
            next_tick = time.monotonic() + _TICK_S
            watch.look()
            if not on_tick(counters.read()):
                counters.stop()
