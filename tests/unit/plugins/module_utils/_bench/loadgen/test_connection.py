# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.connection import (
    CLOSED,
    CONNECTING,
    IDLE,
    MOST_BYTES,
    Connection,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.recording import Recording
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.settings import Timeouts

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Peer:
    """A server of one connection, and the connection that is tested."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.connection = Connection((socket.AF_INET, listener.getsockname()))
        assert self.connection.open()
        self.server, _ = listener.accept()
        self.server.settimeout(5)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.connection.state == CONNECTING:
            self.connection.writable()

    def exchange(self, *pieces: bytes) -> tuple[list[bool], Recording]:
        """Sends a request and reads the pieces of its answer one by one; says after each whether it was the end."""
        recording = Recording(0, 0)
        assert not self.connection.start(recording, b"hello")
        assert self.server.recv(100) == b"hello"
        return [self.read(piece) for piece in pieces], recording

    def read(self, piece: bytes) -> bool:
        self.server.sendall(piece)
        return self.readable()

    def readable(self) -> bool:
        assert self.connection.sock is not None
        self.connection.sock.setblocking(True)
        try:
            return self.connection.readable()
        finally:
            if self.connection.sock is not None:
                self.connection.sock.setblocking(False)

    def reset(self) -> None:
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pair = Peer(listener)
        yield pair
        pair.connection.close()
        pair.server.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [CHUNKED + b"2\r\nab\r\n0\r\n\r\n"],
        [CHUNKED[:10], CHUNKED[10:], b"2\r\nab\r\n", b"0\r\n\r\n"],
        [CHUNKED, b"2\r\nab\r\n0\r", b"\n\r", b"\n"],
        [CHUNKED, b"5\r\n\n0\r\n\r\r\n", b"0\r\n\r\n"],
        [CHUNKED + b"0\r\n\r\n"],
        [CHUNKED, b"7\r\n\r\n0\r\n\r\n\r\n", b"0\r\n\r\n"],
        [CHUNKED, b"b\r\ndata: a\r\n\r\n\r\n", b"b\r\ndata: b\r\n\r\n\r\n", b"0\r\n\r\n"],
        [CHUNKED, b"2;a=b\r\nab\r\n", b"0;a\r\n", b"X: 1\r\n", b"Y: 2\r\n\r\n"],
        [CHUNKED, b"2\r\nab\r\n000\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" + PLAIN, b"ab"],
        [b"HTTP/1.1 204 No Content\r\n\r\n"],
        [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", b"a"],
        [CHUNKED, *([b"4000\r\n" + b"x" * 0x4000 + b"\r\n"] * 8), b"0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\n", *([b"x" * 0x8000] * 4)],
        [PLAIN, b"a", b"b"],
        [PLAIN + b"ab"],
    ],
)
def test_the_end_of_a_response_is_seen_at_once_and_not_before(peer: Peer, pieces: list[bytes]) -> None:
    ends, recording = peer.exchange(*pieces)
    assert ends == [False] * (len(pieces) - 1) + [True], recording.detail
    assert recording.raw() == b"".join(pieces)
    assert list(recording.sizes) == list(map(len, pieces))
    assert list(recording.times) == sorted(recording.times)
    assert recording.sent_ns <= recording.times[0]
    assert (recording.outcome, recording.ended_ns) == ("", recording.times[-1])
    assert peer.connection.state == IDLE


def test_a_connection_is_used_again(peer: Peer) -> None:
    first = peer.exchange(PLAIN + b"ab")[1]
    second = peer.exchange(PLAIN + b"cd")[1]
    assert (first.raw()[-2:], second.raw()[-2:], peer.connection.opened) == (b"ab", b"cd", 1)


def test_the_first_request_is_acknowledged_like_the_later_ones(peer: Peer) -> None:
    assert peer.connection.sock is not None
    assert peer.connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 0


def test_a_connection_that_the_server_ends_is_closed(peer: Peer) -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
    assert peer.exchange(head + b"ab")[0] == [True]
    assert peer.connection.state == CLOSED


def test_a_response_without_a_length_ends_with_the_connection(peer: Peer) -> None:
    ends, recording = peer.exchange(b"HTTP/1.0 200 OK\r\n\r\nab")
    peer.server.close()
    assert (ends, peer.readable(), recording.outcome) == ([False], True, "")


@pytest.mark.parametrize(
    ("pieces", "end", "outcome"),
    [
        ([], "close", "reset"),
        ([CHUNKED + b"2\r\na"], "close", "truncated"),
        ([CHUNKED + b"2\r\na"], "reset", "reset"),
        ([b"SSH-2.0\r\n"], "", "malformed_http"),
        ([CHUNKED + b"2\r\nab\r\n"], "close", "truncated"),
        ([CHUNKED + b"2\r\nab\r\n0\r\n"], "close", "truncated"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "close", "truncated"),
        ([PLAIN + b"abc"], "", "malformed_http"),
        ([CHUNKED + b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"], "", "malformed_http"),
        ([CHUNKED + b"3\r\nab\r\n0\r\n\r\n"], "", "malformed_chunking"),
        (["HTTP/1.1 200 OK\r\nContent-Length: ²\r\n\r\n".encode("latin-1")], "", "malformed_http"),
    ],
)
def test_broken_responses(peer: Peer, pieces: list[bytes], end: str, outcome: str) -> None:
    ends, recording = peer.exchange(*pieces)
    if end:
        peer.reset() if end == "reset" else peer.server.close()
        ends.append(peer.readable())
    assert (ends[-1], recording.outcome, peer.connection.state) == (True, outcome, CLOSED)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_the_end_of_an_idle_connection_changes_no_record(peer: Peer, end: str) -> None:
    recording = peer.exchange(PLAIN + b"ab")[1]
    peer.reset() if end == "reset" else peer.server.close()
    assert not peer.readable()
    assert (recording.outcome, peer.connection.state) == ("", CLOSED)


def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    connection, recording = Connection((socket.AF_INET, address)), Recording(0, 0)
    over = connection.start(recording, b"hello")
    if not over:
        over = connection.writable()
    assert (over, recording.outcome, connection.state) == (True, "connect_refused", CLOSED)


LATER = 10_000_000_000  # nanoseconds


@pytest.mark.parametrize(
    ("pieces", "limits", "outcome"),
    [
        ([], {"first_token_s": 5}, "first_token_timeout"),
        ([CHUNKED + b"8\r\n: ping\n\n\r\n"], {"first_token_s": 5, "idle_s": 99}, "first_token_timeout"),
        ([CHUNKED + b"9\r\ndata: a\n\n\r\n"], {"idle_s": 5}, "idle_timeout"),
        ([CHUNKED + b"9\r\ndata: a\n\n\r\n"], {"total_s": 5}, "total_timeout"),
        ([CHUNKED + b"9\r\ndata: a\n\n\r\n"], {}, ""),
    ],
)
def test_limits(peer: Peer, pieces: list[bytes], limits: dict[str, Any], outcome: str) -> None:
    recording = peer.exchange(*pieces)[1]
    assert not peer.connection.expire(time.monotonic_ns(), Timeouts(**limits))
    assert peer.connection.expire(time.monotonic_ns() + LATER, Timeouts(**limits)) is bool(outcome)
    assert recording.outcome == outcome


def test_an_answer_in_tiny_pieces_has_a_number_of_reads_at_most(peer: Peer) -> None:
    recording = peer.exchange(CHUNKED + b"9\r\ndata: a\n\n\r\n")[1]
    assert not peer.connection.expire(time.monotonic_ns(), Timeouts())
    most = MOST_BYTES // 64
    recording.times.extend(range(most))
    recording.sizes.extend([1] * most)
    assert peer.connection.expire(time.monotonic_ns(), Timeouts())
    assert (recording.outcome, len(recording.data)) == ("oversized_answer", 0)


def test_an_end_with_something_after_it_is_seen_in_the_pause(peer: Peer) -> None:
    recording = peer.exchange(CHUNKED + b"2\r\nab\r\n", b"0\r\n\r\nmore")[1]
    now, limits = time.monotonic_ns(), Timeouts()
    assert not peer.connection.expire(now, limits)
    assert peer.connection.expire(now + 1, limits)
    assert (recording.outcome, peer.connection.state) == ("malformed_http", CLOSED)


def test_a_body_that_only_looks_like_an_end_goes_on(peer: Peer) -> None:
    ends, recording = peer.exchange(CHUNKED + b"10\r\n", b"\r\n0\r\n\r\n", b"123456789", b"\r\n0\r\n\r\n")
    assert (ends, recording.outcome) == ([False, False, False, True], "")


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", CHUNKED + b"ffffffff\r\n", PLAIN.replace(b": 2", b": 99999999999")]
)
def test_an_answer_that_is_far_too_long_is_broken_off_and_not_kept(peer: Peer, head: bytes) -> None:
    recording, block = Recording(0, 0), os.urandom(0x8000)
    assert not peer.connection.start(recording, b"hello", most_bytes=1_000_000)
    peer.read(head)
    reads = next(number for number in range(1, 100) if peer.read(block))
    assert 1_000_000 / len(block) <= reads <= 1_000_000 / len(block) + 2
    assert (recording.outcome, peer.connection.state) == ("oversized_answer", CLOSED)
    assert len(recording.raw()) < 200_000


def test_a_long_answer_takes_little_memory_however_it_ends(peer: Peer) -> None:
    recording, block = Recording(0, 0), b"data: something\n\n" * 2000
    assert not peer.connection.start(recording, b"hello")
    peer.read(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(50):
        peer.read(block)
        assert len(recording.data) < 100_000
    peer.server.close()
    assert peer.readable()
    assert recording.raw().endswith(block * 50)


def test_a_read_ends_the_silence(peer: Peer) -> None:
    limits, now = Timeouts(idle_s=15), time.monotonic_ns()
    peer.exchange(CHUNKED + b"9\r\ndata: a\n\n\r\n")
    assert not peer.connection.expire(now, limits)
    assert not peer.connection.expire(now + LATER, limits)
    peer.server.sendall(b"9\r\ndata: a\n\n\r\n")
    assert not peer.connection.readable()
    assert not peer.connection.expire(now + 2 * LATER, limits)
    assert not peer.connection.expire(now + 3 * LATER, limits)
    assert peer.connection.expire(now + 4 * LATER, limits)
