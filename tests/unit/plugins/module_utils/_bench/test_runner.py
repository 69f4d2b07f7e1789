# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of several measurements of one run."""

from __future__ import annotations

import errno
import json
from array import array
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.base import (
    LoadOutcome,
    OnEnd,
    OnTick,
    Session,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.metrics import vllm_metrics
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import make_settings
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Record, error_classes
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.runner import Run, run_benchmark
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.target import TargetInfo
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.validity import Evidence
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._border import cross
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.fact_schema import BENCHMARK

from tests.support.bench import OPTIONS, access_to
from tests.support.small_disk import fill

S = 1_000_000_000


def measured(seconds: int, error: str = "") -> LoadOutcome:
    """A load of one request, which took so long."""
    record = Record(0, 0, S, (1 + seconds) * S, error=error, prompt_tokens=10, completion_tokens=2)
    record.event_ns, record.has_text = array("q", [2 * S, (1 + seconds) * S]), bytearray([1, 1])
    figures = vllm_metrics([record], S, [50.0, 99.0], {})
    return LoadOutcome(
        num_prompts=1,
        vllm_metrics=figures,
        errors=error_classes([record]),
        cancelled=error == "cancelled",
        evidence=Evidence(None, figures, 1, False),
        records=[record],
        start_ns=S,
    )


class FakeTarget:
    """A server without counters."""

    def counters(self) -> dict[str, None]:
        return {}

    def counters_since(self, before: Any, output_tokens: int) -> dict[str, None]:
        return {}

    def version(self) -> str:
        return "1"


class FakeClient:
    """Gives one prepared outcome after the other, or raises it."""

    workers = 1

    def __init__(self, *prepared: Any) -> None:
        self._prepared = list(prepared)

    def verify(self, may_send: bool = True) -> None:
        pass

    def warm_up(self, on_tick: OnTick) -> None:
        pass

    def drive(self, name: str, max_concurrency: int, on_tick: OnTick, on_end: OnEnd) -> LoadOutcome:
        outcome = self._prepared.pop(0)
        if isinstance(outcome, (UserError, OSError)):
            raise outcome
        return outcome

    def describe(self, outcome: LoadOutcome) -> dict[str, Any]:
        return {"name": "fake"}


def benchmark(folder: Path, *prepared: Any, client: Any = None, **options: Any) -> dict[str, Any]:
    """The fact of a run with these measurements."""
    settings = make_settings({**OPTIONS, "repeats": len(prepared), **options}, salt="salt")
    info = TargetInfo("sim", None, "1", True, True)
    target: Any = FakeTarget()
    session = Session(settings, access_to("http://127.0.0.1:1"), target, info, folder / "runs" / "r1")
    return run_benchmark(Run("r1", session, folder, {}, ""), client or FakeClient(*prepared), lambda *_: True)


def test_good_repeats(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2), measured(4), measured(3))
    assert (fact["status"], fact["reason"], fact["metrics"]["duration"]) == ("ok", None, 3)
    rows = json.loads(Path(fact["record_path"]).read_text())["requests"]
    assert [(row["measurement"], row["ended_s"]) for row in rows] == [(1, 2), (2, 4), (3, 3)]


def test_the_report_knows_every_key_of_a_fact(tmp_path: Path) -> None:
    for number, options in enumerate(
        [{}, {"sweep": [1, 2, 4], "repeats": 1}, {"request_rate": "5", "burstiness": "inf"}]
    ):
        fact = benchmark(tmp_path / str(number), measured(2), measured(4), measured(3), **options)
        assert cross(fact, BENCHMARK) == (fact, "")


def test_a_repeat_that_failed_is_reported(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2, "reset"), measured(4), measured(3))
    assert (fact["status"], fact["reason"]) == ("invalid", "repeat 1 failed failed_share")
    assert fact["errors"] == {"reset": {"count": 1, "example": ""}}
    assert fact["metrics"]["completed"] == 1
    assert fact["confidence"]["mean_e2el_ms"]["mean"] == 3500


def test_a_level_that_failed_is_not_held_against_a_sweep(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2), measured(3, "reset"), repeats=1, sweep=[1, 2])
    assert (fact["status"], fact["workload"]["max_concurrency"]) == ("ok", 1)
    assert fact["sweep"][1]["invalid"] == ["failed_share"]
    assert fact["errors"]["reset"]["count"] == 1


def test_what_was_measured_before_an_error_is_kept(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2), UserError(Problem("The worker is gone.", "one.", "Look.")), measured(2))
    assert (fact["status"], fact["metrics"]["duration"]) == ("invalid", 2)
    assert "The worker is gone" in fact["reason"]
    assert "partial" in fact["reason"]


def test_what_was_measured_before_the_disk_was_full_is_kept(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2), OSError(errno.ENOSPC, "No space left on device"), measured(2))
    assert (fact["status"], fact["metrics"]["duration"]) == ("invalid", 2)
    assert "measurement 2 failed ([Errno 28] No space left on device)" in fact["reason"]


def test_without_any_measurement_the_error_is_the_result(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is gone"):
        benchmark(tmp_path, UserError(Problem("The worker is gone.", "one.", "Look.")))


def test_a_fact_is_bounded_and_its_record_is_not(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, *(measured(2 + n % 3) for n in range(100)))
    record = json.loads(Path(fact["record_path"]).read_text())
    assert len(json.dumps(fact)) <= 32 * 1024
    assert len(record["repeats"]) == 100 == len(fact["repeats"]) + fact["points_left_out"]
    assert fact["repeats"] == record["repeats"][-len(fact["repeats"]) :]


class FillingClient(FakeClient):
    """While it measures, something else takes all the space of the disk."""

    def __init__(self, disk: Path, *prepared: Any) -> None:
        super().__init__(*prepared)
        self._disk = disk

    def drive(self, name: str, max_concurrency: int, on_tick: OnTick, on_end: OnEnd) -> LoadOutcome:
        fill(self._disk)
        return super().drive(name, max_concurrency, on_tick, on_end)


def test_a_disk_that_fills_up_costs_the_record_at_most(small_disk: Path) -> None:
    fact = benchmark(small_disk, measured(2), client=FillingClient(small_disk, measured(2)))
    assert (fact["status"], fact["metrics"]["duration"], fact["record_path"]) == ("ok", 2, None)
    assert "No space left" in fact["record_error"]
    for path in (small_disk / "facts.d" / "llmfleet_benchmark.fact", small_disk / "runs" / "r1" / "fact.json"):
        assert json.loads(path.read_text()) == fact
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_full_disk_is_found_out_before_the_load(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        benchmark(small_disk, UserError(Problem("sent.", "nothing.", "Look.")))


def test_a_cancelled_repeat_ends_the_run(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2), measured(1, "cancelled"), measured(2))
    assert len(fact["repeats"]) == 2
    assert (fact["status"], fact["metrics"]["duration"]) == ("invalid", 2)
    assert "cancelled" in fact["reason"]
