# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

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
    assert (result["prompt_tokens"], result["prefix_cache_hits"], result["preemptions"]) == (50.0, 4.0, 0.0)


METRICS = Path(__file__).resolve().parents[3] / "fixtures" / "server_metrics"


def sglang(name: str) -> dict[str, float | None]:
    return parse_counters((METRICS / f"sglang_{name}.txt").read_text())


def test_what_a_real_sglang_has_not_counted_yet_is_zero() -> None:
    assert sglang("before") == {
        "prompt_tokens": 204.0,
        "generation_tokens": 3176.0,
        "prefix_cache_queries": 204.0,
        "prefix_cache_hits": 0.0,
        "preemptions": 0.0,
    }
    changes = deltas(sglang("before"), sglang("after"))
    assert (changes["prompt_tokens"], changes["prefix_cache_hits"], changes["preemptions"]) == (1324096.0, 0.0, 0.0)


def test_the_first_warm_run_of_a_real_sglang_is_seen() -> None:
    page = (METRICS / "sglang_after.txt").read_text() + 'sglang:cached_tokens_total{cache_source="device"} 73952.0\n'
    assert deltas(sglang("before"), parse_counters(page))["prefix_cache_hits"] == 73952.0


def test_an_sglang_that_has_answered_nothing_yet_has_counted_nothing() -> None:
    assert set(parse_counters('sglang:num_running_reqs{model_name="m"} 0.0\n').values()) == {0.0}


def test_an_old_vllm_without_a_counter_does_not_have_it() -> None:
    assert parse_counters("vllm:prompt_tokens_total 5.0\n")["prefix_cache_hits"] is None


def test_a_counter_that_appears_meanwhile_has_counted_from_nothing() -> None:
    changes = deltas(parse_counters("vllm:prompt_tokens_total 5.0\n"), parse_counters(VLLM))
    assert (changes["prefix_cache_hits"], changes["generation_tokens"]) == (16.0, 100.0)


def test_without_a_page_before_nothing_is_known() -> None:
    assert set(deltas(parse_counters(""), parse_counters(VLLM)).values()) == {None}


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(1.0, 3.0, 2.0), (None, 3.0, None), (3.0, None, None), (3.0, 1.0, None)]
)
def test_deltas(before: float | None, after: float | None, expected: float | None) -> None:
    assert deltas({"prompt_tokens": before}, {"prompt_tokens": after})["prompt_tokens"] == expected
