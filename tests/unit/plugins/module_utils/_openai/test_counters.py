# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.counters import deltas, parse_counters

VLLM = """
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 8.388608e+06
vllm:prompt_tokens_total{engine="1",model_name="m"} 2.0
vllm:generation_tokens_total{engine="0",model_name="m"} 100.0
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 50.0
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 16.0
vllm:num_preemptions_total{engine="0",model_name="m"} 0.0
vllm:e2e_request_latency_seconds_bucket{le="0.3",model_name="m"} 3.0
"""
SGLANG = 'sglang:prompt_tokens_total{model_name="m"} 50.0\nsglang:cached_tokens_total 4.0\nbroken line\nx NotANumber\n'


def test_vllm() -> None:
    assert parse_counters(VLLM) == {
        "prompt_tokens": 8388610.0,
        "generation_tokens": 100.0,
        "prefix_cache_queries": 50.0,
        "prefix_cache_hits": 16.0,
        "preemptions": 0.0,
    }


def test_sglang() -> None:
    result = parse_counters(SGLANG)
    assert (result["prompt_tokens"], result["prefix_cache_hits"], result["preemptions"]) == (50.0, 4.0, None)


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(1.0, 3.0, 2.0), (None, 3.0, None), (3.0, None, None), (3.0, 1.0, None)]
)
def test_deltas(before: float | None, after: float | None, expected: float | None) -> None:
    assert deltas({"prompt_tokens": before}, {"prompt_tokens": after})["prompt_tokens"] == expected
