# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page's colours have the contrast that WCAG 2.2 asks for (AA): 4.5 for text, 3 for marks, in light and dark."""

from __future__ import annotations

import re

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import page

SCHEMES = [
    dict(re.findall(r"--([\w-]+):#([0-9a-f]{3,6})", block))
    for block in re.findall(r":root\{(.*?)\}", page._STYLE, re.DOTALL)
]
TEXT = [
    ("ink", "ground"),
    ("ink", "card"),
    ("soft", "ground"),
    ("soft", "card"),
    ("link", "ground"),
    ("warn-ink", "warn"),
]
MARKS = [(name, "card") for name in ("bar", "point", "mark", "c1", "c2", "c3", "c4", "c5", "c6")]


def luminance(colour: str) -> float:
    digits = "".join(digit * 2 for digit in colour) if len(colour) == 3 else colour
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", SCHEMES, ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), [(*pair, 4.5) for pair in TEXT] + [(*pair, 3.0) for pair in MARKS])
def test_contrast(scheme: dict[str, str], front: str, back: str, least: float) -> None:
    high, low = sorted((luminance(scheme[front]), luminance(scheme[back])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= least
