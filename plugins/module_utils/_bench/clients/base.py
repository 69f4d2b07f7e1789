# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every benchmark client is, and what is done around the load of any of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Mapping, Protocol, Sequence

from ..._openai.endpoint import Access
from .. import validity
from ..gpu_power import Sampler, Window, summarise
from ..loadgen.progress import Counts
from ..record import Record
from ..settings import Settings, Workload
from ..target import Target, TargetInfo

CLIENT_VERSION = "1.0.0"
OnTick = Callable[[str, int, Counts], bool]  # phase, requests in it, progress -> go on?
OnEnd = Callable[[], None]  # called when the clock has stopped


@dataclass(frozen=True)
class Session:
    """What every client works with in one run: what to measure, on which server, and where its files go.

    `gpu_uuids` are the GPUs whose power counts, None for all of the host.
    """

    settings: Settings
    access: Access
    target: Target
    info: TargetInfo
    folder: Path
    gpu_uuids: Sequence[str] | None = None

    def workload_at(self, max_concurrency: int) -> Workload:
        """The workload at a level of concurrency."""
        return replace(self.settings.workload, max_concurrency=max_concurrency)


@dataclass(frozen=True)
class LoadOutcome:
    """What a client says of one load, in plain types.

    A client that reports totals alone leaves out what it did not measure: `strict_metrics`, `steady_state`, `records`,
    `workers`. `prompt_overhead_tokens` is what the chat template adds to each prompt, None where that is not known.
    `window` is when the load ran, without what the client did before and after; None where that is not known.
    """

    num_prompts: int
    vllm_metrics: dict[str, Any]
    errors: dict[str, dict[str, Any]]
    cancelled: bool
    evidence: validity.Evidence
    window: Window | None = None
    strict_metrics: dict[str, Any] | None = None
    steady_state: dict[str, Any] | None = None
    prompt_overhead_tokens: int | None = None
    records: Sequence[Record] = ()
    start_ns: int = 0
    workers: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Measurement:
    """One load with what was seen around it: the GPUs' energy, the server's own counters, and the verdict of the checks."""

    outcome: LoadOutcome
    energy: dict[str, Any] | None
    counters: dict[str, float | None]
    checks: list[validity.Check]


class Client(Protocol):
    """Something that sends a load. `workers` is the number of its processes; everything raises UserError."""

    @property
    def workers(self) -> int: ...

    def verify(self, may_send: bool = True) -> None:
        """Checks, before any load, what cannot work; sends requests to find out only when it may."""

    def warm_up(self, on_tick: OnTick) -> None:
        """Sends requests that share nothing with the measured ones; their answers are dropped."""

    def drive(self, name: str, max_concurrency: int, on_tick: OnTick, on_end: OnEnd) -> LoadOutcome:
        """Runs one load. `name` keeps its prompts apart from those of other loads."""

    def describe(self, outcome: LoadOutcome) -> dict[str, Any]:
        """What measured, and how it fared: the fact's `client`."""


def observed(client: Client, session: Session, name: str, max_concurrency: int, on_tick: OnTick) -> Measurement:
    """Runs one load of any client between two readings of the server's counters, samples the GPUs, and judges it."""
    before = session.target.counters()
    sampler = Sampler(session.folder, session.gpu_uuids)
    try:
        outcome = client.drive(name, max_concurrency, on_tick, sampler.stop)
    finally:
        sampler.stop()
    output_tokens = outcome.vllm_metrics["total_output_tokens"]
    energy = summarise(sampler.samples(), outcome.window, output_tokens)
    counters = session.target.counters_since(before, output_tokens)
    evidence = replace(
        outcome.evidence,
        counters=counters,
        throttled_share=energy["throttled_share"] if energy else None,
        engines=sorted({session.info.version, session.target.version()} - {""}),
    )
    return Measurement(outcome, energy, counters, validity.evaluate(evidence, session.settings.limits))
