# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.connection import (
    CLOSED,
    CONNECTING,
    IDLE,
    RECEIVING,
    receive_buffer,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.tls_connection import TlsConnection
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.recording import Recording

from tests.support.hostile_server import Behaviour, Peer, answer, hostile_server, says, self_signed

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST = b"GET /x HTTP/1.1\r\n\r\n"
LONG = bytes(range(256)) * 8192  # eight times the receive buffer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


def connect(url: str) -> TlsConnection:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = TlsConnection((2, ("127.0.0.1", urlsplit(url).port)), context, "127.0.0.1")
    assert connection.open()
    return connection


def exchange(connection: TlsConnection, late_s: float = 0.0) -> Recording:
    """One request to its end; with `late_s` the client reads late, and finds everything there at once."""
    recording = Recording(0, 0)
    over, deadline = connection.start(recording, REQUEST), time.monotonic() + 5
    while not over:
        assert time.monotonic() < deadline
        assert connection.sock is not None
        if late_s and connection.state == RECEIVING:
            time.sleep(late_s)
            late_s = 0.0
        writing = [connection.sock] if connection.state == CONNECTING else []
        ready, writable, _ = select.select([connection.sock], writing, [], 1)
        over = connection.writable() if writable else bool(ready) and connection.readable()
    return recording


def cut_below_tls(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n\r\nab")
    peer.hang_up()


@pytest.mark.parametrize(
    ("behaviour", "outcome", "body", "state"),
    [
        (says(answer(b"ab")), "", b"ab", IDLE),
        (says(CHUNKED, b"2\r\nab\r\n", b"0\r\nX: 1\r\n\r\n"), "", b"ab", IDLE),
        (says(b"HTTP/1.1 200 OK\r\n\r\nab", close=True), "", b"ab", CLOSED),
        (cut_below_tls, "truncated", b"ab", CLOSED),
        (says(answer(b"abc")[:-1], close=True), "truncated", b"ab", CLOSED),
        (says(CHUNKED + b"2\r\nab\r\n", close=True), "truncated", b"ab", CLOSED),
        (says(answer(LONG)), "", LONG, IDLE),
        (says(b"HTTP/1.1 200 OK\r\n\r\n" + LONG, close=True), "", LONG, CLOSED),
        (says(answer(b"ab") + b"more"), "malformed_http", b"ab", CLOSED),
    ],
    ids=[
        "length",
        "trailers",
        "until closed",
        "cut by TCP",
        "cut by TLS",
        "cut chunks",
        "long",
        "long until closed",
        "more",
    ],
)
@pytest.mark.parametrize("late_s", [0.0, 0.3])
def test_the_end_of_an_answer_over_tls(
    behaviour: Behaviour, outcome: str, body: bytes, state: int, late_s: float, certificate: Path
) -> None:
    with hostile_server({"/x": behaviour}, certificate) as server:
        connection = connect(server.url)
        recording = exchange(connection, late_s)
        connection_state = connection.state
        connection.close()
    raw = recording.raw()
    assert (recording.outcome, connection_state) == (outcome, state)
    assert body in raw and sum(recording.sizes) == len(raw)


def test_a_full_buffer_is_not_the_end(certificate: Path) -> None:
    """The rest of a record that came before, and a full read: TLS then has more plain text than the buffer takes."""
    with hostile_server({"/x": says(answer(LONG))}, certificate) as server:
        connection = connect(server.url)
        exchange(connection)
        recording = Recording(0, 0)
        assert not connection.start(recording, REQUEST)
        ciphertext, over, begin = everything(connection), False, 0
        for end in [
            10_000,
            *range(10_000 + len(receive_buffer), len(ciphertext), len(receive_buffer)),
            len(ciphertext),
        ]:
            receive_buffer[: end - begin] = ciphertext[begin:end]
            over, begin = connection._received(end - begin, []), end
        connection.close()
    assert over and recording.outcome == ""
    assert recording.raw().endswith(LONG)


def everything(connection: TlsConnection) -> bytes:
    """All that comes from now on, undeciphered."""
    assert connection.sock is not None
    connection.sock.settimeout(0.3)
    pieces = []
    with suppress(socket.timeout):
        while True:
            pieces.append(connection.sock.recv(1 << 20))
    return b"".join(pieces)
