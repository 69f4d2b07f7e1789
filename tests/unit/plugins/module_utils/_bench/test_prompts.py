# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.prompts import (
    Calibration,
    Prompt,
    calibrate,
    file_prompts,
    length_range,
    random_prompts,
    request_document,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

TEMPLATE = 9


def count(text: str) -> int:
    """A tokenizer in which words of more than five letters are two tokens, behind a template of nine."""
    return TEMPLATE + sum(1 if len(word) <= 5 else 2 for word in text.split())


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(count, 200, random.Random(1))


def test_calibration_keeps_words_of_one_token(calibration: Calibration) -> None:
    assert len(calibration.words) >= 200
    assert max(map(len, calibration.words)) <= 5
    assert calibration.template_tokens == TEMPLATE + 1


def test_calibration_asks_little_when_every_word_fits() -> None:
    assert calibrate(lambda text: len(text.split()), 512, random.Random(1)).calls <= 10


def test_a_tokenizer_without_such_words() -> None:
    with pytest.raises(UserError):
        calibrate(lambda text: 2 * len(text.split()), 32, random.Random(1))


def test_prompts_have_exactly_the_length_and_are_distinct(calibration: Calibration) -> None:
    prompts = random_prompts(calibration, "key", 100, 64, 8)
    assert {count(prompt.content) for prompt in prompts} == {64}
    assert len({prompt.content for prompt in prompts}) == 100


def test_a_key_repeats_its_prompts_and_shares_none(calibration: Calibration) -> None:
    first, again, other = (random_prompts(calibration, key, 20, 64, 8, 0.5) for key in ("a", "a", "b"))
    assert first == again
    assert not {prompt.content for prompt in first} & {prompt.content for prompt in other}


def test_prompts_differ_early(calibration: Calibration) -> None:
    """Within the first block of sixteen tokens, so that no cached block serves two of them."""
    prompts = random_prompts(calibration, "key", 500, 64, 8)
    assert len({tuple(prompt.content.split()[: 16 - TEMPLATE]) for prompt in prompts}) == 500


def test_ranges(calibration: Calibration) -> None:
    prompts = random_prompts(calibration, "key", 300, 100, 10, range_ratio=0.5)
    assert {count(prompt.content) == prompt.input_tokens for prompt in prompts} == {True}
    inputs, outputs = [p.input_tokens or 0 for p in prompts], [p.output_tokens or 0 for p in prompts]
    assert (min(inputs) >= 50, max(inputs) <= 150, len(set(inputs)) > 50) == (True, True, True)
    assert (min(outputs), max(outputs)) == (5, 15)


@pytest.mark.parametrize(
    ("tokens", "ratio", "expected"),
    [(100, 0.0, (100, 100)), (10, 0.25, (7, 13)), (1, 0.9, (1, 2)), (100, 0.1, (90, 110))],
)
def test_length_range(tokens: int, ratio: float, expected: tuple[int, int]) -> None:
    assert length_range(tokens, ratio) == expected


def test_a_shared_prefix(calibration: Calibration) -> None:
    prompts = random_prompts(calibration, "key", 20, 64, 8, prefix_tokens=40)
    assert {count(prompt.content) for prompt in prompts} == {64}
    assert len({tuple(prompt.content.split()[: 40 - TEMPLATE]) for prompt in prompts}) == 1
    assert len({prompt.content for prompt in prompts}) == 20


@pytest.mark.parametrize(("tokens", "prefix"), [(10, 0), (64, 64), (64, 5)])
def test_no_room(calibration: Calibration, tokens: int, prefix: int) -> None:
    with pytest.raises(UserError):
        random_prompts(calibration, "key", 1, tokens, 8, prefix_tokens=prefix)


def test_too_few_distinct_prompts(calibration: Calibration) -> None:
    with pytest.raises(UserError):
        random_prompts(calibration, "key", 2000, 11, 8)


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    lines = [{"prompt": "a", "output_tokens": 5}, {"messages": [{"role": "user", "content": "b"}]}]
    path.write_text("\n\n".join(map(json.dumps, lines)))
    chat = [{"role": "user", "content": "b"}]
    assert file_prompts(str(path), 2, 9) == [Prompt("a", None, 5), Prompt(chat, None, 9)]
    assert len(file_prompts(str(path), 1, 9)) == 1


@pytest.mark.parametrize(
    "line", ["{", "3", "{}", '{"prompt": ""}', '{"prompt": 3}', '{"prompt": "a", "output_tokens": 0}']
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a"}\n' + line)
    with pytest.raises(UserError, match="line 2"):
        file_prompts(str(path), 2, 9)


def test_a_file_that_is_missing_or_short(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        file_prompts(str(tmp_path / "none"), 2, 9)
    (tmp_path / "one").write_text('{"prompt": "a"}')
    with pytest.raises(UserError):
        file_prompts(str(tmp_path / "one"), 2, 9)


def test_documents() -> None:
    chat = request_document(Prompt("a", 1, 5), "openai-chat", "m", {"temperature": 0.0}, True, False)
    assert chat["messages"] == [{"role": "user", "content": "a"}]
    assert (chat["max_completion_tokens"], chat["ignore_eos"], chat["temperature"]) == (5, True, 0.0)
    assert chat["stream_options"] == {"include_usage": True}
    plain = request_document(Prompt("a", 1, 5), "openai", "m", {}, False, True)
    assert (plain["prompt"], plain["max_tokens"], plain["ignore_eos"]) == ("a", 5, False)
    assert plain["stream_options"]["continuous_usage_stats"] is True
    with pytest.raises(UserError):
        request_document(Prompt([{}], None, 5), "openai", "m", {}, False, True)
