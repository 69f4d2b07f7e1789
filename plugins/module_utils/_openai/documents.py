# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server sent as JSON, whatever it is. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_JSON_BYTES = 1024 * 1024  # its objects take up to thirty times as much
_DIGITS = 400  # more than any number has; Python takes quadratic time for text of digits
_MOST_TOKENS = 10**9  # more than any context or answer has
_BOM = b"\xef\xbb\xbf"


def _int(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


# Not strict: servers leave control characters in text as they are.
_decoder = json.JSONDecoder(strict=False)
_careful_decoder = json.JSONDecoder(strict=False, parse_int=_int)


def parse_json(data: bytes) -> Any:
    """The document in UTF-8 text. Raises ValueError when it is not JSON, too long, nested too deeply, or has a number without end."""
    if len(data) > MOST_JSON_BYTES:
        raise ValueError(f"JSON of {len(data)} bytes")
    decoder = _decoder if len(data) <= _DIGITS else _careful_decoder
    try:
        return decoder.decode((data[len(_BOM) :] if data.startswith(_BOM) else data).decode("utf-8"))
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error


def token_count(value: Any) -> int | None:
    """A number of tokens as servers write it, also as text of digits; None for what is none."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value < _MOST_TOKENS else None
