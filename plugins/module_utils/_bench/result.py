# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two documents that come of a benchmark: the fact, small, and the record, with a row for each request.

The fact (at most 32 KiB) goes to the controller; the record stays on the host.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .._metric_table import JUDGED, point_keys
from . import metrics, validity
from .clients.base import CLIENT_VERSION, Client, LoadOutcome, Measurement, Session
from .record import Record
from .repeats import confidence, median_index
from .settings import Settings, Workload

SCHEMA_VERSION = 1
_FACT_BYTES = 32 * 1024
_POINT_KEYS = point_keys()


def host_info() -> dict[str, Any]:
    """The machine the client runs on."""
    return {
        "hostname": socket.gethostname(),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "python_version": platform.python_version(),
    }


def _choose(settings: Settings, measurements: Sequence[Measurement]) -> int:
    """Which measurement speaks for the run: the fastest level of a sweep, the median of repeats."""
    figures = [measurement.outcome.vllm_metrics for measurement in measurements]
    if settings.workload.sweep:
        return max(range(len(figures)), key=lambda index: float(figures[index][JUDGED] or 0))
    return median_index(figures)


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
        for kind, errors in measurement.outcome.errors.items():
            entry = merged.setdefault(kind, {"count": 0, "example": errors["example"]})
            entry["count"] += errors["count"]
    return merged


def _point(measurement: Measurement) -> dict[str, Any]:
    """The main figures of a measurement that does not speak for the run."""
    point = {key: measurement.outcome.vllm_metrics[key] for key in _POINT_KEYS}
    point["invalid"] = validity.failed_names(measurement.checks)
    return point


def levels_of(workload: Workload) -> list[int]:
    """The concurrency of each measurement."""
    return list(workload.sweep) or [workload.max_concurrency] * workload.repeats


@dataclass(frozen=True)
class Origin:
    """Where a result comes from. `started` is seconds since the epoch."""

    run_id: str
    started: float
    server_fact: Mapping[str, Any]
    command: str
    record_path: str
    fleet_run: str | None = None


def fact_of(
    origin: Origin, session: Session, client: Client, measurements: Sequence[Measurement], cut_short: str
) -> dict[str, Any]:
    """The fact of a run; `cut_short` says why it ended early, if it did."""
    workload, chosen = session.settings.workload, _choose(session.settings, measurements)
    measurement, levels = measurements[chosen], levels_of(workload)
    outcome = measurement.outcome
    points = [_point(other) for other in measurements]
    repeats = points if len(points) > 1 and not workload.sweep else []
    others = _failures_of_others(measurements, chosen) if repeats else []
    verdict = validity.verdict(measurement.checks, outcome.vllm_metrics["completed"], cut_short, others)
    return {
        "schema_version": SCHEMA_VERSION,
        **verdict,
        "simulated": session.info.simulated,
        "run_id": origin.run_id,
        "fleet_run": origin.fleet_run,
        "started_at": utc(origin.started),
        "finished_at": utc(time.time()),
        "workload": _described(workload, levels[chosen], outcome),
        "client": client.describe(outcome),
        "metrics": outcome.vllm_metrics,
        "strict": outcome.strict_metrics,
        "steady_state": outcome.steady_state,
        "repeats": repeats,
        "confidence": confidence(repeats),
        "sweep": [{"max_concurrency": level, **point} for level, point in zip(levels, points)]
        if workload.sweep
        else [],
        "energy": measurement.energy,
        "server_counters": measurement.counters,
        "errors": _all_errors(measurements),
        "validity": {"checks": measurement.checks},
        "provenance": _provenance(origin, session),
        "record_path": origin.record_path,
        "record_error": None,
    }


def _provenance(origin: Origin, session: Session) -> dict[str, Any]:
    return {
        "server": dict(origin.server_fact),
        "engine_version": session.info.version,
        "base_url": session.access.endpoint.url,
        "model": session.info.model,
        "host": host_info(),
        "client_version": CLIENT_VERSION,
        "seed": session.settings.workload.seed,
        "run_command": origin.command,
    }


def bounded(fact: Mapping[str, Any]) -> dict[str, Any]:
    """The fact without the oldest points of its repeats or sweep where there are too many; the record has them all."""
    bounded = {**fact, "repeats": list(fact["repeats"]), "sweep": list(fact["sweep"]), "points_left_out": 0}
    points = bounded["repeats"] or bounded["sweep"]
    while points and len(json.dumps(bounded)) > _FACT_BYTES:
        del points[0]
        bounded["points_left_out"] += 1
    return bounded


def _described(workload: Workload, level: int, outcome: LoadOutcome) -> dict[str, Any]:
    """The workload as it was measured, and what the prompts owe to the chat template."""
    described = workload.describe()
    described["max_concurrency"] = level
    described["num_prompts"] = outcome.num_prompts
    described["prompt_overhead_tokens"] = outcome.prompt_overhead_tokens
    return described


def record_of(fact: Mapping[str, Any], measurements: Sequence[Measurement]) -> dict[str, Any]:
    """The full record: the fact, and one row for each request of each measurement."""
    rows = [
        {"measurement": number, **request_row(record, measurement.outcome.start_ns)}
        for number, measurement in enumerate(measurements, 1)
        for record in measurement.outcome.records
    ]
    return {**fact, "requests": rows}


def request_row(record: Record, start_ns: int) -> dict[str, Any]:
    """One request in the full record: when it was due and sent (seconds from the start), what came of it."""
    row = {
        "index": record.index,
        "intended_s": (record.intended_ns - start_ns) / 1e9 if record.intended_ns else None,
        "sent_s": (record.sent_ns - start_ns) / 1e9,
        "ended_s": (record.ended_ns - start_ns) / 1e9,
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "cached_tokens": record.cached_tokens,
        "events": len(record.event_ns),
        "reads": record.reads,
        "coalesced": record.coalesced,
        "finish_reason": record.finish_reason,
        "error": record.error or None,
        "detail": record.detail or None,
    }
    if record.ok:
        row["ttft_ms"] = metrics.strict_ttft_ms(record)
        row["tpot_ms"] = metrics.strict_tpot_ms(record)
        row["e2el_ms"] = metrics.strict_e2el_ms(record)
    return row


def utc(seconds: float) -> str:
    """A time in ISO 8601, UTC, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
