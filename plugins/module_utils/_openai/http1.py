# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP/1.1 as bytes: a request, and the framing of a response (head, chunks, body). Pure.

Bodies are decoded after the clock has stopped, from complete recordings, so a read boundary can fall anywhere: within a
UTF-8 character, between CR and LF, within a chunk's size line.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Mapping

MAX_HEAD_BYTES = 64 * 1024
END_OF_CHUNKS = b"\r\n0\r\n\r\n"
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class StreamError(Exception):
    """A response that breaks HTTP. `kind` is the error class that the result counts it under."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(detail)


@dataclass(frozen=True)
class Head:
    """Status line and headers (names in lower case). `size` is their length in bytes with the blank line."""

    status: int
    headers: dict[str, str]
    size: int

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def content_length(self) -> int | None:
        """The announced length of the body in bytes; None when the body ends with the connection."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdigit() else None

    @property
    def closes(self) -> bool:
        """True when the server will not take another request on this connection."""
        return "close" in self.headers.get("connection", "").lower() or (
            not self.chunked and self.content_length is None
        )


def parse_head(data: bytes | bytearray) -> Head | None:
    """The head of a response, or None while it is incomplete. Raises StreamError when it is not HTTP."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > MAX_HEAD_BYTES or not data.startswith(b"HTTP/1."[: len(data)]):
            raise StreamError("malformed_http", repr(bytes(data[:80])))
        return None
    lines = bytes(data[:end]).decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if not parts[0].startswith("HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
        raise StreamError("malformed_http", repr(lines[0][:80]))
    headers = {}
    for line in lines[1:]:
        name, _colon, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Head(int(parts[1]), headers, end + 4)


class Body:
    """The payload of a response, and where each of its bytes stood in the raw recording."""

    def __init__(self, data: bytes, starts: array[int], raw_starts: array[int], complete: bool) -> None:
        self.data, self.complete = data, complete
        self._starts, self._raw_starts = starts, raw_starts

    def raw_offset(self, offset: int) -> int:
        """The place in the raw recording of byte `offset` of the payload."""
        piece = bisect_right(self._starts, offset) - 1
        return self._raw_starts[piece] + offset - self._starts[piece]


def plain_body(raw: bytes, head: Head) -> Body:
    """The payload of a response that is not chunked."""
    length = head.content_length
    data = raw[head.size :] if length is None else raw[head.size : head.size + length]
    return Body(data, array("q", [0]), array("q", [head.size]), length is None or len(data) == length)


@lru_cache(maxsize=1024)  # the events of one answer have few lengths
def _chunk_size(line: bytes) -> int:
    """What the line before a chunk says of its length; extensions are ignored. Raises StreamError."""
    text = line.split(b";", 1)[0].strip()
    if not _CHUNK_SIZE.fullmatch(text):
        raise StreamError("malformed_chunking", f"chunk size {line[:40]!r}")
    return int(text, 16)


def chunked_body(raw: bytes, head: Head) -> Body:
    """The payload of a chunked response. Raises StreamError when the framing is broken; a cut is not `complete`."""
    pieces: list[bytes] = []
    starts, raw_starts = array("q"), array("q")
    position, length = head.size, 0
    while True:
        line_end = raw.find(b"\r\n", position)
        if line_end < 0:
            break
        size = _chunk_size(raw[position:line_end])
        begin, end = line_end + 2, line_end + 2 + size
        if size == 0:
            return Body(b"".join(pieces), starts, raw_starts, raw.find(b"\r\n", begin) >= 0)
        pieces.append(raw[begin:end])
        starts.append(length)
        raw_starts.append(begin)
        length += len(pieces[-1])
        if len(raw) < end + 2:
            break
        if raw[end : end + 2] != b"\r\n":
            raise StreamError("malformed_chunking", f"after a chunk of {size} bytes: {raw[end : end + 20]!r}")
        position = end + 2
    return Body(b"".join(pieces), starts, raw_starts, False)


def decode_body(raw: bytes, head: Head) -> Body:
    """The payload of a response, whatever its framing."""
    return chunked_body(raw, head) if head.chunked else plain_body(raw, head)


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
