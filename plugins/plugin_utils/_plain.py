# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns what Ansible hands over (lazy, tagged, from another machine) into plain, safe values. Pure.

`printable` is the one function that cleans text: whatever comes from a host, a server or a file goes through it, or through
`one_line`, before a terminal, a page or a spreadsheet gets it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LARGEST = 1e15  # no figure of ours is larger; sums, squares and ratios of such numbers stay finite
LONGEST_LINE = 8192  # characters
_KEPT = "\n\t"


def plain(value: Any) -> Any:
    """A copy of `value` made of built-in types alone; NaN and infinities become None, odd objects their text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else str.__str__(str(value))


def number(value: Any) -> float | int | None:
    """`value` when it is a number of at most 1e15 either way, else None (a boolean is not a number)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -LARGEST <= value <= LARGEST:
        return None
    return value


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """`value` when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


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
