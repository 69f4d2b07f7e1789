# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A whole benchmark: warm-up, repeats or sweep, and the two documents that come of it. Private to the collection.

The fact is small (at most 32 KiB) and goes to the controller; the record holds every request and stays on the host.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence, Union

from .._errors import BenchError
from .._files import write_json
from .._openai.endpoint import Access
from . import repeats as repeats_
from . import validity
from .clients.native import (
    Bench,
    Measurement,
    OnTick,
    request_row,
    utc,
)
from .clients.vllm import VllmBench
from .settings import Settings, Workload
from .target import ServerInfo

SCHEMA_VERSION = 1
Client = Union[Bench, VllmBench]
CLIENT_VERSION = "1.0.0"
FACT_NAME = "llmfleet_benchmark"
_FACT_BYTES = 32 * 1024
_POINT_KEYS = (
    "duration",
    "completed",
    "failed",
    "request_throughput",
    "output_throughput",
    "total_token_throughput",
    "per_user_output_throughput",
    "mean_ttft_ms",
    "p99_ttft_ms",
    "mean_tpot_ms",
    "p99_tpot_ms",
    "mean_itl_ms",
    "p99_itl_ms",
    "mean_e2el_ms",
    "p99_e2el_ms",
)


@dataclass(frozen=True)
class Run:
    """One run of the benchmark: what, on which server, and where its files go."""

    run_id: str
    settings: Settings
    access: Access
    info: ServerInfo
    state_dir: Path
    server_fact: Mapping[str, Any]
    command: str
    client: str = "native"

    @property
    def folder(self) -> Path:
        return self.state_dir / "runs" / self.run_id

    @property
    def record_path(self) -> Path:
        return self.folder / "result.json"

    @property
    def fact_path(self) -> Path:
        return self.state_dir / "facts.d" / f"{FACT_NAME}.fact"


def new_run_id() -> str:
    """A name that sorts by time and is not used twice."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + os.urandom(3).hex()


def host_info() -> dict[str, Any]:
    """The machine the client runs on."""
    return {
        "hostname": socket.gethostname(),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "python_version": platform.python_version(),
    }


def run_benchmark(run: Run, bench: Client, on_tick: OnTick) -> dict[str, Any]:
    """Measures, writes the record and the fact, and returns the fact."""
    run.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    started = time.time()
    bench.warm_up(on_tick)
    measurements, cut_short = _measure_all(run.settings, bench, on_tick)
    fact = _fact(run, bench, measurements, cut_short, started)
    write_json(run.record_path, _record(fact, measurements))
    fact = _bounded(fact)
    write_json(run.folder / "fact.json", fact)
    write_json(run.fact_path, fact)
    return fact


def _levels(workload: Workload) -> list[int]:
    """The concurrency of each measurement."""
    return list(workload.sweep) or [workload.max_concurrency] * workload.repeats


def _measure_all(settings: Settings, bench: Client, on_tick: OnTick) -> tuple[list[Measurement], str]:
    """One measurement for each level of a sweep, or repeats of one level until they agree; and why they ended early.

    What was measured is kept when a later measurement cannot be made.
    """
    workload = settings.workload
    measurements: list[Measurement] = []
    for number, level in enumerate(_levels(workload), 1):
        try:
            measurements.append(bench.measure(_name(workload, number, level), level, on_tick))
        except BenchError as error:
            if not measurements:
                raise
            return measurements, f"measurement {number} failed ({error.found})"
        if measurements[-1].cancelled:
            return measurements, "the run was cancelled"
        done = [measurement.compat for measurement in measurements]
        if not workload.sweep and repeats_.enough(done, settings.repeat_until):
            break
    return measurements, ""


def _name(workload: Workload, number: int, level: int) -> str:
    return f"level-{level}" if workload.sweep else f"run-{number}"


def _choose(settings: Settings, measurements: Sequence[Measurement]) -> int:
    """Which measurement speaks for the run: the fastest level of a sweep, the median of repeats."""
    figures = [measurement.compat for measurement in measurements]
    if settings.workload.sweep:
        return max(range(len(figures)), key=lambda index: float(figures[index]["output_throughput"] or 0))
    return repeats_.median_index(figures)


def _failures_of_others(measurements: Sequence[Measurement], chosen: int) -> list[str]:
    """A message for each repeat that does not speak for the run and failed a check."""
    failures = [(number, validity.failed_names(other.checks)) for number, other in enumerate(measurements, 1)]
    return [
        f"repeat {number} failed {', '.join(names)}" for number, names in failures if names and number - 1 != chosen
    ]


def _all_errors(measurements: Sequence[Measurement]) -> dict[str, dict[str, Any]]:
    """The errors of all measurements: for each class how often it happened, and the first example."""
    merged: dict[str, dict[str, Any]] = {}
    for measurement in measurements:
        for kind, errors in measurement.errors.items():
            entry = merged.setdefault(kind, {"count": 0, "example": errors["example"]})
            entry["count"] += errors["count"]
    return merged


def _point(measurement: Measurement) -> dict[str, Any]:
    """The main figures of a measurement that does not speak for the run."""
    point = {key: measurement.compat[key] for key in _POINT_KEYS}
    point["invalid"] = validity.failed_names(measurement.checks)
    return point


def _fact(
    run: Run, bench: Client, measurements: Sequence[Measurement], cut_short: str, started: float
) -> dict[str, Any]:
    workload, chosen = run.settings.workload, _choose(run.settings, measurements)
    measurement, levels = measurements[chosen], _levels(workload)
    points = [_point(other) for other in measurements]
    repeats = points if len(points) > 1 and not workload.sweep else []
    others = _failures_of_others(measurements, chosen) if repeats else []
    verdict = validity.verdict(measurement.checks, measurement.compat["completed"], cut_short, others)
    return {
        "schema_version": SCHEMA_VERSION,
        **verdict,
        "simulated": run.info.simulated,
        "run_id": run.run_id,
        "started_at": utc(started),
        "finished_at": utc(time.time()),
        "workload": _described(workload, levels[chosen], measurement.num_prompts, bench.overhead_tokens()),
        "client": _client(run.client, measurement),
        "metrics": measurement.compat,
        "strict": measurement.strict,
        "steady_state": measurement.steady_state,
        "repeats": repeats,
        "confidence": repeats_.confidence(repeats),
        "sweep": [{"max_concurrency": level, **point} for level, point in zip(levels, points)]
        if workload.sweep
        else [],
        "energy": measurement.energy,
        "server_counters": measurement.counters,
        "errors": _all_errors(measurements),
        "validity": {"checks": measurement.checks},
        "provenance": {
            "server": dict(run.server_fact),
            "engine_version": run.info.version,
            "base_url": run.access.endpoint.url,
            "model": run.info.model,
            "host": host_info(),
            "client_version": CLIENT_VERSION,
            "seed": workload.seed,
            "run_command": run.command,
        },
        "record_path": str(run.record_path),
    }


def _bounded(fact: Mapping[str, Any]) -> dict[str, Any]:
    """The fact without the oldest points of its repeats or sweep where there are too many; the record has them all."""
    bounded = {**fact, "repeats": list(fact["repeats"]), "sweep": list(fact["sweep"]), "points_left_out": 0}
    points = bounded["repeats"] or bounded["sweep"]
    while points and len(json.dumps(bounded)) > _FACT_BYTES:
        del points[0]
        bounded["points_left_out"] += 1
    return bounded


def _described(workload: Workload, level: int, num_prompts: int, overhead_tokens: int | None) -> dict[str, Any]:
    """The workload as it was measured, and what the prompts owe to the chat template."""
    described = workload.describe()
    described["max_concurrency"] = level
    described["num_prompts"] = num_prompts
    described["prompt_overhead_tokens"] = overhead_tokens
    return described


def _client(name: str, measurement: Measurement) -> dict[str, Any]:
    """What measured, and for the native client how it fared."""
    if name == "vllm":
        return {"name": name, "version": None, "workers": 1, "clock": "user", "python_version": None}
    workers = measurement.result.workers
    return {
        "name": name,
        "version": CLIENT_VERSION,
        "workers": len(workers),
        "clock": "user" if any(worker["user_timed"] for worker in workers) else "kernel",
        "python_version": platform.python_version(),
        "real_time": all(worker["real_time"] for worker in workers),
        "cpu_s": sum(worker["cpu_s"] for worker in workers),
        "decode_cpu_s": sum(worker["decode_s"] for worker in workers),
        "max_rss_mib": sum(worker["max_rss_kib"] for worker in workers) / 1024,
        "loop_lag_p99_ms": validity.lag_ms(workers, 99),
        "reconnects": sum(worker["reconnects"] for worker in workers),
        "retransmits": sum(worker["retransmits"] for worker in workers),
        "involuntary_switches": sum(worker["involuntary_switches"] for worker in workers),
        "events": sum(len(record.event_ns) for record in measurement.result.records),
        "reads": sum(record.reads for record in measurement.result.records),
        "coalesced": sum(record.coalesced for record in measurement.result.records),
    }


def _record(fact: Mapping[str, Any], measurements: Sequence[Measurement]) -> dict[str, Any]:
    """The full record: the fact, and one row for each request of each measurement."""
    rows = [
        {"measurement": number, **request_row(record, measurement.result.start_ns)}
        for number, measurement in enumerate(measurements, 1)
        for record in measurement.result.records
    ]
    return {**fact, "requests": rows}
