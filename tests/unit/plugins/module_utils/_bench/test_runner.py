"""What becomes of several measurements of one run."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench import validity
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.native import Measurement, error_classes
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.load import LoadResult
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.metrics import vllm_compat
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import make_settings
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Record
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.runner import Run, run_benchmark
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.target import ServerInfo
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import BenchError

from tests.support.bench import OPTIONS, access_to

S = 1_000_000_000


def measured(seconds: int, error: str = "") -> Measurement:
    """A measurement of one request, which took so long."""
    record = Record(0, 0, S, (1 + seconds) * S, error=error, prompt_tokens=10, completion_tokens=2)
    record.event_ns, record.bearing = array("q", [2 * S, (1 + seconds) * S]), bytearray([1, 1])
    compat = vllm_compat([record], S, [50.0, 99.0], {})
    return Measurement(
        num_prompts=1,
        result=LoadResult([record], S, [], 0.0),
        compat=compat,
        strict=None,
        steady_state=None,
        energy=None,
        counters={},
        checks=[validity.at_most("failed_share", float(compat["failed"]), 0.0, "requests failed")],
        errors=error_classes([record]),
        cancelled=error == "cancelled",
    )


class FakeClient:
    """Gives one prepared measurement after the other, or raises it."""

    def __init__(self, *prepared: Any) -> None:
        self._prepared = list(prepared)

    def warm_up(self, on_tick: Any) -> None:
        pass

    def overhead_tokens(self) -> None:
        return None

    def measure(self, name: str, max_concurrency: int, on_tick: Any) -> Measurement:
        made = self._prepared.pop(0)
        if isinstance(made, BenchError):
            raise made
        return made


def benchmark(folder: Path, *prepared: Any, **options: Any) -> dict[str, Any]:
    """The fact of a run with these measurements."""
    settings = make_settings({**OPTIONS, "repeats": len(prepared), **options}, salt="salt")
    info = ServerInfo("sim", None, "1", True, True)
    run = Run("r1", settings, access_to("http://127.0.0.1:1"), info, folder, {}, "", client="vllm")
    return run_benchmark(run, FakeClient(*prepared), lambda *_: True)  # type: ignore[arg-type]


def test_good_repeats(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2), measured(4), measured(3))
    assert (fact["status"], fact["reason"], fact["metrics"]["duration"]) == ("ok", None, 3)
    rows = json.loads(Path(fact["record_path"]).read_text())["requests"]
    assert [(row["measurement"], row["ended_s"]) for row in rows] == [(1, 2), (2, 4), (3, 3)]


def test_a_repeat_that_failed_is_told(tmp_path: Path) -> None:
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
    fact = benchmark(tmp_path, measured(2), BenchError("The worker is gone.", "one.", "Look."), measured(2))
    assert (fact["status"], fact["metrics"]["duration"]) == ("invalid", 2)
    assert "The worker is gone" in fact["reason"]
    assert "partial" in fact["reason"]


def test_without_any_measurement_the_error_is_the_result(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is gone"):
        benchmark(tmp_path, BenchError("The worker is gone.", "one.", "Look."))


def test_a_fact_is_bounded_and_its_record_is_not(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, *(measured(2 + n % 3) for n in range(100)))
    record = json.loads(Path(fact["record_path"]).read_text())
    assert len(json.dumps(fact)) <= 32 * 1024
    assert len(record["repeats"]) == 100 == len(fact["repeats"]) + fact["points_left_out"]
    assert fact["repeats"] == record["repeats"][-len(fact["repeats"]) :]


def test_a_cancelled_repeat_ends_the_run(tmp_path: Path) -> None:
    fact = benchmark(tmp_path, measured(2), measured(1, "cancelled"), measured(2))
    assert len(fact["repeats"]) == 2
    assert (fact["status"], fact["metrics"]["duration"]) == ("invalid", 2)
    assert "cancelled" in fact["reason"]
