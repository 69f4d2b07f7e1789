# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault that the simulator makes is classified, none is taken for a success, and none outlasts its limit."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.base import Measurement
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen import connection as connection_module
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen import worker as worker_module
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.progress import Counts
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.worker import Worker
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import error_classes
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

from tests.support.bench import measure
from tests.support.simulator import simulator

LIMITS = {"connect_s": 1, "first_token_s": 1, "idle_s": 1, "total_s": 20}
QUICK = {"frontend_ms": 0.1, "decode_base_ms": 0.2, "decode_expert_ms": 0.2, "prefill_base_ms": 0.1}
LOAD: dict[str, Any] = {"num_prompts": 12, "max_concurrency": 3, "input_tokens": 64, "output_tokens": 16}
STRIKES = 4  # every third of twelve requests


def struck(folder: Path, fault: str, every: int = 3, **options: Any) -> tuple[Measurement, float]:
    """A load on a server with a fault, and the seconds it took."""
    with simulator(folder, timing=QUICK, faults=[{"kind": fault, "every": every}]) as server:
        begun = time.monotonic()
        measurement = measure(server.url, folder, **{**LOAD, "timeouts": LIMITS, **options})
        return measurement, time.monotonic() - begun


@pytest.mark.parametrize(
    ("fault", "kind", "example"),
    [
        ("reset", "reset", ""),
        ("stall,60", "first_token_timeout", "nothing arrived for 1 s"),
        ("stall_stream,60", "idle_timeout", "nothing arrived for 1 s"),
        ("reset_stream", "reset", ""),
        ("truncate", "truncated", ""),
        ("no_done", "no_done", "[DONE]"),
        ("error_event", "stream_error", "fault on demand"),
        ("short_output,5", "short_output", "5 tokens instead of 16"),
        ("empty_deltas", "empty_output", ""),
        ("status,400", "http_4xx", "HTTP 400"),
        ("status,503", "http_5xx", "HTTP 503"),
        ("rate_limit,7", "rate_limited", "Retry-After: 7"),
        ("bad_chunking", "malformed_chunking", "zz"),
        ("bad_json", "invalid_json", ""),
        ("oversized,1000000", "oversized_event", "bytes"),
        ("oversized", "oversized_answer", "more than"),
    ],
)
def test_a_fault_is_classified(tmp_path: Path, fault: str, kind: str, example: str) -> None:
    measurement, seconds = struck(tmp_path, fault)
    classes = error_classes(measurement.outcome.records)
    assert {name: entry["count"] for name, entry in classes.items()} == {kind: STRIKES}
    assert example in classes[kind]["example"]
    assert measurement.outcome.vllm_metrics["completed"] == LOAD["num_prompts"] - STRIKES
    assert next(check for check in measurement.checks if check["name"] == "failed_share")["status"] == "fail"
    assert seconds < STRIKES * (1 + 1) + 5


@pytest.mark.parametrize("fault", ["stall,60", "stall_stream,60"])
def test_a_stall_outlasts_its_limit_by_less_than_a_second(tmp_path: Path, fault: str) -> None:
    measurement, _ = struck(tmp_path, fault)
    lasted = [(record.ended_ns - record.sent_ns) / 1e9 for record in measurement.outcome.records if not record.ok]
    assert len(lasted) == STRIKES
    assert max(lasted) < 1 + 1


def test_the_total_limit_ends_a_stream_that_never_falls_silent(tmp_path: Path) -> None:
    slow = {**QUICK, "decode_base_ms": 200.0}
    with simulator(tmp_path, timing=slow) as server:
        measurement = measure(server.url, tmp_path, **{**LOAD, "num_prompts": 3, "timeouts": {**LIMITS, "total_s": 1}})
    assert Counter(record.error for record in measurement.outcome.records) == {"total_timeout": 3}


def test_a_refused_connection(tmp_path: Path) -> None:
    measurement, _ = struck(tmp_path, "refuse,3", every=5, max_concurrency=1)
    counts = Counter(record.error for record in measurement.outcome.records)
    assert counts == {"": 4, "reset": 1, "connect_refused": 7}


@pytest.mark.parametrize("fault", ["split_utf8,0.002", "crlf", "comments", "several_tokens,4"])
def test_what_is_odd_but_right_is_a_success(tmp_path: Path, fault: str) -> None:
    measurement, _ = struck(tmp_path, fault, every=1)
    assert error_classes(measurement.outcome.records) == {}
    assert measurement.outcome.vllm_metrics["completed"] == LOAD["num_prompts"]
    assert measurement.outcome.vllm_metrics["total_output_tokens"] == LOAD["num_prompts"] * LOAD["output_tokens"]


@pytest.mark.parametrize("fault", ["reset", "status,500", "truncate"])
def test_when_every_request_fails_the_rest_is_still_measured(tmp_path: Path, fault: str) -> None:
    measurement, _ = struck(tmp_path, fault, every=1)
    assert (measurement.outcome.vllm_metrics["completed"], measurement.outcome.vllm_metrics["failed"]) == (
        0,
        LOAD["num_prompts"],
    )
    assert measurement.outcome.vllm_metrics["mean_ttft_ms"] is None


def test_a_server_that_dies_under_load_leaves_what_was_measured(tmp_path: Path) -> None:
    slow = {**QUICK, "decode_base_ms": 10.0}
    with simulator(tmp_path, timing=slow) as server:
        killed = []

        def on_tick(phase: str, total: int, counts: Counts) -> bool:
            if counts.done >= LOAD["max_concurrency"] and not killed:
                killed.append(os.kill(server.pid, signal.SIGKILL))
            return True

        measurement = measure(server.url, tmp_path, on_tick=on_tick, **{**LOAD, "num_prompts": 60})
    assert killed
    assert measurement.outcome.vllm_metrics["completed"] >= LOAD["max_concurrency"]
    assert measurement.outcome.vllm_metrics["failed"] > 0
    assert set(measurement.counters.values()) == {None}


@pytest.fixture
def _no_longer_than_a_minute() -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("_no_longer_than_a_minute")
def test_an_error_of_the_parent_ends_all_workers(tmp_path: Path) -> None:
    def on_tick(phase: str, total: int, counts: Counts) -> bool:
        raise ZeroDivisionError

    with simulator(tmp_path, timing=QUICK) as server, pytest.raises(ZeroDivisionError):
        measure(server.url, tmp_path, workers=3, on_tick=on_tick, **LOAD)


@pytest.mark.usefixtures("_no_longer_than_a_minute")
def test_a_lost_worker_ends_the_others_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def one_fails(worker: Worker) -> None:
        if worker._number == 1:
            raise ZeroDivisionError

    monkeypatch.setattr(Worker, "connect", one_fails)
    with simulator(tmp_path, timing=QUICK) as server, pytest.raises(UserError, match="worker ended early"):
        measure(server.url, tmp_path, workers=3, **LOAD)
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.usefixtures("_no_longer_than_a_minute")
@pytest.mark.parametrize("shape", [{}, {"request_rate": "20"}])
def test_limits_and_rates_hold_when_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any]
) -> None:
    begun = time.monotonic()

    def now_ns() -> int:
        return time.time_ns() - (3_600_000_000_000 if time.monotonic() - begun > 1.5 else 0)

    monkeypatch.setattr(worker_module, "now_ns", now_ns)
    monkeypatch.setattr(connection_module, "now_ns", now_ns)
    measurement, _ = struck(tmp_path, "stall,60", num_prompts=36, **shape)
    counts = Counter(record.error for record in measurement.outcome.records)
    assert counts == {"": 24, "first_token_timeout": 12}
