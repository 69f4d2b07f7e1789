# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blocking HTTP, bounded in time and size: one request, or several on one connection.

No server can hold a caller longer than the limit, whatever it sends, or make it keep more than `MOST_BYTES`. Redirects are not followed,
so a key goes nowhere but to the address that it was given for; where an answer repeats the key, the key is taken out of it. Proxies
of the environment are ignored, for they would be asked in place of the server, and measured with it.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from .._errors import Problem, UserError
from .._secrets import hidden_bytes, hidden_values, is_secret_name
from .._text import words
from .documents import parse_json
from .endpoint import LOOK_UP_S, Access, Endpoint, look_up, parse_url
from .http1 import Framing, StreamError

# The most that is read of an answer. The longest that is asked for is a page of metrics; what a server says of itself has some KiB.
MOST_BYTES = 8 * 1024 * 1024
CONNECT_S = 5.0  # for the connection, and once more for TLS
_READ_BYTES = 64 * 1024
_LOOK_EVERY_S = 0.25  # whether the caller still wants the answer
_CANCELLED_S = 2.0  # for an answer that a cancelled run would like to have


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `whole` is False where only its first `MOST_BYTES` were read. `location` is where a redirect leads to.

    `json` is None when the body is not JSON.
    """

    status: int
    server: str
    body: bytes
    location: str = ""
    whole: bool = True

    @property
    def json(self) -> Any:
        try:
            return parse_json(self.body) if self.whole else None
        except ValueError:
            return None

    @property
    def excerpt(self) -> str:
        """The beginning of the body, or the place that a redirect leads to, for messages."""
        return f"it leads to {self.location}" if self.location else words(self.body)


class NoAnswer(OSError):
    """No HTTP answer came. The text is the reason; `problem` says too what was expected and what to do."""

    def __init__(self, reason: str, where: str = "") -> None:
        super().__init__(reason)
        self.problem = Problem(
            f"{where or 'The server'} does not answer ({reason}).",
            "a running OpenAI-compatible server.",
            "Deploy it first (playbook deploy.yml), or set base_url to where it listens; its log may say more.",
        )


class _Deadline:
    """The end of a question: its limit, or soon after the caller has said that the answer is not wanted any more."""

    def __init__(self, limit_s: float, cancelled: Callable[[], bool] | None = None) -> None:
        self._why, self._ends = f"no complete answer within {limit_s:g} s", time.monotonic() + limit_s
        self._cancelled = cancelled

    def left_s(self, at_most_s: float | None = None) -> float:
        """Seconds for the next step. Raises NoAnswer when there are none."""
        now = time.monotonic()
        if self._cancelled is not None and self._cancelled():
            self._ends = min(self._ends, now + _CANCELLED_S)
            self._why, self._cancelled = "the run was cancelled, and nothing came soon", None
        left_s = self._ends - now
        if left_s <= 0:
            raise NoAnswer(f"timed out: {self._why}")
        return left_s if at_most_s is None else min(left_s, at_most_s)

    def patience_s(self) -> float:
        """The longest wait at once: a caller that may cancel is asked several times a second whether it has."""
        return self.left_s(None if self._cancelled is None else _LOOK_EVERY_S)


def ask(url: str, headers: Mapping[str, str], timeout_s: float, document: Mapping[str, Any] | None = None) -> Answer:
    """One request on a connection of its own: a POST of `document`, or a GET without it. Raises NoAnswer.

    `timeout_s` limits all of it, from the connecting to the last byte.
    """
    try:
        endpoint, target = parse_url(url)
    except ValueError as error:
        raise NoAnswer(str(error)) from error
    line = _Line(endpoint, Access(endpoint).tls_context(), keys_in(headers))
    own = {"Host": endpoint.netloc, "User-Agent": "llmfleet", "Accept-Encoding": "identity", "Connection": "close"}
    try:
        return line.exchange(_request(target, {**own, **headers}, document), _Deadline(timeout_s))
    finally:
        line.close()


def _request(target: str, headers: Mapping[str, str], document: Mapping[str, Any] | None) -> bytes:
    """A request as bytes: a POST of `document` as JSON, or a GET without it."""
    body = b"" if document is None else json.dumps(document).encode()
    content = {} if document is None else {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{'GET' if document is None else 'POST'} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in {**headers, **content}.items()]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


class _Line:
    """A connection to a server, opened when it is needed and kept as long as both sides keep it."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, keys: Sequence[str]) -> None:
        self._endpoint, self._context, self._keys = endpoint, context, keys
        self._socket: socket.socket | None = None

    @property
    def used(self) -> bool:
        """Whether it stands from an earlier exchange, so that the server may have closed it meanwhile."""
        return self._socket is not None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def exchange(self, request: bytes, deadline: _Deadline) -> Answer:
        """Sends a request and reads its answer. Raises NoAnswer, and _Stale where a kept connection had been closed."""
        used, raw = self.used, bytearray()
        try:
            connection = self._socket or self._open(deadline)
            self._send(connection, request, deadline)
            return self._read(connection, raw, deadline)
        except (OSError, StreamError, ValueError) as error:  # ValueError: a host name that cannot be one
            self.close()
            stale = used and not raw and isinstance(error, (ConnectionError, _Closed, ssl.SSLError))
            if stale:
                raise _Stale(error, self._endpoint.url) from error
            raise NoAnswer(hidden_values(_reason(error), *self._keys), self._endpoint.url) from error

    def _open(self, deadline: _Deadline) -> socket.socket:
        endpoint, failure = self._endpoint, OSError("no address")
        for family, address in look_up(endpoint, deadline.left_s(LOOK_UP_S)):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(deadline.left_s(CONNECT_S))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket = connection
                return self._secure(connection, deadline)
            except OSError as error:
                connection.close()
                failure = error
                if isinstance(error, (NoAnswer, ssl.SSLError)):
                    break
        deadline.left_s()  # where the time is over it says so
        raise failure

    def _secure(self, connection: socket.socket, deadline: _Deadline) -> socket.socket:
        if self._context is None:
            return connection
        connection.settimeout(deadline.left_s(CONNECT_S))
        self._socket = self._context.wrap_socket(
            connection, server_hostname=self._endpoint.host, suppress_ragged_eofs=False
        )
        return self._socket

    def _send(self, connection: socket.socket, request: bytes, deadline: _Deadline) -> None:
        rest = memoryview(request)
        while rest:
            connection.settimeout(deadline.patience_s())
            try:
                rest = rest[connection.send(rest[:_READ_BYTES]) :]
            except socket.timeout:
                continue  # the deadline says whether it is over

    def _read(self, connection: socket.socket, raw: bytearray, deadline: _Deadline) -> Answer:
        framing = Framing(keep_spans=True)
        while not framing.advance(raw) and len(raw) <= MOST_BYTES:
            data = _receive(connection, deadline)
            if not data and not framing.close(len(raw)):
                raise _Closed("the connection was closed before the answer was complete" if raw else "no answer came")
            raw += data
        if framing.head is None or framing.head.closes or framing.ended != len(raw):
            self.close()
        return _answer(framing, raw, self._keys)


def _receive(connection: socket.socket, deadline: _Deadline) -> bytes:
    """What comes next; nothing at the end of the connection. Raises OSError, of TLS also when it was not ended as such."""
    while True:
        connection.settimeout(deadline.patience_s())
        try:
            return connection.recv(_READ_BYTES)
        except socket.timeout:
            continue  # the deadline says whether it is over


def keys_in(headers: Mapping[str, str]) -> list[str]:
    """The keys that a request carries, which its answer may repeat."""
    return [value.rpartition(" ")[2] for name, value in headers.items() if is_secret_name(name)]


def _answer(framing: Framing, raw: bytearray, keys: Sequence[str]) -> Answer:
    """An answer as far as it was read, without the keys. Raises StreamError for one that is compressed, or nothing but interim answers."""
    head, body = framing.head, hidden_bytes(framing.payload(raw), *keys)
    if head is None:
        raise StreamError("malformed_http", f"no final answer in {len(raw)} bytes")
    if head.encoding and body:
        raise StreamError("compressed", f"the answer is compressed ({head.encoding}), which was not asked for")
    led, server = (hidden_values(head.headers.get(name, ""), *keys) for name in ("location", "server"))
    location = words(led.encode()) if 300 <= head.status < 400 else ""
    return Answer(head.status, server, body, location, framing.ended is not None)


class _Closed(OSError):
    """The server closed the connection too early."""


class _Stale(NoAnswer):
    """A kept connection had been closed before the request came."""

    def __init__(self, error: Exception, where: str = "") -> None:
        super().__init__(str(error), where)


def _reason(error: Exception) -> str:
    """Why no answer came, in words."""
    if isinstance(error, StreamError) and error.kind == "malformed_http":
        return f"what came is no HTTP: {error.detail}"
    if isinstance(error, StreamError):
        return error.detail
    if isinstance(error, ssl.SSLError) and "EOF" in str(error):
        return "the connection was closed before the answer was complete (without the end of TLS)"
    if isinstance(error, socket.timeout) and not isinstance(error, NoAnswer):
        return f"timed out: no connection within {CONNECT_S:g} s"
    return str(error) or type(error).__name__


class ControlClient:
    """Blocking requests on one keep-alive connection (models, tokenize, metrics ...), each of at most `timeout_s`.

    `cancelled`, once it is set, is asked several times a second; when it says so, an answer is waited for 2 s and no longer.
    """

    def __init__(self, access: Access, timeout_s: float) -> None:
        self._access, self._timeout_s = access, timeout_s
        self._line = _Line(access.endpoint, access.tls_context(), keys_in(access.headers()))
        self.cancelled: Callable[[], bool] | None = None

    def get(self, path: str) -> Answer:
        """GET `path`. Raises UserError when no answer comes."""
        return self._ask(path, None)

    def post(self, path: str, document: dict[str, Any]) -> Answer:
        """POST `document` as JSON. Raises UserError when no answer comes."""
        return self._ask(path, document)

    def close(self) -> None:
        self._line.close()

    def _ask(self, path: str, document: Mapping[str, Any] | None) -> Answer:
        request = _request(self._access.endpoint.path(path), self._access.headers(), document)
        deadline = _Deadline(self._timeout_s, self.cancelled)
        try:
            try:
                return self._line.exchange(request, deadline)
            except _Stale:  # the server had closed a connection that was kept alive: try once on a new one
                return self._line.exchange(request, deadline)
        except NoAnswer as error:
            raise UserError(error.problem) from error
