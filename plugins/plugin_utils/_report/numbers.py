# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers as people read them. Pure."""

from __future__ import annotations

MISSING = "-"


def figure(value: float | None) -> str:
    """Three to five significant digits with thousands separators: 36,267 / 792 / 61.4 / 4.23 / 0.174."""
    if value is None:
        return MISSING
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:.1f}" if size >= 10 else f"{value:.2f}"
    return f"{value:.3g}"


def ratio(value: float | None) -> str:
    """A ratio to a reference, two decimals and the sign that says what it is: ×1.02."""
    return MISSING if value is None else f"×{value:.2f}"


def pair(first: str, second: str) -> str:
    """Two figures of one cell, as the published benchmark prints mean and P99; one dash when both are missing."""
    return MISSING if first == second == MISSING else f"{first} / {second}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(value: float | None, *, sign: bool = True) -> str:
    """A relative change in percent with its sign: -3.0 %."""
    if value is None:
        return MISSING
    if abs(value) >= 1e6:  # not hundreds of digits
        return f"{value * 100:+.1e} %" if sign else f"{value * 100:.1e} %"
    size = round(value * 100, 1) + 0.0  # no minus before a zero
    return f"{size:+.1f} %" if sign else f"{size:.1f} %"


def span(summary: dict[str, float | None]) -> str:
    """Smallest and largest of a summary: 3,672 – 3,811."""
    if summary.get("min") is None:
        return MISSING
    return f"{figure(summary['min'])} – {figure(summary['max'])}"
