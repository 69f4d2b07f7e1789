# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that answers byte by byte as a test says: late, endlessly, cut, in another protocol, plain and over TLS."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLOOD = 64 * 1024


class Peer:
    """One client's connection while a request of it is answered. What is sent to a client that has gone ends the behaviour."""

    def __init__(self, connection: socket.socket, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.connection, self.path, self.headers, self.body = connection, path, headers, body

    def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Sends the pieces one by one."""
        for piece in pieces:
            self.connection.sendall(piece)
            if pause_s:
                time.sleep(pause_s)

    def drip(self, data: bytes, pause_s: float) -> None:
        """Sends single bytes."""
        self.send(*(data[at : at + 1] for at in range(len(data))), pause_s=pause_s)

    def flood(self, block: bytes) -> None:
        """Sends the block for ever."""
        block *= max(1, FLOOD // len(block))
        while True:
            self.connection.sendall(block)

    def reset(self) -> None:
        """Ends the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> None:
        """Ends the connection below TLS, which then does not say that it ended."""
        raise ConnectionAbortedError


Behaviour = Callable[[Peer], None]


def answer(body: bytes, status: bytes = b"200 OK", *headers: bytes) -> bytes:
    """A whole answer with its length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def says(*pieces: bytes, close: bool = False, pause_s: float = 0.0) -> Behaviour:
    """Sends these bytes, and closes the connection in order where that is asked for."""

    def behave(peer: Peer) -> None:
        peer.send(*pieces, pause_s=pause_s)
        if close:
            raise EOFError

    return behave


def stands_still(peer: Peer) -> None:
    """Nothing comes any more."""
    peer.connection.recv(1)


@dataclass
class HostileServer:
    """`behaviours` has one for each path; another path is 404. `asked` are paths and headers of the requests that came."""

    url: str
    behaviours: dict[str, Behaviour]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def hostile_server(
    behaviours: Mapping[str, Behaviour], certificate: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[HostileServer]:
    """A server on a free port of this host that ends with the block; over TLS with a certificate."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    family, shown = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
    with socket.create_server((host, 0), family=family) as listener:
        scheme = "https" if context else "http"
        server = HostileServer(f"{scheme}://{shown}:{listener.getsockname()[1]}", dict(behaviours))
        threading.Thread(target=_listen, args=(listener, context, server), daemon=True).start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)


def self_signed(folder: Path) -> Path:
    """A certificate for this host with its key, in one file."""
    path = folder / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


def _listen(listener: socket.socket, context: ssl.SSLContext | None, server: HostileServer) -> None:
    with suppress(OSError):
        while True:
            connection = listener.accept()[0]
            threading.Thread(target=_serve, args=(connection, context, server), daemon=True).start()


def _serve(connection: socket.socket, context: ssl.SSLContext | None, server: HostileServer) -> None:
    """Answers one connection's requests until either side ends it."""
    with connection, suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            _converse(connection, server)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
            return
        with context.wrap_socket(connection, server_side=True) as secure:
            _converse(secure, server)
            secure.unwrap()


def _converse(connection: socket.socket, server: HostileServer) -> None:
    with connection.makefile("rb") as stream, suppress(EOFError):
        while True:
            peer = _read_request(connection, stream)
            server.asked.append((peer.path, dict(peer.headers)))
            behave = server.behaviours.get(peer.path) or says(answer(b"no such page", b"404 Not Found"))
            behave(peer)


def _read_request(connection: socket.socket, stream: object) -> Peer:
    """The next request. Raises EOFError when there is none."""
    read_line, read = stream.readline, stream.read  # type: ignore[attr-defined]
    words = read_line().split()
    if len(words) < 2:
        raise EOFError
    headers = {}
    while line := read_line().strip():
        name, _colon, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Peer(connection, words[1].decode(), headers, read(int(headers.get("content-length", 0))))


# -- an inference server that does everything right, to be spoilt one path at a time ----------------------------------

MODEL = "hostile"
TEMPLATE_TOKENS = 5
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END_OF_CHUNKS = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(**document: Any) -> bytes:
    """One message of a stream as an event."""
    return b"data: " + json.dumps({"model": MODEL, **document}).encode() + b"\n\n"


def delta(text: str | None = "a", finish: str | None = None, **more: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}], **more)


def usage(prompt: int, completion: int) -> bytes:
    return event(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion})


DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Asked:
    """What a completion's request asked for."""

    stream: bool
    output_tokens: int
    prompt_tokens: int


def asked_of(peer: Peer) -> Asked:
    document = json.loads(peer.body or b"{}")
    text = " ".join(str(message["content"]) for message in document.get("messages", [])) or document.get("prompt", "")
    tokens = document.get("max_completion_tokens") or document.get("max_tokens") or 8
    return Asked(bool(document.get("stream")), tokens, TEMPLATE_TOKENS + len(text.split()))


def good_events(asked: Asked) -> list[bytes]:
    """A flawless stream's events."""
    role = event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    texts = [delta(" a")] * (asked.output_tokens - 1)
    return [role, *texts, delta(" z", "length"), usage(asked.prompt_tokens, asked.output_tokens), DONE]


def good_completion(peer: Peer) -> None:
    asked = asked_of(peer)
    if asked.stream:
        peer.send(STREAM_HEAD, *map(chunk, good_events(asked)), END_OF_CHUNKS)
        return
    message = {"role": "assistant", "content": "Hello there."}
    counts = {"prompt_tokens": asked.prompt_tokens, "completion_tokens": 3}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    peer.send(answer(json.dumps({"model": MODEL, "choices": choices, "usage": counts}).encode()))


def good_tokenize(peer: Peer) -> None:
    peer.send(answer(json.dumps({"count": asked_of(peer).prompt_tokens}).encode()))


GOOD: dict[str, Behaviour] = {
    "/v1/models": says(answer(json.dumps({"data": [{"id": MODEL, "max_model_len": 4096}]}).encode())),
    "/version": says(answer(b'{"version": "1.2.3"}')),
    "/health": says(answer(b"")),
    "/metrics": says(answer(b"other_total 1\n")),
    "/tokenize": good_tokenize,
    "/v1/chat/completions": good_completion,
    "/v1/messages": says(answer(b'{"type": "message", "content": [{"type": "text", "text": "hi"}]}')),
}
