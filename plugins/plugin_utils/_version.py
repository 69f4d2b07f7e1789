# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions of packages, drivers and engines, compared by their numbers.

Pure.
"""

from __future__ import annotations

import re
from typing import Any, Sequence


def version_key(text: str | None) -> tuple[int, ...]:
    """The leading numbers of a version, without a package's epoch; empty when there are none.

    `5:28.2.2-1~ubuntu` gives (28, 2, 2), `v0.32.0-cu129` gives (0, 32, 0).
    """
    found = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", text or "")
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def at_least(version: str | None, floor: str) -> bool:
    """Whether a version is known and not below another one. `20.10` and `20.10.0` are equal."""
    have, need = version_key(version), version_key(floor)
    length = max(len(have), len(need))
    return bool(have) and have + (0,) * (length - len(have)) >= need + (0,) * (length - len(need))


def matches(version: str | None, wanted: str) -> bool:
    """Whether a version begins with the wanted numbers: `28.2` takes in `28.2.2`."""
    need = version_key(wanted)
    return bool(need) and version_key(version)[: len(need)] == need


def row_of(rows: Sequence[Any], version: str | None) -> Any:
    """The last of rows, sorted by `since`, that a version is not below; None when it is below all, or unknown."""
    return next((row for row in reversed(rows) if at_least(version, row.since)), None)
