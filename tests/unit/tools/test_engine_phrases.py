# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES

from tools.engine_phrases import literal_parts, missing_phrases, phrases_of, texts_of

SOURCE = """
logger.info("Loading weights took %.2f seconds", seconds)
raise ValueError(f"To serve {n} tokens, {x:.1f} GiB KV cache is "
                 f"needed, which is larger than {y}")
name = "vllm:prompt_tokens"
"""


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        (r"took ([\d.]+) seconds", [["took ", " seconds"]]),
        (r"(took|takes) long", [["took long"], ["takes long"]]),
        (r"first .*second|third", [["first ", "second"], ["third"]]),
        (r"a\.b", [["a.b"]]),
        (r"[abc]+", [[]]),
    ],
)
def test_the_literal_parts_of_a_pattern(pattern, parts):
    assert literal_parts(pattern) == parts


@pytest.mark.parametrize(
    ("pattern", "missing"),
    [
        (r"Loading weights took ([\d.]+) seconds", False),
        (r"GiB KV cache is needed, which is larger", False),
        (r"KV cache is needed, .* larger than", False),
        (r"gone for good|KV cache is needed", False),
        (r"vllm:prompt_tokens", False),
        (r"weights took Loading", True),
        (r"Loading weights takes", True),
        (r"[abc]+", True),
    ],
)
def test_a_pattern_is_looked_for_in_the_texts_of_a_source(pattern, missing):
    assert bool(missing_phrases([pattern], texts_of(SOURCE))) is missing


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_everything_that_an_engine_says_is_looked_for(name):
    phrases = phrases_of(ENGINES[name])
    assert len(phrases) >= 8
    assert all(parts for phrase in phrases for parts in literal_parts(phrase))
