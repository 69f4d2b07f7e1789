# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts that charts are made of: scales, axes, marks. Units are those of the view box. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .markup import Markup, join, tag

WIDTH = 460.0
LEFT, RIGHT = 14.0, 14.0


@dataclass(frozen=True)
class Scale:
    """Maps data from `low`..`high` to places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of `value`."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Three to six round values between the ends."""
        step = nice_step((self.high - self.low) / 4)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def nice_step(step: float) -> float:
    """The smallest of 1, 2, 2.5, 5 x a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


def stretch(low: float, high: float, start: float, end: float) -> Scale:
    """A scale; ends that are equal, or all but equal, are set apart, so that there is always a length."""
    return Scale(low, high, start, end) if high - low > 1e-12 * max(1.0, abs(low)) else Scale(low, low + 1, start, end)


def horizontal(high: float) -> Scale:
    """A scale from zero over the width of a chart, with room for a figure at the end of the longest row."""
    return stretch(0, high, LEFT, WIDTH - RIGHT - 52)


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str | None = None) -> Markup:
    """One line of text."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def axis(scale: Scale, top: float, bottom: float, label: str, *, unit: str = "") -> Markup:
    """Grid lines with their values under them, and what they are under these."""
    parts = []
    for value in scale.ticks():
        x = scale.at(value)
        parts += [line(x, top, x, bottom, "grid"), text(x, bottom + 15, f"{value:,.10g}{unit}", anchor="middle")]
    return join(*parts, text((scale.start + scale.end) / 2, bottom + 32, label, anchor="middle", class_="soft"))


def mark(shape: int, x: float, y: float, class_: str, title: str | None = None) -> Markup:
    """A data point: circle, square, diamond or triangle, so that colour is never the only difference."""
    size = 4.5
    name = tag("title", title) if title else Markup("")
    paths = (
        None,
        f"M{x - size:.1f},{y - size:.1f}h{2 * size}v{2 * size}h-{2 * size}z",
        f"M{x:.1f},{y - 6:.1f}l6,6l-6,6l-6,-6z",
        f"M{x:.1f},{y - 5.5:.1f}l5.5,10h-11z",
    )
    path = paths[shape % len(paths)]
    if path is None:
        return tag("circle", name, cx=x, cy=y, r=size, class_=class_)
    return tag("path", name, d=path, class_=class_)


def picture(name: str, title: str, description: str, height: float, *parts: str) -> Markup:
    """The chart as an image with an accessible name and description."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *parts,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )
