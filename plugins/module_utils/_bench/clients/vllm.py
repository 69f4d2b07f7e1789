# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The client `vllm`: `vllm bench serve` itself, with its traps handled, under our schema. Private to the collection.

The traps: its default endpoint does not fit its chat backend; equal seeds give equal prompts, which an earlier run has
left in the prefix cache; its own warm-up sends a prompt that is measured later; it sends no temperature unless told; it
takes a proxy from the environment; and it exits with 0 when every request has failed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from ..._errors import BenchError
from ..._files import read_json
from ..._openai.endpoint import Access
from .. import validity
from ..child_process import die_with_parent
from ..gpu_power import Sampler, summarise
from ..loadgen.load import LoadResult
from ..loadgen.progress import Counts
from ..metrics import percentile_key
from ..prompts import length_range
from ..settings import ENDPOINTS, Settings, Workload
from ..target import Server, ServerInfo
from .native import Bench, Measurement, OnTick

_TEMPLATE_ROOM = 64  # tokens that a chat template may add to a prompt, whose length it does not know
_DUPLICATE_FLOOR = 0.005  # of 512 prompts of its random dataset, two are expected to be equal
_POLL_S = 0.25
_END_S = 10.0
_FIGURES = (
    "duration",
    "completed",
    "failed",
    "total_input_tokens",
    "total_output_tokens",
    "request_throughput",
    "output_throughput",
    "total_token_throughput",
    "max_output_tokens_per_s",
    "max_concurrent_requests",
    "request_goodput",
)


@dataclass(frozen=True)
class VllmCommand:
    """How `vllm` is started on the target: what stands before `bench serve`, and the tokenizer it can load."""

    prefix: Sequence[str]
    tokenizer: str


def docker_prefix(image: str, volumes: Sequence[str], folder: Path) -> list[str]:
    """Runs `vllm` of an image on the host's network; the key is passed by name, so that no list of processes shows it."""
    mounts = [f"{folder}:{folder}", *volumes]
    return [
        *("docker", "run", "--rm", "--init", "--network", "host", "--entrypoint", "vllm"),
        *("--env", "OPENAI_API_KEY", "--env", "no_proxy", "--env", "NO_PROXY"),
        *(word for mount in mounts for word in ("--volume", mount)),
        image,
    ]


def arguments(
    settings: Settings, workload: Workload, url: str, model: str, tokenizer: str, seed: int, result: Path
) -> list[str]:
    """The source's command for a workload, with what it lacks."""
    words = [
        *("bench", "serve", "--backend", workload.endpoint_type, "--endpoint", ENDPOINTS[workload.endpoint_type]),
        *("--base-url", url, "--model", model, "--tokenizer", tokenizer, "--dataset-name", "random"),
        *("--random-input-len", str(workload.input_tokens - workload.prefix_tokens)),
        *("--random-prefix-len", str(workload.prefix_tokens), "--random-range-ratio", str(workload.range_ratio)),
        *("--random-output-len", str(workload.output_tokens), "--num-prompts", str(workload.num_prompts)),
        *("--seed", str(seed), "--percentile-metrics", "ttft,tpot,itl,e2el"),
        *("--metric-percentiles", ",".join(f"{percent:g}" for percent in settings.percentiles)),
        *("--save-result", "--save-detailed", "--result-dir", str(result.parent), "--result-filename", result.name),
    ]
    if workload.max_concurrency:
        words += ["--max-concurrency", str(workload.max_concurrency)]
    if workload.open:
        words += ["--request-rate", f"{workload.request_rate:g}", "--burstiness", f"{workload.burstiness:g}"]
    if settings.slo:
        words += ["--goodput", *(f"{name}:{limit:g}" for name, limit in settings.slo.items())]
    for name, value in workload.sampling.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def longest_request(workload: Workload) -> int:
    """The most tokens, of input and output, that a request may have; it spreads the input without its prefix."""
    own, answer = workload.input_tokens - workload.prefix_tokens, workload.output_tokens
    longest = sum(length_range(tokens, workload.range_ratio)[1] for tokens in (own, answer))
    return workload.prefix_tokens + longest + _TEMPLATE_ROOM


def metrics(document: Mapping[str, Any], percents: Sequence[float]) -> dict[str, Any]:
    """Our metrics from its result file; what it did not measure is None."""
    keys = list(_FIGURES)
    for name in ("ttft", "tpot", "itl", "e2el"):
        keys += [f"mean_{name}_ms", f"median_{name}_ms", f"std_{name}_ms"]
        keys += [percentile_key(percent, name) for percent in percents]
    figures = {key: document.get(key) for key in keys}
    mean_tpot = figures["mean_tpot_ms"]
    figures["per_user_output_throughput"] = 1000 / mean_tpot if mean_tpot else None
    return figures


class VllmBench:
    """Measures as `Bench` does, by `vllm bench serve`. Warm-up and server counters are those of the native client."""

    def __init__(
        self, settings: Settings, access: Access, server: Server, info: ServerInfo, native: Bench, command: VllmCommand
    ) -> None:
        self._settings, self._access, self._server, self._info = settings, access, server, info
        self._native, self._command = native, command
        self.workers = 1

    def verify(self, may_send: bool = True) -> None:
        """Checks what this client cannot do, or would only find out late. Raises BenchError."""
        workload = self._settings.workload
        if workload.dataset != "random" or not workload.ignore_eos:
            raise BenchError(
                "client=vllm with a dataset of your own, or without ignore_eos.",
                "dataset=random, for which it always ignores the end of sequence.",
                "Use client=native.",
            )
        program = self._command.prefix[0]
        if shutil.which(program) is None:
            raise BenchError(
                f"client=vllm is started by {program!r}, which is not here.",
                "a program on the target.",
                "Install it, set vllm_command to one that is there, or use client=native.",
            )
        needed, room = longest_request(workload), self._info.max_model_len
        if room and needed > room:
            raise BenchError(
                f"A request needs up to {needed} tokens with the chat template, and max_model_len is {room}.",
                f"at most {room}.",
                "Lower input_tokens or output_tokens, or serve the model with a longer context.",
            )
        self._native.verify(may_send)

    def overhead_tokens(self) -> int | None:
        """Unknown: this client does not take the chat template off."""
        return None

    def warm_up(self, on_tick: OnTick) -> None:
        self._native.warm_up(on_tick)

    def measure(self, name: str, max_concurrency: int, on_tick: OnTick) -> Measurement:
        """Runs the command once and judges its result. Raises BenchError when it leaves none."""
        workload = self._native.workload_at(max_concurrency)
        result = self._native.folder / f"vllm-{name}.json"
        seed = zlib.crc32(f"{workload.seed}/{workload.salt}/{name}".encode()) & 0x7FFFFFFF
        url = self._access.endpoint.url
        words = arguments(self._settings, workload, url, self._info.model, self._command.tokenizer, seed, result)
        before = self._server.counters()
        sampler = Sampler(self._native.folder, self._native.gpu_uuids)
        try:
            finished = self._run([*self._command.prefix, *words], name, workload.num_prompts, on_tick)
        finally:
            sampler.stop()
        document = read_json(result)
        if document is None and finished:
            raise BenchError(
                f"vllm bench serve left no result; the end of its log: {self._log_tail()}.",
                f"a result file {result}.",
                "Try the command by hand; it is the first line of vllm.log in the run's folder. Where Docker refuses permission, put the "
                "user who logs in into group docker, or set vllm_command to a vllm on the host.",
            )
        compat = metrics(document or {}, self._settings.percentiles)
        compat.update(
            {key: compat[key] or 0 for key in ("completed", "failed", "total_output_tokens", "total_input_tokens")}
        )
        counters = self._server.counters_since(before, compat["total_output_tokens"])
        energy = summarise(sampler.samples(), compat["duration"] or 0.0, compat["total_output_tokens"])
        return Measurement(
            num_prompts=workload.num_prompts,
            result=LoadResult([], 0, [], 0.0),
            compat=compat,
            strict=None,
            steady_state=None,
            energy=energy,
            counters=counters,
            checks=_checks(compat, workload, counters, energy, self._settings.limits),
            errors=_errors(document or {}),
            cancelled=not finished,
        )

    def _run(self, command: Sequence[str], name: str, total: int, on_tick: OnTick) -> bool:
        """Runs the command to its end, or ends it when the run is cancelled. True when it came to its end."""
        if not on_tick(name, total, Counts()):
            return False
        environment = {**os.environ, "no_proxy": "*", "NO_PROXY": "*"}
        if self._access.api_key:
            environment["OPENAI_API_KEY"] = self._access.api_key
        with (self._native.folder / "vllm.log").open("a", encoding="utf-8") as log:
            log.write(" ".join(command) + "\n")
            log.flush()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - there are no threads
            )
        while process.poll() is None:
            if not on_tick(name, total, Counts()):
                self._end(process)
                return False
            time.sleep(_POLL_S)
        return True

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _log_tail(self) -> str:
        lines = (self._native.folder / "vllm.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(lines[-5:])[-600:]


def _checks(
    compat: Mapping[str, Any],
    workload: Workload,
    counters: Mapping[str, float | None],
    energy: Mapping[str, Any] | None,
    limits: validity.Limits,
) -> list[validity.Check]:
    """The checks that can be made on totals alone."""
    sent, queries = compat["completed"] + compat["failed"], counters["prefix_cache_queries"]
    hits = counters["prefix_cache_hits"]
    wanted = compat["completed"] * workload.output_tokens
    short = abs(wanted - compat["total_output_tokens"]) / wanted if wanted and not workload.range_ratio else None
    at_most = validity.at_most
    return [
        at_most("failed_share", compat["failed"] / sent if sent else 1.0, limits.failed_share, "requests failed"),
        at_most("output_length", short, 0.0, "answers have another length than asked for"),
        at_most(
            "prefix_hit_rate",
            hits / queries if hits is not None and queries else None,
            max(limits.prefix_hit_rate, _DUPLICATE_FLOOR) if not workload.prefix_tokens else None,
            "the prefix cache was warm",
        ),
        validity.counter_check("prompt_tokens", "total_input_tokens", compat, counters, limits),
        validity.counter_check("generation_tokens", "total_output_tokens", compat, counters, limits),
        at_most(
            "throttled_share",
            energy["throttled_share"] if energy else None,
            limits.throttled_share,
            "the GPU slowed down",
        ),
    ]


def _errors(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Its errors, which it does not class."""
    found = [error for error in document.get("errors") or [] if error]
    return {"request_failed": {"count": len(found), "example": found[0][-300:]}} if found else {}
