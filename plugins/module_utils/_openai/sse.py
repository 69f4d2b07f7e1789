# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Server-sent events, by the rules of WHATWG (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure."""

from __future__ import annotations

import re
from typing import Iterator

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


def events(payload: bytes) -> Iterator[tuple[bytes, int]]:
    """The server-sent events of `payload`: (data, offset just after the blank line that ends the event).

    By the WHATWG rules: lines end with LF, CR or CRLF; several data lines are joined by LF; comments, other fields and
    an event without its blank line are dropped.
    """
    begin = len(_BOM) if payload.startswith(_BOM) else 0
    return _events_by_line(payload, begin) if b"\r" in payload else _events_by_block(payload, begin)


def _events_by_line(payload: bytes, position: int) -> Iterator[tuple[bytes, int]]:
    data: list[bytes] = []
    for match in _LINE_END.finditer(payload, position):
        line = payload[position : match.start()]
        position = match.end()
        if line:
            data += _data(line)
        elif data:
            yield b"\n".join(data), position
            data = []


def _events_by_block(payload: bytes, position: int) -> Iterator[tuple[bytes, int]]:
    """The same where every line ends with LF, as servers write them: a blank line ends a block of lines."""
    blocks = payload[position:].split(b"\n\n")
    blocks.pop()  # without its blank line
    for block in blocks:
        position += len(block) + 2
        if b"\n" in block:
            data = [datum for line in block.split(b"\n") for datum in _data(line)]
        else:
            data = _data(block)
        if data:
            yield b"\n".join(data), position


def _data(line: bytes) -> list[bytes]:
    """The data of one line, if it has any."""
    if line.startswith(b"data:"):
        return [line[6:] if line.startswith(b"data: ") else line[5:]]
    return [b""] if line == b"data" else []
