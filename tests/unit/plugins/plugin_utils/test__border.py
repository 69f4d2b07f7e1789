# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._border import (
    AT_MOST_BYTES,
    Figures,
    Flag,
    Items,
    Loose,
    Number,
    Record,
    Shape,
    Text,
    bounded,
    cross,
    described,
)


@pytest.mark.parametrize(
    ("shape", "value", "read"),
    [
        (Text(), "a\x1b[2J\r\u202eb\nc", "a [2J  b\nc"),
        (Text(longest=10), "abcdefghijk", "abcdef…ijk"),
        (Text(r"\d+"), "12", "12"),
        (Number(0, 5), 5, 5),
        (Number(0, 5, smallest=0.1), 0, 0),
        (Flag(), False, False),
        (Items(Number(), most=2), [1, None], [1, None]),
        (Items(Number(), most=2), (1, 2), [1, 2]),
        (Loose(), {"k\x1b": ["v\x9b", 1e300, True, object()]}, {"k ": ["v ", None, True, None]}),
        (Figures({"note": Text()}), {"p99.9_x": 1.5, "note": "a"}, {"p99.9_x": 1.5, "note": "a"}),
        (Record({"a": Number()}), {"a": 1, "b": object()}, {"a": 1}),
        (Number(), None, None),
    ],
)
def test_what_has_the_shape_comes_in_as_plain_text_and_numbers(shape: Shape, value: Any, read: Any) -> None:
    assert cross({"x": value}, Record({"x": shape})) == ({"x": read}, "")


@pytest.mark.parametrize(
    ("shape", "value", "fault"),
    [
        (Text(r"\d+"), "12\n", r"x is '12', expected text like \d+"),
        (Text(r"\d+"), "12;", r"x is '12;', expected text like \d+"),
        (Number(0, 5), 5.5, "x is 5.5, expected a number from 0 to 5"),
        (Number(0, 5), -1, "x is -1, expected a number from 0 to 5"),
        (Number(0, 5), True, "x is true, expected a number from 0 to 5"),
        (Number(0, 5, smallest=0.1), 0.05, "x is 0.05, expected a number from 0 to 5, and 0 or at least 0.1"),
        (Flag(), 1, "x is 1, expected true or false"),
        (Items(Number(), most=2), [1, 2, 3], "x is a list of 3, expected a list of at most 2 items"),
        (Record({"a": Number()}), [1], "x is a list of 1, expected a dictionary"),
        (Items(Number()), ["a"] * 5, "; ".join(f"x[{at}] is 'a', expected a number from -1e+15 to 1e+15" for at in range(3))
         + "; and 2 more"),
    ],
)  # fmt: skip
def test_what_has_not_is_said_and_does_not_come_in(shape: Shape, value: Any, fault: str) -> None:
    crossed = cross({"x": value}, Record({"x": shape}))
    assert crossed.fault == fault
    assert crossed.value in ({"x": None}, {"x": [None] * 5})


@pytest.mark.parametrize("name", ["a b", "=1+1", "é", "x" * 65, "a\n", ""])
def test_a_figure_with_an_odd_name_is_refused_and_left_out(name: str) -> None:
    value, fault = cross({"x": {name: 1, "good": 2}}, Record({"x": Figures()}))
    assert value == {"x": {"good": 2}} and "a name in x is" in fault


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _level in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        (nested(24), nested(25), "it is nested more than 24 deep"),
        ({"k" * 200: 1}, {"k" * 201: 1}, "expected text of at most 200 characters"),
        ({"a": "x" * (AT_MOST_BYTES - 7)}, {"a": "x" * (AT_MOST_BYTES - 6)}, "it has more than 256 KiB"),
    ],
)
def test_a_document_has_limits(good: dict[str, Any], bad: dict[str, Any], fault: str) -> None:
    assert bounded(good) == (good, "")
    value, said = bounded(bad)
    assert value == {} and fault in said


def test_a_value_in_a_message_is_one_short_clean_line() -> None:
    shown = described("begin\x1b[2J\n" + "x" * 1000)
    assert shown.startswith("'begin [2J x") and shown.isprintable() and len(shown) <= 42
    assert described(10**400) == "a number of some 401 digits"
