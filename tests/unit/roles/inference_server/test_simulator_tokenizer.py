# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import llmfleet_simulator as simulator
import pytest
from hypothesis import given
from hypothesis import strategies as st

TOKENIZER = simulator.Tokenizer()
PROSE = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a "
    "wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this "
    "truth is so well fixed in the minds of the surrounding families."
)


@given(st.text())
def test_text_survives(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.text(alphabet=" \n\tabeinorstTHE019.,é日🎉<|>_"))
def test_text_at_the_edges_of_the_rules_survives(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.lists(st.integers(0, TOKENIZER.size - 1), max_size=200))
def test_any_ids_are_text(ids):
    text = TOKENIZER.decode(ids)
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize(
    "text", ["", "\ud800 half a pair", " " * 40, "\n" * 11, "x  \n  y", "A" * 2000, "<|im_start|>", "\x00\x7f"]
)
def test_awkward_text_survives(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a", 1),
        (" the", 1),
        ("the house", 2),
        ("2026", 2),
        ("é", 2),
        ("日本", 6),
        ("<|im_start|>", 1),
        ("  the", 2),
    ],
)
def test_counts(text, count):
    assert len(TOKENIZER.encode(text)) == count


def test_english_takes_about_three_characters_a_token():
    assert 2.5 < len(PROSE) / len(TOKENIZER.encode(PROSE)) < 4


def test_ids_are_distinct_and_fit_two_bytes():
    assert len(set(TOKENIZER.pieces[261:])) == TOKENIZER.size - 261
    assert TOKENIZER.size <= 65536


@pytest.mark.parametrize("start", [5, 20_000, 50_000])
def test_runs_of_ids_come_back_at_nearly_the_same_length(start):
    text = TOKENIZER.decode(range(start, start + 8192))
    assert len(TOKENIZER.encode(text)) == pytest.approx(8192, rel=0.12)


@pytest.mark.parametrize("ids", [[-1], [TOKENIZER.size]])
def test_unknown_ids_are_refused(ids):
    with pytest.raises(IndexError):
        TOKENIZER.decode(ids)


def test_the_chat_template_costs_the_same_for_every_content():
    def overhead(content):
        return len(TOKENIZER.chat([("user", content)])) - len(TOKENIZER.encode(content))

    assert overhead(PROSE) == overhead("") == overhead("\n ") == 12
    assert len(TOKENIZER.chat([("user", "")], generation_prompt=False)) == 7


def test_answers_are_one_token_a_word():
    assert all(len(TOKENIZER.encode(word.decode())) == 1 for word in simulator.WORDS)
    assert len(TOKENIZER.encode(b"".join(simulator.WORDS * 3).decode())) == 3 * len(simulator.WORDS)


def test_a_remembered_text_has_the_same_ids():
    text = PROSE * 10
    assert TOKENIZER.encode(text) == TOKENIZER.encode(text) == TOKENIZER._encode(text)
