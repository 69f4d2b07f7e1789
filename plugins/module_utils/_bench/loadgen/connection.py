# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One keep-alive connection of the event loop: it writes a request and records the response.

Nothing is decoded here but the head of a response, once, to learn how the response will end.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import List, Tuple

from ..._openai.endpoint import Address
from ..._openai.http1 import END_OF_CHUNKED, Framing, StreamError
from ..recording import Recording
from ..settings import Timeouts
from .clock import (
    ANCILLARY_BYTES,
    enable_kernel_time,
    kernel_time_ns,
    now_ns,
)

CLOSED, CONNECTING, HANDSHAKING, IDLE, SENDING, RECEIVING = range(6)
_SHRINK_ABOVE = 32 * 1024
MOST_BYTES = 64 * 1024 * 1024
_SMALLEST_READ = 64  # bytes; of an answer in smaller pieces less is taken
_RESETS = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
_CONNECT_ERRORS = {errno.ECONNREFUSED: "connect_refused", errno.ETIMEDOUT: "connect_timeout"}
_TCP_INFO_RETRANSMITS = 100  # offset of tcpi_total_retrans (u32) in struct tcp_info

Ancillary = List[Tuple[int, int, bytes]]

receive_buffer = memoryview(
    bytearray(256 * 1024)
)  # shared by all connections of a process: a read is copied out at once
_buffers = [receive_buffer]


def no_socket() -> socket.socket:
    """A connection that is closed was to be used: a fault of the event loop."""
    raise RuntimeError("the connection is closed")


class Connection:
    """A TCP connection, its state, and the recording of the exchange that is on it."""

    __slots__ = (
        "_address",
        "_begun_ns",
        "_chunked",
        "_framing",
        "_heard_ns",
        "_heard_reads",
        "_most_bytes",
        "_payload",
        "_streaming",
        "opened",
        "recording",
        "retransmits",
        "sock",
        "state",
        "user_timed",
        "watched",
    )

    def __init__(self, address: Address) -> None:
        self._address = address
        self.sock: socket.socket | None = None
        self.state = CLOSED
        self.recording: Recording = Recording(-1, 0)
        self._payload = memoryview(b"")
        self._begun_ns = self._heard_ns = 0  # CLOCK_MONOTONIC: limits hold even when the time of day is set
        self._heard_reads = self._most_bytes = 0
        self._framing = Framing()
        self._chunked = self._streaming = False
        self.opened = self.user_timed = self.retransmits = 0
        self.watched = 0  # the epoll mask that the loop has registered

    # -- opening and closing ------------------------------------------------------------------------------------------

    def open(self) -> bool:
        """Begins to connect. False when the connection failed at once (the reason is in the recording)."""
        family, address = self._address
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:  # no file descriptor left, for example
            self._end("connect_error", str(error))
            return False
        self.sock, self.state = sock, CONNECTING
        self._begun_ns = time.monotonic_ns()
        self.opened += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        enable_kernel_time(sock)
        return self._connect_result(sock.connect_ex(address))

    def _connect_result(self, code: int) -> bool:
        if code in (errno.EINPROGRESS, errno.EAGAIN):
            return True
        if code:
            self._end(_CONNECT_ERRORS.get(code, "connect_error"), os.strerror(code))
            return False
        self._acknowledge_later()
        return self._opened()

    def _acknowledge_later(self) -> None:
        """Lets the kernel delay its acknowledgements, which it does anyway from the second request on.

        An acknowledgement of every event costs as much as reading it; and the requests of a run should be alike.
        """
        (self.sock or no_socket()).setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def _opened(self) -> bool:
        """The connection stands. False when it has failed after all."""
        self.state = IDLE
        return True

    def close(self) -> None:
        """Closes the socket, if there is one."""
        if self.sock is not None:
            self.retransmits += self._retransmits()
            self.sock.close()
        self.sock, self.state, self.watched = None, CLOSED, 0

    def _retransmits(self) -> int:
        sock = self.sock or no_socket()
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_RETRANSMITS + 4)
        except OSError:
            return 0
        return int.from_bytes(info[_TCP_INFO_RETRANSMITS:], "little") if len(info) > _TCP_INFO_RETRANSMITS else 0

    @property
    def _exchanging(self) -> bool:
        """Whether a request is on the connection, or waits for it to open."""
        return bool(self._payload) or self.state in (SENDING, RECEIVING)

    # -- one exchange -------------------------------------------------------------------------------------------------

    def start(self, recording: Recording, payload: bytes, most_bytes: int = MOST_BYTES) -> bool:
        """Puts a request on the connection, opening it first when needed. True when it has failed already.

        A response that goes far beyond `most_bytes` is broken off.
        """
        self.recording, self._payload = recording, memoryview(payload)
        self._framing, self._most_bytes = Framing(), most_bytes
        self._chunked, self._streaming, self._heard_reads = False, False, 0
        recording.sent_ns = now_ns()  # of one that cannot be sent
        if self.state == CLOSED and not self.open():
            return True
        self._begun_ns = time.monotonic_ns()
        return self.state == IDLE and self._send()

    def writable(self) -> bool:
        """The socket can be written, or the connection attempt has ended. True when the exchange is over."""
        sock = self.sock or no_socket()
        exchanging = self._exchanging
        if self.state == CONNECTING and not self._connect_result(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            return exchanging
        return exchanging and self.state in (IDLE, SENDING) and self._send()

    def _encode(self, payload: memoryview) -> memoryview:
        """What is written to the socket for a request."""
        return payload

    def _send(self) -> bool:
        sock = self.sock or no_socket()
        if self.state == IDLE:
            self._payload = self._encode(self._payload)
        self.state = SENDING
        try:
            while self._payload:
                self.recording.sent_ns = now_ns()  # the last write is the one whose time stays
                self._payload = self._payload[sock.send(self._payload) :]
        except BlockingIOError:
            return False
        except OSError as error:
            return self._broken(error)
        self.state = RECEIVING
        return False

    def readable(self) -> bool:
        """Something has arrived: records it. True when the exchange is over."""
        sock = self.sock or no_socket()
        try:
            size, ancillary, _flags, _sender = sock.recvmsg_into(_buffers, ANCILLARY_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            return self._broken(error)
        if self.state < SENDING:
            return self._unexpected(size)
        if not size:
            return self._end_of_stream()
        return self._received(size, ancillary)

    def _unexpected(self, size: int) -> bool:
        """Something has come while nothing was asked for: an idle connection that the server closes."""
        self.close()
        return False

    def _received(self, size: int, ancillary: Ancillary) -> bool:
        """Records `size` bytes of the receive buffer. True when the exchange is over."""
        recording = self.recording
        data, time_ns = recording.data, kernel_time_ns(ancillary)
        if time_ns is None:
            time_ns = now_ns()
            self.user_timed += 1
        recording.times.append(time_ns)
        recording.sizes.append(size)
        data += receive_buffer[:size]
        if not self._chunked or len(data) > _SHRINK_ABOVE or data.endswith(END_OF_CHUNKED):
            return self._advance()
        return False

    def _advance(self) -> bool:
        """Lets the framing see what has come: it alone knows the end. True when the exchange is over.

        A chunk that has come needs to be looked at once only: before it is compressed, when it could be the last one, or in a pause.
        """
        recording, framing = self.recording, self._framing
        try:
            ended = framing.advance(recording.data, recording.packed_bytes)
        except StreamError as error:
            return self._end(error.kind, error.detail)
        received = recording.packed_bytes + len(recording.data)
        if ended and framing.ended != received:
            return self._end("malformed_http", f"{received - (framing.ended or 0)} bytes after the end of the answer")
        if ended:
            return self._end("", "")
        if received > self._most_bytes:
            recording.drop()
            return self._end(
                "oversized_answer", f"more than {self._most_bytes} bytes, which no answer to this request has"
            )
        self._chunked = framing.head is not None and framing.head.chunked
        if len(recording.data) > _SHRINK_ABOVE:
            recording.shrink(framing.needs)
        return False

    def _end_of_stream(self, in_order: bool = True) -> bool:
        """The server has closed the connection; `in_order` says that nothing can have been lost. True when there was an exchange."""
        recording = self.recording
        received = recording.packed_bytes + len(recording.data)
        if not received:
            return self._end("reset", "the server closed the connection without an answer")
        if in_order and self._framing.close(received):
            return self._end("", "")
        return self._end("truncated", "the connection ended before the response did")

    def _broken(self, error: OSError) -> bool:
        kind = "reset" if error.errno in _RESETS else _CONNECT_ERRORS.get(error.errno or 0, "connection_error")
        return self._end(kind, str(error))

    def _end(self, outcome: str, detail: str) -> bool:
        """Ends the exchange, if there is one, and says whether there was.

        The connection stays open only after a clean end that the server keeps.
        """
        if not self._exchanging:
            self.close()
            return False
        recording = self.recording
        recording.outcome, recording.detail = outcome, detail
        recording.ended_ns = now_ns() if outcome else recording.times[-1]
        recording.seal()
        self._payload = memoryview(b"")
        head = self._framing.head
        if outcome or head is None or head.closes or self.state == SENDING:
            self.close()
        else:
            self.state = IDLE
        return True

    # -- limits -------------------------------------------------------------------------------------------------------

    def expire(self, now: int, limits: Timeouts) -> bool:
        """Ends the exchange when one of its limits has passed at `now` (CLOCK_MONOTONIC). True when it has.

        A read counts from the first call after it, which costs the reads themselves no clock.
        """
        age_s = (now - self._begun_ns) / 1e9
        if self.state in (CONNECTING, HANDSHAKING):
            return age_s > limits.connect_s and self._end("connect_timeout", f"no connection in {limits.connect_s:g} s")
        if age_s > limits.total_s:
            return self._end("total_timeout", f"no end of the response in {limits.total_s:g} s")
        reads = len(self.recording.times)
        if reads * _SMALLEST_READ > self._most_bytes:  # each is remembered, however little it brought
            self.recording.drop()
            return self._end("oversized_answer", f"{reads} reads, which no answer to this request has")
        if reads != self._heard_reads:
            self._heard_reads, self._heard_ns = reads, now
        elif self._chunked and self._advance():  # with a last chunk that was not the end of its read
            return True
        self._streaming = self._streaming or b"data:" in self.recording.data
        if not self._streaming:
            kind, silent_s, limit_s = "first_token_timeout", age_s, limits.first_token_s
        else:
            kind, silent_s, limit_s = "idle_timeout", (now - self._heard_ns) / 1e9, limits.idle_s
        return silent_s > limit_s and self._end(kind, f"nothing arrived for {limit_s:g} s after {reads} reads")

    def abort(self) -> bool:
        """Ends the exchange because the run was cancelled."""
        return self._end("cancelled", "the run was cancelled")
