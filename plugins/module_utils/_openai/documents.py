# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server sent, as JSON or as words for a message, whatever it is. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_JSON_BYTES = 1024 * 1024  # its objects take up to thirty times as much
_DIGITS = 400  # more than any number has; Python takes quadratic time for text of digits
_WORDS_LENGTH = 300
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def _int(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


_decoder = json.JSONDecoder()
_careful_decoder = json.JSONDecoder(parse_int=_int)


def parse_json(data: bytes) -> Any:
    """The document in UTF-8 text. Raises ValueError when it is not JSON, too long, nested too deeply, or has a number without end."""
    if len(data) > MOST_JSON_BYTES:
        raise ValueError(f"JSON of {len(data)} bytes")
    decoder = _decoder if len(data) <= _DIGITS else _careful_decoder
    try:
        return decoder.decode(data.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error


def words(data: bytes, at_most: int = _WORDS_LENGTH) -> str:
    """What a server said, on one line, without control characters, and at most `at_most` characters long."""
    text = data[: 4 * at_most].decode("utf-8", "replace")
    return " ".join(_CONTROL.sub(" ", text).split())[:at_most]
