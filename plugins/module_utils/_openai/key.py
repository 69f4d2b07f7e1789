# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API key of a server, which is in a file on the host."""

from __future__ import annotations

import re
from pathlib import Path

from .._errors import Problem, UserError
from .._owners import open_as_owner, owner_of

_KEY = re.compile(rb"[\x21-\x7e]{1,8192}")  # what a header can carry
_KEY_FILE_BYTES = 16 * 1024


def read_key(path: str | None) -> str | None:
    """The API key in the file; None without a path. Root reads a file of another user's folder as that user. Raises UserError."""
    if not path:
        return None
    try:
        with open_as_owner(owner_of(Path(path)), Path(path)) as file:
            key = file.read(_KEY_FILE_BYTES).strip()
    except OSError as error:
        raise UserError(
            Problem(
                f"api_key_file {path} cannot be read ({error.strerror}).",
                "a file with the key.",
                "Correct api_key_file.",
            )
        ) from error
    if not _KEY.fullmatch(key):
        found = "holds no key" if not key else "holds more than a key, or other characters"
        remedy = "Write the key into it: printable characters without blanks, in one line."
        raise UserError(Problem(f"api_key_file {path} {found}.", "a file with the key alone.", remedy))
    return key.decode()
