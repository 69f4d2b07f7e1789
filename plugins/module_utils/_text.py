# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of hosts, servers and files, made fit to be shown. Pure.

`printable` is the one function that cleans text: what comes from elsewhere goes through it, or through `one_line`, before a
terminal, a page or a spreadsheet gets it.
"""

from __future__ import annotations

from typing import Any

LONGEST_LINE = 8192  # characters
WORDS = 300  # characters of what a server says, in a message
_KEPT = "\n\t"


def printable(value: Any) -> str:
    """`value` as text without anything that a terminal, a page or a reader's eye would obey.

    Control characters, escape sequences, marks that change the direction of writing, invisible characters and halves of
    surrogate pairs become spaces; line feeds and tabs stay.
    """
    text = _text(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if character.isprintable() or character in _KEPT else " " for character in text)


def one_line(value: Any, limit: int = LONGEST_LINE) -> str:
    """`value` as one printable line of at most `limit` characters; what is longer loses its middle."""
    text = _text(value)
    if len(text) > 8 * limit:  # cleaned it is shorter, but never so much that more of it could be shown
        text = text[: 4 * limit] + "…" + text[-4 * limit :]
    return shortened(" ".join(printable(text).split()), limit)


def words(data: bytes, at_most: int = WORDS) -> str:
    """What a server said, on one clean line of at most `at_most` characters; what is longer loses its middle."""
    room = 16 * at_most
    shown = data if len(data) <= 2 * room else data[:room] + b" ... " + data[-room:]
    return one_line(shown.decode("utf-8", "replace"), at_most)


def shortened(text: str, limit: int) -> str:
    """`text` with at most `limit` characters. The end stays, for in logs and messages the cause stands there."""
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end - 1]}…{text[len(text) - end :]}"


def _text(value: Any) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):  # a number with more digits than Python writes, or lists in lists in lists
        return "(a value that cannot be written)"
