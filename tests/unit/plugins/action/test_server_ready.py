# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.llmfleet.serving.plugins.action import server_ready

WAITING = {"base_url": "http://127.0.0.1:8000", "stage": "loading weights", "last_line": "INFO Loading"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "one http://127.0.0.1:8000: loading weights, 45 s: INFO Loading (for 30 s)"),
        ({"last_line": "x\x1b[2J\ny\u202e"}, "one http://127.0.0.1:8000: loading weights, 45 s: x [2J y (for 30 s)"),
        ({"last_line": ""}, "one http://127.0.0.1:8000: loading weights, 45 s"),
    ],
)
def test_describe(change: dict[str, Any], expected: str) -> None:
    assert server_ready.describe("one", {**WAITING, **change}, 45.2, 30.0) == expected


class Scripted(server_ready.ActionModule):
    """The plugin with a module that gives the answers in `answers`."""

    def __init__(self, answers: list[dict[str, Any]], **task: Any) -> None:
        self.answers, self.calls = answers, []
        self._task = SimpleNamespace(args={"served_model_name": "m"}, check_mode=False, async_val=0)
        vars(self._task).update(task)
        self._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))

    def _execute_module(self, module_args: dict[str, Any], **_rest: Any) -> dict[str, Any]:
        self.calls.append(module_args)
        return self.answers.pop(0)


def play(monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], **task: Any) -> Any:
    monkeypatch.setattr(server_ready.ActionBase, "run", lambda *_arguments: {})
    shown: list[str] = []
    monkeypatch.setattr(server_ready.display, "display", shown.append)
    action = Scripted(answers, **task)
    try:
        result = action.run(None, {"inventory_hostname": "one"})
    except AnsibleActionFail as failure:  # how ansible-core 2.19 and newer take a failure that is printed once
        result = failure.result
    return result, action.calls, shown


SERVERS = {"served_model_name": "m", "servers": [{"base_url": "http://127.0.0.1:1"}], "timeout_s": 9}
TESTED = {"summary": {"chat": "pass"}, "results": [], "reported": ""}


@pytest.mark.parametrize("tested", [TESTED, {**TESTED, "failed": True, "msg": "chat answers 500"}])
def test_a_server_that_is_ready_is_tested_with_what_both_modules_need(monkeypatch, tested):
    ready = {"ready": True, "attempts": 1, "elapsed_s": 0.1}
    result, calls, _shown = play(
        monkeypatch, [ready, tested], args={**SERVERS, "smoke": {"tests": {"chat": "required"}}}
    )
    assert "smoke" not in calls[0]
    assert calls[1] == {
        "base_urls": ["http://127.0.0.1:1"],
        "served_model_name": "m",
        "tests": {"chat": "required"},
    }
    if tested.get("failed"):
        assert result["failed"] and result["msg"] == "chat answers 500"
    else:
        assert result == {**ready, "smoke": {"summary": {"chat": "pass"}, "results": []}}


@pytest.mark.parametrize(
    ("answer", "more"), [({"failed": True, "msg": "died"}, {}), ({"ready": False}, {"check_mode": True})]
)
def test_a_server_that_is_not_ready_is_not_tested(monkeypatch, answer, more):
    _result, calls, _shown = play(monkeypatch, [answer], args={**SERVERS, "smoke": {}}, **more)
    assert len(calls) == 1


def test_a_ready_server_costs_one_call(monkeypatch):
    result, calls, shown = play(monkeypatch, [{"ready": True, "attempts": 1, "elapsed_s": 0.1}])
    assert result == {"ready": True, "attempts": 1, "elapsed_s": 0.1}
    assert (len(calls), shown) == (1, [])


@pytest.mark.parametrize(
    ("options", "limit_s"),
    [({}, 900 + 15 + 120), ({"timeout_s": 60, "progress_interval": 5}, 60 + 5 + 120)],
    ids=["defaults", "given"],
)
def test_a_host_that_waits_for_ever_does_not_hold_the_play(monkeypatch, options, limit_s):
    now = [0.0]

    def waits(_self, **_rest):
        now[0] += 4
        assert now[0] < 2 * limit_s, "it is asked for ever"
        return {"waiting": [WAITING], "attempts": 1}

    monkeypatch.setattr(server_ready, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Scripted, "_execute_module", waits)
    monkeypatch.setattr(server_ready.display, "verbosity", 1)
    result, _calls, shown = play(monkeypatch, [], args={"served_model_name": "m", **options})
    assert result["failed"] and "waiting" in result["msg"] and shown
    assert limit_s < now[0] <= limit_s + 4 and result["attempts"] == now[0] / 4


def test_a_slow_one_is_shown_and_asked_again(monkeypatch):
    slice_ = {"ready": False, "waiting": [WAITING], "attempts": 30, "elapsed_s": 15.0}
    result, calls, shown = play(monkeypatch, [slice_, slice_, {"ready": True, "attempts": 2}])
    assert result == {"ready": True, "attempts": 62}
    assert calls[0]["waited_s"] <= calls[1]["waited_s"] <= calls[2]["waited_s"]
    assert len(shown) == 2


def test_a_line_is_shown_with_its_age_and_what_no_line_is_ends_nothing(monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(server_ready, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    lines = ["a", "a", "b", 10**400, None]
    slices = [{"waiting": [{**WAITING, "last_line": line}], "attempts": "²"} for line in lines]
    _result, _calls, shown = play(
        monkeypatch, [*slices, {"waiting": 5, "attempts": [1]}, {"waiting": [None, 5]}, {"ready": True}]
    )
    assert [line.partition("weights, ")[2] for line in shown] == [
        "20 s: a",
        "40 s: a (for 20 s)",
        "60 s: b",
        "80 s",
        "100 s",
    ]


@pytest.mark.parametrize("answer", [{"failed": True, "msg": "dead"}, {"failed": True, "msg": "no key"}])
def test_a_failure_ends_the_wait(monkeypatch, answer):
    assert play(monkeypatch, [dict(answer)])[0] == answer


@pytest.mark.parametrize(
    "task",
    [
        {"check_mode": True},
        {"async_val": 60},
        {"args": {"progress_interval": 0}},
        {"args": {"timeout_s": "soon"}},
        {"args": {"progress_interval": [1]}},
    ],
)
def test_without_progress_or_with_a_time_that_is_none_the_module_runs_as_it_is(monkeypatch, task):
    _told, calls, _shown = play(monkeypatch, [{"ready": False, "attempts": 1}], **task)
    assert "slice_s" not in calls[0]


@pytest.mark.parametrize(("verbosity", "shown"), [(0, {"msg"}), (1, {"msg", "cause", "log_tail", "attempts"})])
def test_a_failure_is_its_message_and_with_v_all_that_is_known(monkeypatch, verbosity, shown):
    failed = {"failed": True, "msg": "m is not served", "cause": None, "log_tail": ["a line"], "attempts": 3}
    monkeypatch.setattr(server_ready.display, "verbosity", verbosity)
    result, _calls, _shown = play(monkeypatch, [failed])
    assert set(result) - {"failed"} == shown
