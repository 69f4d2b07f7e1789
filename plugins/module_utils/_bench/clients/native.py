# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client `native`, the project's own: prompts, warm-up, load, and how it fared."""

from __future__ import annotations

import os
import platform
import random
from dataclasses import replace
from typing import Any, Mapping, Sequence

from ..._openai.endpoint import resolve
from ..._openai.http1 import request_bytes
from ..._secrets import hidden_values
from .. import metrics
from ..arrivals import arrivals_ns
from ..loadgen.connection import Connection
from ..loadgen.load import LoadResult, run_load, worker_count
from ..loadgen.progress import WARMUP
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
from ..record import Expectation, Record, error_classes
from ..settings import ENDPOINTS, Workload
from ..target import check_context, verify_lengths
from ..validity import Evidence, lag_ms
from .base import CLIENT_VERSION, Client, LoadOutcome, OnEnd, OnTick, Session

_WARMUP_OUTPUT_TOKENS = 32  # enough to meet every batch size on the way up and down
_WARMUP_INPUT_TOKENS = 256  # of a file dataset, whose own prompts must stay unseen
_VERIFIED_PROMPTS = 8
# Of an answer, and for each of its tokens, with log probabilities. To decode the longest takes some five times as much memory.
_LONGEST_BYTES, _LONGEST_EVENT_BYTES = 2 * 1024 * 1024, 3 * 1024
_PLENTY_OF_WORDS = 6  # of 16 words or more: enough for any number of distinct prompts


def make(session: Session, options: Mapping[str, Any]) -> Client:
    """The client of a run."""
    return NativeClient(session)


class NativeClient:
    """Measures one server: prompts of exact length, an event loop, times taken by the kernel."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._settings, self._access, self._info = session.settings, session.access, session.info
        self._address, self._tls = resolve(session.access.endpoint), session.access.tls_context()
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
            self._calibration = self._session.target.calibrate(self._info, workload.endpoint_type, rng)
        return self._calibration

    def prompts(self, name: str, count: int) -> list[Prompt]:
        """The prompts of one measurement. Raises UserError when they cannot be made or do not fit."""
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

        A server without /tokenize is asked by requests, and only when they may be sent. Raises UserError.
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
        fixed = workload.prefix_tokens or calibration.template_tokens
        calibration.text(shortest, random.Random(0), prefix_tokens=fixed)  # has it room for a word?
        scarce = shortest - fixed < _PLENTY_OF_WORDS  # then the prompts may not all be distinct: only making them shows
        count = workload.num_prompts if scarce else _VERIFIED_PROMPTS
        made = self._random("verify", count, workload.input_tokens, workload.output_tokens)
        asked = made[: _VERIFIED_PROMPTS if self._info.has_tokenize else 1]
        verify_lengths(self._session.target.counter(self._info, workload.endpoint_type), asked)

    def _requests(self, name: str, prompts: Sequence[Prompt]) -> list[Request]:
        workload, access = self._settings.workload, self._access
        target, headers = access.endpoint.path(ENDPOINTS[workload.endpoint_type]), access.headers()
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
            payload = request_bytes(target, headers, document, f"{name}-{index}")
            most = prompt.output_tokens or workload.output_tokens
            expectation = Expectation(prompt.input_tokens, prompt.output_tokens if workload.ignore_eos else None, most)
            requests.append(Request(payload, expectation, _LONGEST_BYTES + _LONGEST_EVENT_BYTES * most))
        return requests

    # -- loads --------------------------------------------------------------------------------------------------------

    def warm_up(self, on_tick: OnTick) -> None:
        """Sends requests that share nothing with the measured ones, at the same concurrency; their answers are dropped."""
        workload = self._settings.workload
        if not workload.warmup:
            return
        size = workload.input_tokens if workload.dataset == "random" else _WARMUP_INPUT_TOKENS
        answer = min(_WARMUP_OUTPUT_TOKENS, workload.output_tokens)
        requests = self._requests(WARMUP, self._random(WARMUP, workload.warmup, size, answer))
        load = Load(
            requests,
            self._connection,
            workload.max_concurrency or workload.warmup,
            None,
            self._settings.timeouts,
            self._settings.real_time,
        )
        self._run(WARMUP, load, on_tick, lambda: None)

    def drive(self, name: str, max_concurrency: int, on_tick: OnTick, on_end: OnEnd) -> LoadOutcome:
        """Runs one load at `max_concurrency`. `name` keeps its prompts apart from others'."""
        workload = self._session.workload_at(max_concurrency)
        requests = self._requests(name, self.prompts(name, workload.num_prompts))
        arrivals = None
        if workload.open:
            rng = random.Random(f"{workload.seed}/{workload.salt}/{name}/arrivals")
            arrivals = arrivals_ns(len(requests), workload.request_rate, workload.burstiness, rng)
        settings = self._settings
        load = Load(requests, self._connection, max_concurrency, arrivals, settings.timeouts, settings.real_time)
        return self._outcome(workload, requests, self._run(name, load, on_tick, on_end))

    def _outcome(self, workload: Workload, requests: Sequence[Request], result: LoadResult) -> LoadOutcome:
        settings, records = self._settings, result.records
        self._hide_key(records)
        vllm_metrics = metrics.vllm_metrics(records, result.start_ns, settings.percentiles, settings.slo)
        began_s = result.start_ns / 1e9
        cancelled = any(record.error == "cancelled" for record in records) or len(records) < len(requests)
        return LoadOutcome(
            num_prompts=len(requests),
            vllm_metrics=vllm_metrics,
            strict_metrics=metrics.strict_metrics(records, result.start_ns, settings.percentiles, settings.slo),
            steady_state=metrics.steady_state(records, settings.percentiles),
            errors=error_classes(records),
            cancelled=cancelled,
            evidence=self._evidence(workload, requests, result, vllm_metrics),
            window=(began_s, began_s + vllm_metrics["duration"]),
            prompt_overhead_tokens=self.calibration().template_tokens if workload.dataset == "random" else None,
            records=records,
            start_ns=result.start_ns,
            workers=result.workers,
        )

    def _hide_key(self, records: Sequence[Record]) -> None:
        """Takes the key out of what the server said."""
        for record in records:
            for field in ("detail", "finish_reason", "identity") if self._access.api_key else ():
                setattr(record, field, hidden_values(getattr(record, field), self._access.api_key))

    def _evidence(
        self, workload: Workload, requests: Sequence[Request], result: LoadResult, vllm_metrics: dict[str, Any]
    ) -> Evidence:
        return Evidence(
            records=result.records,
            vllm_metrics=vllm_metrics,
            max_concurrency=workload.max_concurrency,
            open_load=workload.open,
            wanted_input=[request.expectation.input_tokens for request in requests],
            wanted_output=[request.expectation.output_tokens for request in requests],
            shared_tokens=self._shared_tokens(),
            workers=result.workers,
            clock_step_ms=result.clock_step_ms,
            errors=error_classes(result.records),
        )

    def describe(self, outcome: LoadOutcome) -> dict[str, Any]:
        """What measured, and how it fared."""
        workers, records = outcome.workers, outcome.records
        return {
            "name": "native",
            "version": CLIENT_VERSION,
            "workers": len(workers),
            "clock": "user" if any(worker["user_timed"] for worker in workers) else "kernel",
            "python_version": platform.python_version(),
            "real_time": all(worker["real_time"] for worker in workers),
            "cpu_s": sum(worker["cpu_s"] for worker in workers),
            "decode_cpu_s": sum(worker["decode_s"] for worker in workers),
            "max_rss_mib": sum(worker["max_rss_kib"] for worker in workers) / 1024,
            "loop_lag_p99_ms": lag_ms(workers, 99),
            "reconnects": sum(worker["reconnects"] for worker in workers),
            "retransmits": sum(worker["retransmits"] for worker in workers),
            "involuntary_switches": sum(worker["involuntary_switches"] for worker in workers),
            "events": sum(len(record.event_ns) for record in records),
            "reads": sum(record.reads for record in records),
            "coalesced": sum(record.coalesced for record in records),
        }

    def _run(self, phase: str, load: Load, on_tick: OnTick, on_end: OnEnd) -> LoadResult:
        total = len(load.requests)
        load = replace(load, max_concurrency=min(load.max_concurrency, total))
        connections = load.max_concurrency or total
        workers = min(self._workers_for(connections), connections)
        return run_load(load, workers, self._session.folder, lambda counts: on_tick(phase, total, counts), on_end)

    def _connection(self) -> Connection:
        if self._tls is None:
            return Connection(self._address)
        return TlsConnection(self._address, self._tls, self._access.endpoint.host)

    def _shared_tokens(self) -> int:
        """Prompt tokens that any two requests have in common by construction."""
        if self._calibration is None:
            return 0
        return self._settings.workload.prefix_tokens or self._calibration.template_tokens
