# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock of the benchmark client: arrival times taken by the kernel.

With SO_TIMESTAMPNS set, each recvmsg() carries the time at which the kernel received the newest segment that it
returns, as CLOCK_REALTIME. A client that wakes up late still learns when a token came. What a late client loses is the
separate time of events that one read returned together; those are counted (`coalesced`).

The kernel stamps packets only while some socket wants it, and begins to in the background, shortly after the first one
asked. `kernel_time()` waits for that, so that the first token of a load has its time too.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import contextmanager
from typing import Iterator

SO_TIMESTAMPNS = 35  # asm-generic/socket.h, also the type of the ancillary message
_TIMESPEC = struct.Struct("@ll")  # seconds, nanoseconds
_TIMESPEC_BYTES, _timespec, _SOL_SOCKET = (
    _TIMESPEC.size,
    _TIMESPEC.unpack,
    int(socket.SOL_SOCKET),
)  # looked up for every read
ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)

_BEGINS_WITHIN_S = 1.0

now_ns = time.time_ns  # CLOCK_REALTIME: the clock of the kernel's own stamps


def enable_kernel_time(sock: socket.socket) -> bool:
    """Asks the kernel to stamp what `sock` receives; False where it cannot."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def kernel_time_ns(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The kernel's time of arrival in the ancillary data of one recvmsg(), or None when there is none."""
    for level, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS and level == _SOL_SOCKET and len(data) == _TIMESPEC_BYTES:
            seconds, nanoseconds = _timespec(data)
            return seconds * 1_000_000_000 + nanoseconds
    return None


@contextmanager
def kernel_time() -> Iterator[bool]:
    """While this holds, the kernel stamps packets from the first one on. Yields False where it does not, after a second."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server = listener.accept()[0]
        with server:
            yield enable_kernel_time(client) and _stamps(server, client)


def _stamps(sender: socket.socket, receiver: socket.socket) -> bool:
    """Sends byte after byte until one arrives with the kernel's time."""
    deadline = time.monotonic() + _BEGINS_WITHIN_S
    while time.monotonic() < deadline:
        sender.sendall(b"x")
        ancillary = receiver.recvmsg(1, ANCILLARY_BYTES)[1]
        if kernel_time_ns(ancillary) is not None:
            return True
        time.sleep(0.001)
    return False


class ClockWatch:
    """Finds steps of CLOCK_REALTIME by its distance from CLOCK_MONOTONIC.

    Both clocks are slewed alike, so their distance changes only when the time of day is set. A process that waits for a
    CPU between two readings knows the distance less exactly, and by so much a step may be smaller than it looks.
    """

    def __init__(self) -> None:
        self._first, self._doubt = self._distance()
        self._worst = 0

    @staticmethod
    def _distance() -> tuple[int, int]:
        """The distance, and by how much it may be wrong, in ns."""
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        return real - (before + after) // 2, (after - before + 1) // 2

    def look(self) -> float:
        """Compares the clocks now and returns the largest step seen for certain so far, in milliseconds."""
        distance, doubt = self._distance()
        self._worst = max(self._worst, abs(distance - self._first) - doubt - self._doubt)
        return self._worst / 1e6
