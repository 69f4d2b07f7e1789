# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.action import bench_serve
from ansible_collections.llmfleet.serving.plugins.action.bench_serve import ActionModule, describe

PROGRESS = {
    "phase": "run-1",
    "done": 0,
    "failed": 0,
    "total": 512,
    "share": 0.2441,
    "output_tok_s": 6980.4,
    "eta_s": 112.3,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "run-1 24 %, 0/512 requests, 6,980 tok/s, ETA 1m52s"),
        ({"eta_s": 9.6, "done": 128}, "run-1 24 %, 128/512 requests, 6,980 tok/s, ETA 10s"),
        ({"eta_s": None, "output_tok_s": None, "phase": "warmup"}, "warmup 24 %, 0/512 requests"),
        ({"failed": 3, "eta_s": 3600}, "run-1 24 %, 0/512 requests, 3 failed, 6,980 tok/s, ETA 60m00s"),
        ({"phase": "x\x1b[2J\nok: [one]\u202e"}, "x [2J ok: [one] 24 %, 0/512 requests, 6,980 tok/s, ETA 1m52s"),
    ],
)
def test_describe(change: dict[str, Any], expected: str) -> None:
    assert describe({**PROGRESS, **change}) == expected


ODD = ["²", "", [], {}, [[]], 10**400, -1, float("inf"), float("nan"), True, None, "x" * 100_000, {"a": "\ud800"}]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("key", [*PROGRESS, "state"])
def test_whatever_a_host_says_of_its_progress_is_a_line_or_nothing(key: str, value: Any) -> None:
    said = bench_serve.read(json.dumps({**PROGRESS, key: value}))
    line = describe(said) if said is not None else ""
    assert len(line) < 201 and line.isprintable()


@pytest.mark.parametrize("text", ["", "[]", "5", '"running"', "{", "[" * 100_000, "9" * 5000, '{"state": ["running"]}'])
def test_what_is_no_progress_is_none(text: str) -> None:
    assert bench_serve.read(text) is None


def test_a_result_of_any_size_does_not_come_in() -> None:
    good = {"changed": False, "benchmark": {"status": "ok"}}
    assert bench_serve.within_bounds(good) is good
    for benchmark in ({"reason": "x" * 1_000_000}, {"repeats": [0] * 1_000_000}, "text", [1]):
        refused = bench_serve.within_bounds(
            {"benchmark": benchmark, "ansible_facts": {"llmfleet_benchmark": benchmark}}
        )
        assert refused["failed"] and "ansible_facts" not in refused and len(refused["msg"]) < 200


class Clock:
    """Time that passes only in sleep()."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("answer", "ends_after"),
    [
        (lambda now: {**PROGRESS, "state": "done"} if now > 500 else {**PROGRESS, "state": "running", "at": now}, 500),
        (lambda now: {**PROGRESS, "state": "running", "at": min(now, 100)}, 160),
        (lambda now: {"state": "starting"}, 60),
        (lambda now: {"state": "starting"} if now < 10 else None, 305),
    ],
)
def test_following_ends_with_the_run_or_its_silence(
    monkeypatch: pytest.MonkeyPatch, answer: Any, ends_after: float
) -> None:
    clock, action = Clock(), ActionModule.__new__(ActionModule)
    monkeypatch.setattr(bench_serve, "time", clock)
    monkeypatch.setattr(action, "_ask", lambda command: answer(clock.now) if clock.now < 3600 else {"state": "done"})
    action._follow("/runs/r1", 0.0, {})
    assert ends_after <= clock.now < ends_after + 5


def test_a_run_is_shown_at_each_interval_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(now: float) -> dict[str, Any]:
        return {**PROGRESS, "state": "starting" if now < 50 else "running" if now < 200 else "done", "elapsed_s": now}

    clock, action, shown = Clock(), ActionModule.__new__(ActionModule), []
    monkeypatch.setattr(bench_serve, "time", clock)
    monkeypatch.setattr(bench_serve.display, "display", lambda line: shown.append((clock.now, line)))
    monkeypatch.setattr(action, "_ask", lambda command: answer(clock.now))
    action._follow("/runs/r1", 15.0, {"inventory_hostname": "one\x1b[2J"})
    times = [at for at, _line in shown]
    assert 50 <= times[0] < 55 and all(15 <= later - at < 18 for at, later in zip(times, times[1:])) and times[-1] > 180
    assert {line for _at, line in shown} == {"one [2J: run-1 24 %, 0/512 requests, 6,980 tok/s, ETA 1m52s"}


@pytest.mark.parametrize(
    ("options", "interval_s"),
    [({}, bench_serve._INTERVAL_S), ({"progress_interval": 0}, 0.0), ({"progress_interval": "2.5"}, 2.5)],
)
def test_the_interval_is_what_the_task_says_also_none_at_all(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], interval_s: float
) -> None:
    action, followed = ActionModule.__new__(ActionModule), []
    action._task = SimpleNamespace(args=options, check_mode=False, async_val=0)
    monkeypatch.setattr(bench_serve.ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(action, "_module", lambda *_arguments: {"run_id": "r1", "run_folder": "/runs/r1"})
    monkeypatch.setattr(action, "_follow", lambda _folder, seconds, _variables: followed.append(seconds))
    assert action.run()["run_id"] == "r1"
    assert followed == [interval_s]
