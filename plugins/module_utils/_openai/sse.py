# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Server-sent events, by the rules of WHATWG (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure.

Lines end at CR, LF and CRLF alone: every other character that Unicode calls an end of a line is text.
"""

from __future__ import annotations

import re
from typing import Iterable, Iterator, Tuple

from .http1 import StreamError

Event = Tuple[bytes, int, bytes]  # data, offset just after the blank line that ends it, its name (mostly empty)

_LINE_END = re.compile(rb"\r\n|\n|\r")
_MOST_SHORT_LINES = 300_000  # however short they are on average; the longest answers have as many
_SHORT_LINE_BYTES = 32  # less than an event has for each of its two; a shorter one takes more memory than its bytes
_BOM = b"\xef\xbb\xbf"
_BLANK = b"\n\n"
_WINDOW_BYTES = 64 * 1024
_OTHER_FIELDS = (b"id", b"retry")
_MOST_STRAY = 4


def events(payload: bytes, stray: list[bytes]) -> Iterator[Event]:
    """The server-sent events of `payload`.

    Several data lines are joined by LF; comments and an event without its blank line are dropped (`unfinished` has that). The first
    lines that are no field of an event, which the rules ignore, go to `stray`: they may be what a server has to say.

    Raises StreamError for hardly anything but ends of lines.
    """
    begin = len(_BOM) if payload.startswith(_BOM) else 0
    carriage_returns = payload.count(b"\r")
    lines = payload.count(b"\n") + carriage_returns
    if lines > _MOST_SHORT_LINES and lines * _SHORT_LINE_BYTES > len(payload):
        raise StreamError("oversized_answer", f"{lines} lines, which no answer has")
    return _by_line(payload, begin, stray) if carriage_returns else _by_block(payload, begin, stray)


def unfinished(payload: bytes, position: int, stray: list[bytes]) -> bytes | None:
    """The data of the event that begins after `position`, the end of the last complete one, and lacks its blank line.

    Of a long one the beginning.
    """
    *ended, last = _LINE_END.split(payload[position : position + _WINDOW_BYTES])
    lines: list[bytes] = []
    for line in ended:
        if line:
            lines.append(line)
        else:
            lines.clear()
    return _read([*lines, last], stray)[0]


def _by_line(payload: bytes, position: int, stray: list[bytes]) -> Iterator[Event]:
    lines: list[bytes] = []
    for match in _LINE_END.finditer(payload, position):
        line = payload[position : match.start()]
        position = match.end()
        if line:
            lines.append(line)
        elif lines:
            data, name = _read(lines, stray)
            lines = []
            if data is not None:
                yield data, position, name


def _by_block(payload: bytes, begin: int, stray: list[bytes]) -> Iterator[Event]:
    """The same where every line ends with LF, as servers write them: a blank line ends a block of lines."""
    for position, end in _windows(payload, begin):
        at = position
        for block in payload[position:end].split(_BLANK):
            at += len(block) + len(_BLANK)
            if block.startswith(b"data: ") and b"\n" not in block:
                yield block[6:], at, b""
            elif block:
                data, name = _read(block.split(b"\n"), stray)
                if data is not None:
                    yield data, at, name


def _windows(payload: bytes, position: int) -> Iterator[tuple[int, int]]:
    """Begin and end of pieces that hold whole blocks and end where a blank line begins: to split one at once is quick, and holds little."""
    while True:
        while payload.startswith(b"\n", position):
            position += 1
        end = payload.rfind(_BLANK, position, position + _WINDOW_BYTES)
        end = payload.find(_BLANK, position) if end < 0 else end
        if end < 0:
            return
        while payload.startswith(b"\n", end - 1):  # of several line feeds the first two are the blank line
            end -= 1
        yield position, end
        position = end + len(_BLANK)


def _read(lines: Iterable[bytes], stray: list[bytes]) -> tuple[bytes | None, bytes]:
    """Data and name of the event that these lines are; data is None where they have none."""
    data: list[bytes] = []
    name = b""
    for line in lines:
        field, _colon, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif field and field not in _OTHER_FIELDS and len(stray) < _MOST_STRAY:
            stray.append(line)
    return b"\n".join(data) if data else None, name
