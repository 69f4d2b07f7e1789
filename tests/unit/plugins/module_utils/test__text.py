# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line, printable, shortened, words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 語, ²", "plain, é, 語, ²"),
        ("a\nb\tc", "a\nb\tc"),
        ("a\rb\vc\fd\x00e\x7ff", "a b c d e f"),
        ("\x1b[2J\x9b31m\x85x", " [2J 31m x"),
        ("a\u2028b\u2029c\u202ed\u2066e\u200bf\ufeffg", "a b c d e f g"),
        ("half\ud800", "half "),
    ],
)
def test_nothing_that_a_terminal_or_a_reader_would_obey_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert one_line(text) == " ".join(shown.split())


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("", 10, ""),
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abcdef…ijk"),
        ("abcdefghijk", 1, "…"),
    ],
)
def test_what_is_too_long_loses_its_middle(text: str, limit: int, shown: str) -> None:
    assert shortened(text, limit) == one_line(text, limit) == shown


def test_of_a_text_without_end_begin_and_end_are_looked_at() -> None:
    text = "begin\n" + "\x00x" * 1_000_000 + "\r\nthe cause"
    tracemalloc.start()
    line = one_line(text, 60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line.startswith("begin x x") and line.endswith("x the cause") and len(line) == 60
    assert peak < 100_000


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _level in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [10**5000, nested(100_000)], ids=["digits", "lists"])
def test_what_python_cannot_write_is_said_in_words(value: Any) -> None:
    assert printable(value) == one_line(value) == "(a value that cannot be written)"


def test_words_of_a_server_keep_their_end_and_show_what_is_no_text() -> None:
    assert words(b"a\xffb\x1b[0m") == "a\ufffdb [0m"
    said = words(b"Traceback\n" + b"\x00 x" * 100_000 + b"\nValueError: no", 50)
    assert said.startswith("Traceback x x") and said.endswith("x ValueError: no") and len(said) == 50
