# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole benchmark: warm-up, then repeats or a sweep, then its two documents."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from .._errors import UserError
from .._files import free_room, hold_room, write_json
from .._secrets import hidden_document
from .clients.base import Client, Measurement, OnTick, Session, observed
from .repeats import enough
from .result import Origin, bounded, fact_of, levels_of, record_of
from .settings import Workload

FACT_NAME = "llmfleet_benchmark"
_ROOM_BYTES = 128 * 1024  # a fact has at most 32 KiB, and its indentation


@dataclass(frozen=True)
class Run:
    """One run of the benchmark. `server_fact` is what its deployment left, `command` the call that repeats it.

    `fleet_run` names the run over a fleet that it is a part of.
    """

    run_id: str
    session: Session
    state_dir: Path
    server_fact: Mapping[str, Any]
    command: str
    fleet_run: str | None = None

    @property
    def record_path(self) -> Path:
        return self.session.folder / "result.json"

    @property
    def fact_path(self) -> Path:
        return self.state_dir / "facts.d" / f"{FACT_NAME}.fact"


def new_run_id() -> str:
    """A name that sorts by time and is not used twice."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + os.urandom(3).hex()


def run_folder(state_dir: Path, run_id: str) -> Path:
    """Where the files of a run are."""
    return state_dir / "runs" / run_id


def run_benchmark(run: Run, client: Client, on_tick: OnTick) -> dict[str, Any]:
    """Measures, writes the record and the fact, and returns the fact.

    The space for the fact is taken first: a disk that fills up during the load costs the record at most, and the fact says so.
    Raises UserError, and OSError where there is no space to begin with.
    """
    places = (run.session.folder / "fact.json", run.fact_path)
    try:
        for path in places:
            hold_room(path, _ROOM_BYTES)
        fact = _measured(run, client, on_tick)
        for path in places:
            write_json(path, fact, in_room=True)
        return fact
    finally:
        for path in places:
            free_room(path)


def _measured(run: Run, client: Client, on_tick: OnTick) -> dict[str, Any]:
    """Measures, writes the record and returns the fact."""
    started = time.time()
    client.warm_up(on_tick)
    measurements, cut_short = _measure_all(run.session, client, on_tick)
    origin = Origin(run.run_id, started, run.server_fact, run.command, str(run.record_path), run.fleet_run)
    fact = fact_of(origin, run.session, client, measurements, cut_short)
    fact = hidden_document(fact, run.session.access.api_key)
    try:
        write_json(run.record_path, record_of(fact, measurements))
    except OSError as error:
        fact = {**fact, "record_path": None, "record_error": str(error)}
    return bounded(fact)


def _measure_all(session: Session, client: Client, on_tick: OnTick) -> tuple[list[Measurement], str]:
    """One measurement for each level of a sweep, or repeats of one level until they agree; and why they ended early.

    What was measured is kept when a later measurement cannot be made.
    """
    workload = session.settings.workload
    measurements: list[Measurement] = []
    for number, level in enumerate(levels_of(workload), 1):
        try:
            measurements.append(observed(client, session, _name(workload, number, level), level, on_tick))
        except (UserError, OSError) as error:  # the second of a full disk, for example
            if not measurements:
                raise
            reason = error.first.found if isinstance(error, UserError) else error
            return measurements, f"measurement {number} failed ({reason})"
        if measurements[-1].outcome.cancelled:
            return measurements, "the run was cancelled"
        done = [measurement.outcome.vllm_metrics for measurement in measurements]
        if not workload.sweep and enough(done, session.settings.repeat_until):
            break
    return measurements, ""


def _name(workload: Workload, number: int, level: int) -> str:
    return f"level-{level}" if workload.sweep else f"run-{number}"
