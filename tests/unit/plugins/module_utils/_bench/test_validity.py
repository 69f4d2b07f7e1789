# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.metrics import vllm_metrics
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Record
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.settings import Limits
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.validity import (
    Evidence,
    evaluate,
    lag_ms,
    verdict,
)

MS = 1_000_000
WORKER = {"cpu_s": 0.1, "wall_s": 1.0, "wait_s": 0.0, "user_timed": 0, "lag_us": array("I", [10] * 99 + [2000])}


def record(index: int, slot: int, **more: object) -> Record:
    """The n-th request of one of two slots: a second each, 10 prompt and 5 output tokens."""
    built = Record(index, 0, slot * 1000 * MS, (slot + 1) * 1000 * MS, identity="m")
    built.event_ns = array("q", ((slot * 1000 + 200 * n) * MS for n in range(1, 6)))
    built.has_text, built.completion_tokens, built.prompt_tokens = bytearray([1] * 5), 5, 10
    for name, value in more.items():
        setattr(built, name, value)
    return built


def run() -> list[Record]:
    return [record(index, index // 2) for index in range(8)]


def evidence(records: list[Record], **more: Any) -> Evidence:
    built = Evidence(
        records=records,
        vllm_metrics=vllm_metrics(records, 0, [99], {}),
        max_concurrency=2,
        open_load=False,
        wanted_input=[10] * len(records),
        shared_tokens=0,
        workers=[WORKER],
        clock_step_ms=0.0,
        wanted_output=[5] * len(records),
        counters={
            "prompt_tokens": 80.0,
            "generation_tokens": 40.0,
            "prefix_cache_queries": 80.0,
            "prefix_cache_hits": 0.0,
        },
        throttled_share=0.0,
        engines=["1"],
    )
    return replace(built, **more)


def status(evidence: Evidence, name: str) -> str:
    return next(check["status"] for check in evaluate(evidence, Limits()) if check["name"] == name)


def test_a_good_run_passes_every_check_that_applies() -> None:
    checks = evaluate(evidence(run()), Limits())
    assert {check["name"] for check in checks if check["status"] == "skip"} == {"send_lag_ms"}
    assert {check["status"] for check in checks} == {"pass", "skip"}
    assert verdict(checks, 8) == {"status": "ok", "reason": None}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("prefix_hit_rate", {"counters": {"prefix_cache_queries": 80.0, "prefix_cache_hits": 16.0}}),
        ("prompt_length_share", {"wanted_input": [10] * 7 + [11]}),
        ("total_over_output", {"wanted_output": [6] * 8}),
        ("total_over_output", {"wanted_input": [11] * 8}),
        ("prompt_tokens_mismatch", {"counters": {"prompt_tokens": 95.0}}),
        ("generation_tokens_mismatch", {"counters": {"generation_tokens": 45.0}}),
        ("engines", {"engines": ["1", "2"]}),
        ("loop_lag_ms", {"workers": [{**WORKER, "lag_us": array("I", [90_000])}]}),
        ("cpu_share", {"workers": [WORKER, {**WORKER, "cpu_s": 0.95}]}),
        ("cpu_wait_share", {"workers": [{**WORKER, "wait_s": 0.5}]}),
        ("clock_step_ms", {"clock_step_ms": 20.0}),
        ("throttled_share", {"throttled_share": 0.5}),
    ],
)
def test_what_fails_a_check(name: str, change: dict[str, Any]) -> None:
    changed = evidence(run(), **change)
    assert status(changed, name) == "fail"
    assert verdict(evaluate(changed, Limits()), 8)["status"] == "invalid"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("prefix_hit_rate", {"counters": {}}),
        ("prompt_tokens_mismatch", {"counters": {}}),
        ("prompt_length_share", {"wanted_input": [None] * 8}),
        ("total_over_output", {"wanted_output": [None] * 8}),
        ("total_over_output", {"wanted_input": [None] * 8}),
        ("closure", {"open_load": True}),
        ("late_end", {"open_load": True}),
        ("late_end", {"max_concurrency": 4}),
        ("closure", {"max_concurrency": 4}),
        ("loop_lag_ms", {"workers": [{**WORKER, "user_timed": 3}]}),
        ("throttled_share", {"throttled_share": None}),
    ],
)
def test_what_is_not_known_is_skipped(name: str, change: dict[str, Any]) -> None:
    assert status(evidence(run(), **change), name) == "skip"


def in_slots(*slots: list[tuple[int, int]]) -> list[Record]:
    """The requests of some slots, each from one second to another."""
    spans = [span for slot in slots for span in slot]
    return [
        record(
            index, 0, sent_ns=begin * 1000 * MS, ended_ns=end * 1000 * MS, event_ns=array("q", [end * 1000 * MS] * 5)
        )
        for index, (begin, end) in enumerate(spans)
    ]


@pytest.mark.parametrize(
    ("late_ms", "closure", "late_end"), [(0, "pass", "pass"), (20, "pass", "pass"), (60, "pass", "fail")]
)
def test_an_end_that_comes_late_is_the_servers_and_not_the_clients(late_ms: int, closure: str, late_end: str) -> None:
    """Answers of 200 ms whose usage and [DONE] come some time after the last token; the client sends the next request at once."""
    each_ns = (200 + late_ms) * MS
    records = [
        record(
            index,
            0,
            sent_ns=index // 2 * each_ns,
            ended_ns=(index // 2 + 1) * each_ns,
            event_ns=array("q", [index // 2 * each_ns + 200 * MS] * 5),
        )
        for index in range(40)
    ]
    found = evidence(records, wanted_input=[10] * 40, wanted_output=[5] * 40)
    assert (status(found, "closure"), status(found, "late_end")) == (closure, late_end)


def test_failures_are_counted_with_the_servers_words() -> None:
    refused = {
        "http_5xx": {"count": 12, "example": "HTTP 503: no memory" + "!" * 999},
        "reset": {"count": 1, "example": ""},
    }
    check = next(
        c for c in evaluate(evidence(run(), errors=refused), Limits(failed_share=-1)) if c["name"] == "failed_share"
    )
    assert "12 x http_5xx (HTTP 503: no memory!" in check["message"] and "1 x reset" in check["message"]
    assert len(check["message"]) < 400


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        (([(0, 1), (1, 2), (2, 9)], [(0, 3), (3, 4), (4, 5), (5, 6), (6, 7)]), "pass"),
        (([(0, 1), (1, 2), (4, 5), (5, 6)], [(0, 1), (1, 2), (4, 5), (5, 6)]), "fail"),
        (([(0, 1), (0, 1), (0, 1), (0, 1)], [(0, 1), (0, 1), (0, 1), (0, 1)]), "skip"),
    ],
)
def test_closure_looks_at_the_time_in_which_work_was_left(
    slots: tuple[list[tuple[int, int]], ...], expected: str
) -> None:
    assert status(evidence(in_slots(*slots)), "closure") == expected


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("failed_share", {"error": "reset"}),
        ("engines", {"identity": "other"}),
        ("coalesced_share", {"coalesced": 20}),
    ],
)
def test_one_odd_request(name: str, changes: dict[str, Any]) -> None:
    assert status(evidence([*run()[:7], record(7, 3, **changes)]), name) == "fail"


@pytest.mark.parametrize(("lag", "expected"), [(1, "pass"), (50, "fail")])
def test_the_send_lag_of_an_open_load(lag: int, expected: str) -> None:
    records = [record(index, index // 2 + 1, intended_ns=((index // 2 + 1) * 1000 - lag) * MS) for index in range(8)]
    assert status(evidence(records, open_load=True), "send_lag_ms") == expected


@pytest.mark.parametrize(("hits", "expected"), [(24.0, "pass"), (25.0, "fail")])
def test_the_common_prefix_is_not_held_against_the_cache(hits: float, expected: str) -> None:
    counters = {"prefix_cache_queries": 80.0, "prefix_cache_hits": hits}
    assert status(evidence(run(), counters=counters, shared_tokens=3), "prefix_hit_rate") == expected


def test_cached_tokens_of_the_answers_serve_where_there_are_no_counters() -> None:
    records = [record(index, index // 2, cached_tokens=5) for index in range(8)]
    assert status(evidence(records, counters={}), "prefix_hit_rate") == "fail"


def test_limits_are_options() -> None:
    checks = evaluate(evidence([*run()[:7], record(7, 3, error="reset")]), Limits(failed_share=0.5))
    assert next(check for check in checks if check["name"] == "failed_share")["status"] == "pass"


def test_verdicts() -> None:
    assert verdict([], 0)["status"] == "failed"
    cancelled = verdict([], 5, "the run was cancelled")
    assert cancelled["status"] == "invalid"
    assert "partial" in str(cancelled["reason"])
    assert verdict([], 5, others=["repeat 1 failed closure"]) == {
        "status": "invalid",
        "reason": "repeat 1 failed closure",
    }


def test_lag() -> None:
    assert lag_ms([WORKER], 50) == pytest.approx(0.01)
    assert lag_ms([], 50) is None
