# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns what Ansible hands over (lazy, tagged, from another machine) into plain, safe values. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LARGEST = 1e15  # no figure of ours is larger; sums, squares and ratios of such numbers stay finite


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
