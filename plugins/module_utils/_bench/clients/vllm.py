# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client `vllm`: `vllm bench serve` itself, with its traps handled, under our schema.

The traps: its default endpoint does not fit its chat backend; equal seeds give equal prompts, which an earlier run has
left in the prefix cache; its own warm-up sends a prompt that is measured later; it sends no temperature unless asked; it
takes a proxy from the environment; and it exits with 0 when every request has failed.
"""

# By subprocess: run_command needs a module, and a job has none.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from ..._errors import Problem, UserError
from ..._files import check_room, log_tail, read_json
from ..._metric_table import FIGURES, LATENCIES, statistic_keys
from ..._secrets import hidden, hidden_argv, hidden_bytes
from ..._text import shortened
from ..child_process import die_with_parent
from ..gpu_power import Window
from ..loadgen.progress import Counts
from ..metrics import derived
from ..prompts import length_range
from ..settings import ENDPOINTS, Settings, Workload
from ..validity import Evidence
from .base import Client, LoadOutcome, OnEnd, OnTick, Session
from .native import NativeClient

_READ_KEY = 'IFS= read -r OPENAI_API_KEY && export OPENAI_API_KEY && exec vllm "$@" </dev/null'
_TEMPLATE_ROOM = 64  # tokens that a chat template may add to a prompt, whose length it does not know
_REPEATED_SHARE = 0.005  # of 512 prompts of its random dataset, two are expected to be equal
_POLL_S = 0.25
_END_S = 10.0
_ROOM_BYTES = 64 * 1024  # with less on the disk it could not write its result
_LOG_LINES, _CAUSE_LENGTH, _LINE_LENGTH = 4, 500, 150  # of its log in a message
_BAR_BYTES = 4096  # the end of its log, where its progress bar stands
_CLOCK_ROOM_S = 1.0  # between a file's time and the clock
_LATENCIES = tuple(latency.name for latency in LATENCIES)


@dataclass(frozen=True)
class VllmCommand:
    """How `vllm` is started on the target: what stands before `bench serve`, and the tokenizer it can load.

    `reads_key` says that it takes the API key from the first line of its standard input; else it finds it in its environment.
    """

    prefix: Sequence[str]
    tokenizer: str
    reads_key: bool = False


def command_from(options: Mapping[str, Any], folder: Path, has_key: bool) -> VllmCommand:
    """How to start `vllm`: as the options say, else in the server's own image. Raises UserError when neither is known."""
    fact = options["server_fact"]
    image, tokenizer = options["vllm_image"] or fact.get("image"), options["vllm_tokenizer"] or fact.get("model")
    if not tokenizer or not (options["vllm_command"] or image):
        raise UserError(
            Problem(
                "client=vllm does not know the image or the tokenizer.",
                "a server_fact that names them, or options.",
                "Set vllm_image (or vllm_command) and vllm_tokenizer.",
            )
        )
    if options["vllm_command"]:
        return VllmCommand(options["vllm_command"], tokenizer)
    return VllmCommand(docker_prefix(image, options["vllm_volumes"], folder, has_key), tokenizer, reads_key=has_key)


def docker_prefix(image: str, volumes: Sequence[str], folder: Path, has_key: bool) -> list[str]:
    """Runs `vllm` of an image on the host's network. A key comes on standard input: neither a list of processes nor `docker inspect`
    shows it.
    """
    mounts = [f"{folder}:{folder}", *volumes]
    start = ["--interactive", "--entrypoint", "/bin/sh"] if has_key else ["--entrypoint", "vllm"]
    return [
        *("docker", "run", "--rm", "--init", "--network", "host", *start, "--env", "no_proxy", "--env", "NO_PROXY"),
        *(word for mount in mounts for word in ("--volume", mount)),
        image,
        *(("-c", _READ_KEY, "vllm") if has_key else ()),
    ]


def arguments(
    settings: Settings, workload: Workload, url: str, model: str, tokenizer: str, seed: int, result: Path
) -> list[str]:
    """The published benchmark's command for a workload, with what it lacks."""
    words = [
        *("bench", "serve", "--backend", workload.endpoint_type, "--endpoint", ENDPOINTS[workload.endpoint_type]),
        *("--base-url", url, "--model", model, "--tokenizer", tokenizer, "--dataset-name", "random"),
        *("--random-input-len", str(workload.input_tokens - workload.prefix_tokens)),
        *("--random-prefix-len", str(workload.prefix_tokens), "--random-range-ratio", str(workload.range_ratio)),
        *("--random-output-len", str(workload.output_tokens), "--num-prompts", str(workload.num_prompts)),
        *("--seed", str(seed), "--percentile-metrics", ",".join(_LATENCIES)),
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
    keys = [metric.key for metric in FIGURES if not metric.derived]
    keys += [key for name in _LATENCIES for key in statistic_keys(name, percents)]
    figures = {key: document.get(key) for key in keys}
    return {**figures, **derived(figures)}


def load_window(document: Mapping[str, Any], began_s: float, written_s: float, monotonic_s: float) -> Window | None:
    """When the load of a result file ran, in seconds since the epoch; None where it does not say.

    Its process began at `began_s` and wrote the file at `written_s`; its `start_times` are of CLOCK_MONOTONIC, whose zero was at
    `monotonic_s`. Where they do not fit (another kernel's clock, an old release) the load is what came before the file.
    """
    starts = document.get("start_times") or [math.nan]
    try:
        duration_s, begin_s = float(document["duration"]), min(map(float, starts)) + monotonic_s
    except (KeyError, TypeError, ValueError):
        return None
    if not 0 < duration_s < math.inf:
        return None
    if not began_s <= begin_s <= begin_s + duration_s <= written_s + _CLOCK_ROOM_S:
        begin_s = written_s - duration_s
    return (begin_s, begin_s + duration_s)


def outcome_of(
    document: Mapping[str, Any],
    workload: Workload,
    percents: Sequence[float],
    cancelled: bool,
    window: Window | None = None,
) -> LoadOutcome:
    """What a result file says of a load; an empty one counts as nothing done."""
    figures = metrics(document, percents)
    figures.update(
        {key: figures[key] or 0 for key in ("completed", "failed", "total_output_tokens", "total_input_tokens")}
    )
    return LoadOutcome(
        num_prompts=workload.num_prompts,
        vllm_metrics=figures,
        errors=_errors(document),
        cancelled=cancelled,
        window=window,
        evidence=Evidence(
            records=None,
            vllm_metrics=figures,
            max_concurrency=workload.max_concurrency,
            open_load=workload.open,
            wanted_output_each=None if workload.range_ratio else workload.output_tokens,
            shared_tokens=workload.prefix_tokens,
            repeated_share=_REPEATED_SHARE,
            errors=_errors(document),
        ),
    )


def make(session: Session, options: Mapping[str, Any]) -> Client:
    """The client of a run. Raises UserError."""
    return VllmClient(session, command_from(options, session.folder, bool(session.access.api_key)))


class VllmClient:
    """Measures by `vllm bench serve`, in one process. Prompts are checked, and the warm-up sent, by the native client."""

    workers = 1

    def __init__(self, session: Session, command: VllmCommand) -> None:
        self._session, self._settings, self._info = session, session.settings, session.info
        self._native, self._command = NativeClient(session), command
        self._log = session.folder / "vllm.log"

    def verify(self, may_send: bool = True) -> None:
        """Checks what this client cannot do, or would only find out late. Raises UserError."""
        workload = self._settings.workload
        if workload.dataset != "random" or not workload.ignore_eos:
            raise UserError(
                Problem(
                    "client=vllm with a dataset of your own, or without ignore_eos.",
                    "dataset=random, for which it always ignores the end of sequence.",
                    "Use client=native.",
                )
            )
        program = self._command.prefix[0]
        if shutil.which(program) is None:
            raise UserError(
                Problem(
                    f"client=vllm is started by {program!r}, which is not here.",
                    "a program on the target.",
                    "Install it, set vllm_command to one that is there, or use client=native.",
                )
            )
        self._check_context(workload)
        self._native.verify(may_send)

    def _check_context(self, workload: Workload) -> None:
        needed, room = longest_request(workload), self._info.max_model_len
        if room and needed > room:
            raise UserError(
                Problem(
                    f"A request needs up to {needed} tokens with the chat template, and max_model_len is {room}.",
                    f"at most {room}.",
                    "Lower input_tokens or output_tokens, or serve the model with a longer context.",
                )
            )

    def warm_up(self, on_tick: OnTick) -> None:
        self._native.warm_up(on_tick)

    def drive(self, name: str, max_concurrency: int, on_tick: OnTick, on_end: OnEnd) -> LoadOutcome:
        """Runs the command once and reads its result. Raises UserError when it leaves none, OSError where the disk is full."""
        workload = self._session.workload_at(max_concurrency)
        result = self._session.folder / f"vllm-{name}.json"
        seed = zlib.crc32(f"{workload.seed}/{workload.salt}/{name}".encode()) & 0x7FFFFFFF
        url = self._session.access.endpoint.url
        words = arguments(self._settings, workload, url, self._info.model, self._command.tokenizer, seed, result)
        began_s = time.time()
        finished = self._run([*self._command.prefix, *words], name, workload.num_prompts, on_tick)
        on_end()
        for path in (self._log, result):
            _hide_in(path, self._session.access.api_key)
        document = read_json(result, at_most_bytes=None)  # with every interval of every answer
        if document is None and finished:
            check_room(result.parent, _ROOM_BYTES)
            raise self._no_result(result)
        if not isinstance(document, dict):
            return outcome_of({}, workload, self._settings.percentiles, cancelled=not finished)
        window = load_window(document, began_s, result.stat().st_mtime, time.time() - time.monotonic())
        return outcome_of(document, workload, self._settings.percentiles, not finished, window)

    def describe(self, outcome: LoadOutcome) -> dict[str, Any]:
        """What measured; how it fared it does not say."""
        return {"name": "vllm", "version": None, "workers": 1, "clock": "user", "python_version": None}

    def _no_result(self, result: Path) -> UserError:
        return UserError(no_result(log_tail(self._log, _LOG_LINES), self._log))

    def _run(self, command: Sequence[str], name: str, total: int, on_tick: OnTick) -> bool:
        """Runs the command to its end, or ends it when the run is cancelled. True when it came to its end."""
        if not on_tick(name, total, Counts()):
            return False
        key = self._session.access.api_key or ""
        environment = {**os.environ, "no_proxy": "*", "NO_PROXY": "*"}
        if key and not self._command.reads_key:
            environment["OPENAI_API_KEY"] = key
        with self._log.open("a", encoding="utf-8") as log:
            log.write(" ".join(hidden_argv(command)) + "\n")
            log.flush()
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - there are no threads
            )
        _hand_over(process, f"{key}\n" if self._command.reads_key else "")
        while process.poll() is None:
            if not on_tick(
                name, total, Counts(done=requests_done(log_tail(self._log, at_most_bytes=_BAR_BYTES), total))
            ):
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


def no_result(lines: Sequence[str], log: Path) -> Problem:
    """Why there is no result, by the end of the log: its last line is the cause, so it comes first and whole."""
    said = [line.strip() for line in lines if line.strip() and not line.startswith(("Run 'docker", "See 'docker"))]
    cause = shortened(said[-1], _CAUSE_LENGTH) if said else "nothing: the log is empty"
    before = " | ".join(shortened(line, _LINE_LENGTH) for line in said[:-1])
    remedy = f"Correct what it says; the whole log, and the command in its first line, are in {log}."
    if any("permission denied" in line.lower() and "docker" in line.lower() for line in said):
        remedy = "Put the user who logs in into group docker, or set vllm_command to a vllm on the host."
    return Problem(
        f"vllm bench serve left no result. It ended with: {cause}" + (f" (before it: {before})" if before else ""),
        "a result file.",
        remedy,
    )


def requests_done(lines: Sequence[str], total: int) -> int:
    """How many requests its progress bar says are done, such as 15 of `3%|3  | 15/512 [00:10<05:30,  1.50it/s]`; 0 without a bar."""
    bars = [re.search(rf"\| *(\d+)/{total} \[", line) for line in reversed(lines)]
    return next((min(int(found[1]), total) for found in bars if found and len(found[1]) < 12), 0)


def _hand_over(process: subprocess.Popen[bytes], text: str) -> None:
    """Gives a program its standard input. One that has ended already says why in its log."""
    if process.stdin:
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(text.encode())


def _hide_in(path: Path, key: str | None) -> None:
    """Takes the key out of a file, where the server's words may have it; its time stays. It may be a container's, the folder is ours."""
    if not key or not path.exists():
        return
    content, before = path.read_bytes(), path.stat()
    clean = hidden_bytes(content, key)
    if clean != content:
        fresh = path.with_name(f"{path.name}.clean")
        fresh.write_bytes(clean)
        os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
        fresh.replace(path)


def _errors(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Its errors, which it does not class."""
    found = [error for error in document.get("errors") or [] if error]
    return {"request_failed": {"count": len(found), "example": hidden(str(found[0]))[-300:]}} if found else {}
