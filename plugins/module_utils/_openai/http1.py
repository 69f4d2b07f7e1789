# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP/1.1 as bytes: a request, and the framing of a response (RFC 9112: heads, chunks, trailers, ends). Pure.

One `Framing` finds the end of a response while its bytes come, and the same one decodes them afterwards, so the two cannot
disagree. A read boundary can fall anywhere: within a UTF-8 character, between CR and LF, within a chunk's size line.
"""

from __future__ import annotations

import json
import re
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Mapping

MAX_HEAD_BYTES = 64 * 1024
# What every complete chunked body ends with, and few other reads do: an empty line after the last size or the last trailer.
END_OF_CHUNKED = b"\r\n\r\n"
_MAX_INTERIM = 32
_MAX_LINE_BYTES = 4 * 1024  # of a chunk's size with its extensions
_MOST_SMALL_CHUNKS = 64 * 1024  # however small they are, as a proxy may make them
_SMALLEST_CHUNK_BYTES = 64  # the mean of more, framing included; an event has a hundred and more
# Seven bytes from the end of a chunk on, where the next one has the size of an event and begins like one -> where its data begin, and their
# length. To look this up takes a third of the time of reading it, which a load does once an event.
_USUAL = {
    **{b"\r\n%x\r\nd" % size: (6, size) for size in range(0x10, 0x100)},
    **{b"\r\n%x\r\n" % size: (7, size) for size in range(0x100, 0x1000)},
}
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,15}")
_WITHOUT_BODY = (204, 304)


class StreamError(Exception):
    """A response that breaks HTTP. `kind` is the error class that the result counts it under."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(detail)


@dataclass(frozen=True)
class Head:
    """Status line and headers (names in lower case, equal ones joined by commas). `size` is their length in bytes with the blank line.

    `length` is the announced length of the body in bytes; None when the body is chunked or ends with the connection.
    """

    status: int
    headers: dict[str, str]
    size: int
    length: int | None
    minor_version: int = 1

    @property
    def interim(self) -> bool:
        """True of an answer that another one follows, as 100 or 103."""
        return self.status < 200

    @property
    def chunked(self) -> bool:
        return _tokens(self.headers.get("transfer-encoding", ""))[-1:] == ["chunked"] and self.length is None

    @property
    def closes(self) -> bool:
        """True when the server will not take another request on this connection."""
        options = _tokens(self.headers.get("connection", ""))
        kept = "close" not in options and (self.minor_version > 0 or "keep-alive" in options)
        return not kept or (self.length is None and not self.chunked)

    @property
    def encoding(self) -> str:
        """How the body is compressed; empty when it is not."""
        words = _tokens(self.headers.get("content-encoding", "")) + _tokens(self.headers.get("transfer-encoding", ""))
        return next((word[:20] for word in words if word not in ("identity", "chunked")), "")


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",") if token.strip()]


def parse_head(data: bytes | bytearray, at: int = 0) -> Head | None:
    """The head of a response that begins at `at`, or None while it is incomplete. Raises StreamError when it is not HTTP."""
    end = _HEAD_END.search(data, at, at + MAX_HEAD_BYTES)
    if end is None:
        if len(data) - at >= MAX_HEAD_BYTES or not data.startswith(b"HTTP/1."[: len(data) - at], at):
            raise StreamError("malformed_http", repr(bytes(data[at : at + 80])))
        return None
    lines = bytes(data[at : end.start()]).decode("latin-1").replace("\r\n", "\n").split("\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise StreamError("malformed_http", repr(lines[0][:80]))
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _colon, value = line.partition(":")
        name = name.strip().lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    status = int(status_line.group(2))
    return Head(status, headers, end.end() - at, _length(status, headers), int(status_line.group(1)))


def _length(status: int, headers: Mapping[str, str]) -> int | None:
    """The length of a body as its head has it. Raises StreamError when it contradicts itself."""
    if status < 200 or status in _WITHOUT_BODY:
        return 0
    if _tokens(headers.get("transfer-encoding", "")) or "content-length" not in headers:
        return None
    lengths = _tokens(headers["content-length"])
    if len(set(lengths)) != 1 or not _LENGTH.fullmatch(lengths[0]):
        raise StreamError("malformed_http", f"Content-Length {headers['content-length'][:40]!r}")
    return int(lengths[0])


@lru_cache(maxsize=1024)  # the events of one answer have few lengths
def _chunk_size(line: bytes) -> int:
    """What the line before a chunk says of its length; extensions are ignored. Raises StreamError."""
    text = line.split(b";", 1)[0].strip()
    if not _CHUNK_SIZE.fullmatch(text):
        raise StreamError("malformed_chunking", f"chunk size {line[:40]!r}")
    return int(text, 16)


class Framing:
    """Where the parts of one response stand in its raw bytes, and where it ends.

    `head` is the final one, None while it has not come. `needs` is the first raw byte that has not been understood yet;
    `ended` is the number of bytes of the whole response once its last one has come, else None. With `keep_spans`, `spans` holds
    begin and end of each chunk's data, one after the other.
    """

    __slots__ = ("_after_chunk", "_in_trailers", "_interim", "body_start", "ended", "head", "needs", "spans")

    def __init__(self, keep_spans: bool = False) -> None:
        self.head: Head | None = None
        self.ended: int | None = None
        self.needs = self.body_start = self._interim = 0
        self.spans = array("q") if keep_spans else None
        self._after_chunk = self._in_trailers = False

    def advance(self, window: bytes | bytearray, base: int = 0) -> bool:
        """Goes on with the raw bytes from `base` on (no later than `needs`), as far as they have come. True at the end.

        Raises StreamError when they break HTTP.
        """
        if self.ended is None:
            head = self.head or self._read_heads(window, base)
            if head is not None:
                self._read_body(head, window, base)
        return self.ended is not None

    def _read_heads(self, window: bytes | bytearray, base: int) -> Head | None:
        """The final head, once it has come; interim ones are passed over."""
        while self.head is None:
            head = parse_head(window, self.needs - base)
            if head is None:
                break
            self.needs += head.size
            self._interim += head.interim
            if head.status == 101 or self._interim > _MAX_INTERIM:
                raise StreamError("malformed_http", f"HTTP {head.status} for the {self._interim}. interim answer")
            if not head.interim:
                self.head, self.body_start = head, self.needs
        return self.head

    def _read_body(self, head: Head, window: bytes | bytearray, base: int) -> None:
        received = base + len(window)
        if head.chunked:
            if self.needs < received:
                self._read_chunks(bytes(memoryview(window)[self.needs - base :]), self.needs)
        elif head.length is None:
            self.needs = received
        else:
            end = self.body_start + head.length
            self.needs = min(received, end)
            self.ended = end if received >= end else None

    def _read_chunks(self, data: bytes, base: int) -> None:
        """Goes on over `data`, the raw bytes from `base`, which is `needs`."""
        at, after_chunk = 0, self._after_chunk
        keep = None if self.spans is None else self.spans.append
        while not self._in_trailers:
            usual = _USUAL.get(data[at : at + 7]) if after_chunk else None
            if usual:
                at, length = at + usual[0], usual[1]
            else:
                if after_chunk:
                    if len(data) < at + 2:
                        break
                    if data[at : at + 2] != b"\r\n":
                        raise StreamError("malformed_chunking", f"after a chunk: {data[at : at + 20]!r}")
                    at, after_chunk = at + 2, False
                line_end = data.find(b"\r\n", at, at + _MAX_LINE_BYTES)
                if line_end < 0:
                    _check_line(data, at)
                    break
                length = _chunk_size(data[at:line_end])
                at = line_end + 2
            self._in_trailers, after_chunk = not length, bool(length)
            if keep and length:
                keep(base + at)
                keep(base + at + length)
            at += length
        self._after_chunk = after_chunk
        self.needs = base + at
        if self._in_trailers:
            self._read_trailers(data, at, base)

    def _read_trailers(self, data: bytes, at: int, base: int) -> None:
        found = data.find(END_OF_CHUNKED, at, at + MAX_HEAD_BYTES)
        if data.startswith(b"\r\n", at):
            self.ended = self.needs = base + at + 2
        elif found >= 0:
            self.ended = self.needs = base + found + len(END_OF_CHUNKED)
        elif len(data) - at >= MAX_HEAD_BYTES:
            raise StreamError("malformed_chunking", f"trailers of more than {MAX_HEAD_BYTES} bytes")

    def close(self, received: int) -> bool:
        """The connection was closed in order after `received` bytes. True when that is the end of the response."""
        head = self.head
        if self.ended is None and head is not None and head.length is None and not head.chunked:
            self.ended = received
        return self.ended is not None

    def payload(self, raw: bytes | bytearray) -> bytes:
        """The body as far as it is in `raw`, all bytes of the response; for a chunked one the spans must have been kept."""
        if self.head is None or self.spans is None or not self.head.chunked:
            return bytes(raw[self.body_start : self.ended])
        payload = bytearray()
        for begin, end in zip(self.spans[::2], self.spans[1::2]):
            payload += raw[begin:end]
        return bytes(payload)


def _check_line(data: bytes, at: int) -> None:
    """Raises StreamError when a chunk's size line that has not come to its end is too long already."""
    if len(data) - at >= _MAX_LINE_BYTES:
        raise StreamError("malformed_chunking", f"chunk size {data[at : at + 40]!r}")


class Body:
    """The payload of a response, and where each of its bytes stood in the raw recording."""

    def __init__(self, data: bytes, spans: array[int], complete: bool) -> None:
        """`spans` are those of `Framing`."""
        self.data, self.complete, self._spans = data, complete, spans
        # Of the piece that was asked for last: its end, and how far it was moved.
        self._next_span = self._end = self._shift = 0

    def raw_offset(self, offset: int) -> int:
        """The place in the raw recording of byte `offset` of the payload. Offsets must not decrease."""
        while self._end <= offset:
            begin, end = self._spans[self._next_span : self._next_span + 2]
            self._next_span += 2
            self._shift = begin - self._end
            self._end += end - begin
        return self._shift + offset


@dataclass(frozen=True)
class Response:
    """A response as far as it came. `extra` is the number of bytes after its end, which belong to no response."""

    head: Head
    body: Body
    extra: int


def decode_response(raw: bytes, closed: bool = False) -> Response | None:
    """The response in the raw bytes; None when its head is not complete.

    `closed` says that the connection was closed in order after them. Raises StreamError when the framing is broken.
    """
    framing = Framing(keep_spans=True)
    framing.advance(raw)
    if closed:
        framing.close(len(raw))
    head = framing.head
    if head is None:
        return None
    _check_chunks(framing, len(raw))
    complete, extra = framing.ended is not None, 0 if framing.ended is None else len(raw) - framing.ended
    spans = framing.spans if head.chunked and framing.spans is not None else array("q", [framing.body_start, len(raw)])
    return Response(head, Body(framing.payload(raw), spans, complete), extra)


def _check_chunks(framing: Framing, size: int) -> None:
    """Raises StreamError for a long response of hardly anything but the sizes of chunks: each piece takes more memory than its bytes."""
    chunks = len(framing.spans or ()) // 2
    if chunks > _MOST_SMALL_CHUNKS and chunks * _SMALLEST_CHUNK_BYTES > size:
        raise StreamError("oversized_answer", f"{chunks} chunks in {size} bytes, which no answer has")


def request_bytes(target: str, headers: Mapping[str, str], document: dict[str, Any], request_id: str) -> bytes:
    """A complete HTTP/1.1 POST of `document`, ready to be written to a socket. The server may log `request_id`."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    own = {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
    }
    lines = [f"POST {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in {**headers, **own}.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
