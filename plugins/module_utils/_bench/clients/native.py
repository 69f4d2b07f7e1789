# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One measurement: a load on the server, and everything that is derived from it. Private to the collection."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Sequence

from ..._openai.endpoint import Access, resolve
from ..._openai.http1 import request_bytes
from .. import metrics, validity
from ..arrivals import arrivals_ns
from ..gpu_power import Sampler, summarise
from ..loadgen.connection import Connection
from ..loadgen.load import LoadResult, run_load, worker_count
from ..loadgen.progress import Counts
from ..loadgen.tls_connection import TlsConnection
from ..loadgen.worker import Load, Request
from ..prompts import (
    Calibration,
    Prompt,
    file_prompts,
    length_range,
    random_prompts,
    request_document,
)
from ..record import Expectation, Record
from ..settings import ENDPOINTS, Settings, Workload
from ..target import (
    Server,
    ServerInfo,
    check_context,
    verify_lengths,
)

_WARMUP_OUTPUT_TOKENS = 32  # enough to meet every batch size on the way up and down
_WARMUP_INPUT_TOKENS = 256  # of a file dataset, whose own prompts must stay unseen
_VERIFIED_PROMPTS = 8
_PLENTY_OF_WORDS = 6  # of 16 words or more: enough for any number of distinct prompts
OnTick = Callable[[str, int, Counts], bool]  # phase, requests in it, progress -> go on?


@dataclass
class Measurement:
    """One load and its figures, in plain types."""

    num_prompts: int
    result: LoadResult
    compat: dict[str, Any]
    strict: dict[str, Any] | None
    steady_state: dict[str, Any] | None
    energy: dict[str, Any] | None
    counters: dict[str, float | None]
    checks: list[dict[str, Any]]
    errors: dict[str, dict[str, Any]]
    cancelled: bool


class Bench:
    """Measures one server by one settings."""

    def __init__(
        self,
        settings: Settings,
        access: Access,
        server: Server,
        info: ServerInfo,
        folder: Path,
        gpu_uuids: Sequence[str] = (),
    ) -> None:
        self.gpu_uuids, self.folder = gpu_uuids, folder
        self._settings, self._access, self._server, self._info = settings, access, server, info
        self._address, self._tls = resolve(access.endpoint), access.tls_context()
        self._calibration: Calibration | None = None

    @property
    def workers(self) -> int:
        """The number of worker processes, of a sweep at its highest level."""
        workload = self._settings.workload
        return self._workers_for(max(workload.sweep, default=workload.max_concurrency) or workload.num_prompts)

    def _workers_for(self, connections: int) -> int:
        return self._settings.workers or worker_count(connections, os.cpu_count() or 1)

    # -- prompts ------------------------------------------------------------------------------------------------------

    def calibration(self) -> Calibration:
        """What the server's tokenizer makes of our words, learnt once."""
        if self._calibration is None:
            workload = self._settings.workload
            rng = random.Random(f"{workload.seed}/{workload.salt}/calibration")
            self._calibration = self._server.calibrate(self._info, workload.endpoint_type, rng)
        return self._calibration

    def prompts(self, name: str, count: int) -> list[Prompt]:
        """The prompts of one measurement. Raises BenchError when they cannot be made or do not fit."""
        workload = self._settings.workload
        if workload.dataset == "file":
            made = file_prompts(str(workload.dataset_path), count or None, workload.output_tokens)
        else:
            made = self._random(name, count, workload.input_tokens, workload.output_tokens)
        check_context(self._info, made)
        return made

    def _random(self, name: str, count: int, input_tokens: int, output_tokens: int) -> list[Prompt]:
        workload = self._settings.workload
        key = f"{workload.seed}/{workload.salt}/{name}"
        return random_prompts(
            self.calibration(),
            key,
            count,
            input_tokens,
            output_tokens,
            workload.range_ratio,
            workload.prefix_tokens if workload.dataset == "random" else 0,
        )

    def verify(self, may_send: bool = True) -> None:
        """Checks the prompts: a file's one by one; of random ones some like them, by asking the server for their length.

        A server without /tokenize is asked by requests, and only when they may be sent. Raises BenchError.
        """
        workload = self._settings.workload
        if workload.dataset == "file":
            self._requests("verify", self.prompts("verify", workload.num_prompts))
            return
        lengths = workload.input_tokens, workload.output_tokens
        longest = [length_range(tokens, workload.range_ratio)[1] for tokens in lengths]
        check_context(self._info, [Prompt("", *longest)])
        if may_send or self._info.has_tokenize:
            self._verify_random()

    def _verify_random(self) -> None:
        workload, calibration = self._settings.workload, self.calibration()
        shortest = length_range(workload.input_tokens, workload.range_ratio)[0]
        fixed = workload.prefix_tokens or calibration.lead_tokens
        calibration.text(shortest, random.Random(0), prefix_tokens=fixed)  # has it room for a word?
        scarce = shortest - fixed < _PLENTY_OF_WORDS  # then the prompts may not all be distinct: only making them tells
        count = workload.num_prompts if scarce else _VERIFIED_PROMPTS
        made = self._random("verify", count, workload.input_tokens, workload.output_tokens)
        asked = made[: _VERIFIED_PROMPTS if self._info.has_tokenize else 1]
        verify_lengths(self._server.counter(self._info, workload.endpoint_type), asked)

    def _requests(self, name: str, prompts: Sequence[Prompt]) -> list[Request]:
        workload = self._settings.workload
        requests = []
        for index, prompt in enumerate(prompts):
            document = request_document(
                prompt,
                workload.endpoint_type,
                self._info.model,
                workload.sampling,
                workload.ignore_eos,
                workload.continuous_usage,
            )
            payload = request_bytes(self._access, ENDPOINTS[workload.endpoint_type], document, f"{name}-{index}")
            answer = prompt.output_tokens if workload.ignore_eos else None
            requests.append(Request(payload, Expectation(prompt.input_tokens, answer)))
        return requests

    # -- loads --------------------------------------------------------------------------------------------------------

    def warm_up(self, on_tick: OnTick) -> None:
        """Sends requests that share nothing with the measured ones, at the same concurrency; their answers are dropped."""
        workload = self._settings.workload
        if not workload.warmup:
            return
        size = workload.input_tokens if workload.dataset == "random" else _WARMUP_INPUT_TOKENS
        answer = min(_WARMUP_OUTPUT_TOKENS, workload.output_tokens)
        requests = self._requests("warmup", self._random("warmup", workload.warmup, size, answer))
        load = Load(
            requests,
            self._connection,
            workload.max_concurrency or workload.warmup,
            None,
            self._settings.timeouts,
            self._settings.real_time,
        )
        self._run("warmup", load, on_tick, lambda: None)

    def workload_at(self, max_concurrency: int) -> Workload:
        """The settings's workload at a level of concurrency."""
        return replace(self._settings.workload, max_concurrency=max_concurrency)

    def overhead_tokens(self) -> int | None:
        """What chat template and lead word add to each prompt; None for prompts of the user's own."""
        return self.calibration().lead_tokens if self._settings.workload.dataset == "random" else None

    def measure(self, name: str, max_concurrency: int, on_tick: OnTick) -> Measurement:
        """Runs one load of the settings at `max_concurrency` and judges it. `name` keeps its prompts apart from others'."""
        workload = self.workload_at(max_concurrency)
        prompts = self.prompts(name, workload.num_prompts)
        requests = self._requests(name, prompts)
        arrivals = None
        if workload.open:
            rng = random.Random(f"{workload.seed}/{workload.salt}/{name}/arrivals")
            arrivals = arrivals_ns(len(requests), workload.request_rate, workload.burstiness, rng)
        load = Load(
            requests, self._connection, max_concurrency, arrivals, self._settings.timeouts, self._settings.real_time
        )
        before = self._server.counters()
        sampler = Sampler(self.folder, self.gpu_uuids)
        try:
            result = self._run(name, load, on_tick, sampler.stop)
        finally:
            sampler.stop()
        settings, records = self._settings, result.records
        compat = metrics.vllm_compat(records, result.start_ns, settings.percentiles, settings.slo)
        energy = summarise(sampler.samples(), compat["duration"], compat["total_output_tokens"])
        counters = self._server.counters_since(before, compat["total_output_tokens"])
        evidence = validity.Evidence(
            records=records,
            compat=compat,
            max_concurrency=max_concurrency,
            open_load=workload.open,
            wanted_input=[request.expectation.input_tokens for request in requests],
            wanted_output=[request.expectation.output_tokens for request in requests],
            shared_tokens=self._shared_tokens(),
            workers=result.workers,
            clock_step_ms=result.clock_step_ms,
            counters=counters,
            throttled_share=energy["throttled_share"] if energy else None,
            engines=self._engines(),
        )
        return Measurement(
            num_prompts=len(requests),
            result=result,
            compat=compat,
            strict=metrics.strict(records, result.start_ns, settings.percentiles, settings.slo),
            steady_state=metrics.steady_state(records, settings.percentiles),
            energy=energy,
            counters=counters,
            checks=validity.evaluate(evidence, settings.limits),
            errors=error_classes(records),
            cancelled=any(record.error == "cancelled" for record in records) or len(records) < len(requests),
        )

    def _run(self, phase: str, load: Load, on_tick: OnTick, on_end: Callable[[], None]) -> LoadResult:
        total = len(load.requests)
        load = replace(load, max_concurrency=min(load.max_concurrency, total))
        connections = load.max_concurrency or total
        workers = min(self._workers_for(connections), connections)
        return run_load(load, workers, self.folder, lambda counts: on_tick(phase, total, counts), on_end)

    def _connection(self) -> Connection:
        if self._tls is None:
            return Connection(self._address)
        return TlsConnection(self._address, self._tls, self._access.endpoint.host)

    def _shared_tokens(self) -> int:
        """Prompt tokens that any two requests have in common by construction."""
        if self._calibration is None:
            return 0
        return self._settings.workload.prefix_tokens or self._calibration.lead_tokens

    def _engines(self) -> list[str]:
        """The server's version before and after the load: two entries when it has changed."""
        return sorted({self._info.version, self._server.version()} - {""})


def error_classes(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """For each class of error, how often it happened, and one example."""
    classes: dict[str, dict[str, Any]] = {}
    for record in records:
        if not record.ok:
            entry = classes.setdefault(record.error, {"count": 0, "example": record.detail})
            entry["count"] += 1
    return classes


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
