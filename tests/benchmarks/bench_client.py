# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good is the benchmark client itself? Prints a table of figures beside their targets; nothing fails here.

    python tests/benchmarks/bench_client.py            all of it, some five minutes on an idle machine
    python tests/benchmarks/bench_client.py clock cpu  some of it
    python tests/benchmarks/bench_client.py clock cpu --image IMAGE --tokenizer DIR     with `vllm bench serve` beside it

The truth is the simulator's send log: the time at which it handed each event to the kernel, on the same clock. With two
CPUs or more the simulator has the first one and the client the second, which a busy loop shares in the rows "loaded".
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "playbooks" / "collections")]

from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.base import Measurement  # noqa: E402
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.metrics import percentile  # noqa: E402
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.prompts import random_prompts  # noqa: E402
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.target import Target  # noqa: E402

from tests.support.bench import TOLERANT, access_to, benchmark, measure  # noqa: E402
from tests.support.simulator import Simulator, simulator  # noqa: E402

# (streams, milliseconds between two tokens of one, tokens of one)
CLOCK_LOADS = ((32, 10.0, 200), (128, 20.0, 100), (512, 100.0, 40), (1000, 200.0, 25))
LIMITS = {**TOLERANT, "loop_lag_ms": 1e6, "clock_step_ms": 1e6}
WIDTHS = (46, 16, 12)


def row(*cells: object) -> None:
    print(
        "".join(str(cell).ljust(width) for cell, width in zip(cells, WIDTHS)) + " ".join(map(str, cells[3:])),
        flush=True,
    )


def steady(gap_ms: float) -> dict[str, float]:
    """A server that needs `gap_ms` for every decode step and next to nothing for a prompt."""
    return {
        "frontend_ms": 0.1,
        "decode_base_ms": gap_ms,
        "decode_expert_ms": 0.0,
        "decode_us_per_sequence": 0.0,
        "decode_ns_per_context_token": 0.0,
        "prefill_base_ms": 0.1,
        "prefill_us_per_token": 0.1,
    }


@contextmanager
def server(folder: Path, gap_ms: float, **options: Any) -> Iterator[Simulator]:
    """A simulator on the first CPU, with this process on the second."""
    with simulator(folder, timing=steady(gap_ms), max_num_seqs=4096, **options) as running:
        several = len(os.sched_getaffinity(0)) > 1
        everywhere = os.sched_getaffinity(0)
        if several:
            os.sched_setaffinity(running.pid, {min(everywhere)})
            os.sched_setaffinity(0, {max(everywhere)})
        try:
            yield running
        finally:
            os.sched_setaffinity(0, everywhere)


@contextmanager
def busy_core() -> Iterator[None]:
    """Somebody who wants this process's CPU for himself."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as hog:
        try:
            yield
        finally:
            hog.kill()


def errors_ms(arrivals: dict[str, Sequence[int]], sent: dict[str, dict[str, Any]]) -> list[float]:
    """Arrival minus truth for every message with choices, in ms, sorted; by request id."""
    found = []
    for request, times in arrivals.items():
        line = sent[request]
        truth = [before for kind, before in zip(line["kind"], line["before_ns"]) if kind in "rtf"]
        if len(truth) == len(times):
            found += [(arrived - before) / 1e6 for arrived, before in zip(times, truth)]
    return sorted(found)


def show_errors(name: str, errors: Sequence[float], more: str = "") -> None:
    p50, p99 = (percentile(errors, percent) for percent in (50, 99))
    row(
        f"arrival error, {name}",
        f"{p50:.3f}/{p99:.3f} ms",
        "p99 <= 0.2",
        f"n={len(errors)} max={errors[-1]:.1f} ms {more}",
    )


def own_arrivals(measurement: Measurement) -> dict[str, Sequence[int]]:
    return {f"test-{record.index}": record.event_ns for record in measurement.outcome.records if record.ok}


def clock(folder: Path, vllm: Vllm | None) -> None:
    """Arrival times against the send log, p50/p99, idle and with the client's core loaded."""
    for streams, gap, tokens in CLOCK_LOADS:
        load = {
            "num_prompts": streams,
            "max_concurrency": streams,
            "input_tokens": 32,
            "output_tokens": tokens,
            "workers": 1,
        }
        for name, surroundings in (("idle", nullcontext()), ("loaded", busy_core())):
            with server(folder, gap) as running, surroundings:
                measurement = measure(running.url, folder, **load)
                texts = sum(sum(record.has_text) for record in measurement.outcome.records)
                coalesced = sum(record.coalesced for record in measurement.outcome.records) / texts
                more = f"coalesced {coalesced:.1%}"
                show_errors(
                    f"{streams} streams x {gap:g} ms, {name}",
                    errors_ms(own_arrivals(measurement), running.sent()),
                    more,
                )
        if vllm:
            with server(folder, gap) as running:
                arrivals, _ = vllm.arrivals(running.url, folder, streams, tokens)
                show_errors(f"{streams} streams, vllm bench serve", errors_ms(arrivals, running.sent()))


def cpu(folder: Path, vllm: Vllm | None) -> None:
    """CPU time per event of all client processes at 32 streams: what more events cost, decoding included, over their number."""
    with server(folder, 5.0) as running:
        points = [client_cpu(running.url, folder, tokens) for tokens in CPU_TOKENS]
    recording, decoding = (slope_us(points, part) for part in (0, 1))
    ours = recording + decoding
    row(
        "CPU per event, 32 streams x 5 ms",
        f"{ours:.1f} us",
        "",
        f"{recording:.1f} recording, {decoding:.1f} decoding afterwards; slope between two lengths of answer",
    )
    if vllm:
        with server(folder, 5.0) as running:
            theirs = vllm.cpu_per_event_us(running.url, folder)
        row("CPU per event, vllm bench serve", f"{theirs:.1f} us", "", "the same slope")
        row("ratio", f"{ours / theirs:.2f}", "<= 0.6")


CPU_TOKENS = (100, 12100)  # far apart: the start of `vllm` costs many seconds, and never the same


def client_cpu(url: str, folder: Path, tokens: int) -> tuple[float, float, int]:
    """CPU seconds of the workers while the clock ran and after it, and their events."""
    result = measure(
        url, folder, num_prompts=32, max_concurrency=32, input_tokens=32, output_tokens=tokens, workers=1
    ).outcome
    cpu_s, decode_s = (sum(worker[part] for worker in result.workers) for part in ("cpu_s", "decode_s"))
    return cpu_s, decode_s, sum(len(record.event_ns) for record in result.records)


def slope_us(points: Sequence[tuple[float, ...]], part: int) -> float:
    """What one more event costs, in us: part `part` of two points over their events, which come last."""
    first, second = points
    return (second[part] - first[part]) / (second[-1] - first[-1]) * 1e6


def capacity(folder: Path, _vllm: Vllm | None) -> None:
    """Events per second on one worker that each came in a read of their own."""
    for streams, gap in ((128, 10.0), (256, 10.0), (256, 5.0)):
        load = {
            "num_prompts": streams,
            "max_concurrency": streams,
            "input_tokens": 32,
            "output_tokens": 300,
            "workers": 1,
        }
        with server(folder, gap) as running:
            measurement = measure(running.url, folder, **load)
        reads = sum(record.reads for record in measurement.outcome.records)
        coalesced = sum(record.coalesced for record in measurement.outcome.records)
        events = sum(len(record.event_ns) for record in measurement.outcome.records)
        cpu_s = sum(worker["cpu_s"] for worker in measurement.outcome.workers)
        row(
            f"separate events/s, {streams} x {gap:g} ms offered",
            f"{(events - coalesced) / measurement.outcome.vllm_metrics['duration']:,.0f}",
            ">= 20,000",
            f"coalesced {coalesced / events:.1%}; one core would do {reads / cpu_s:,.0f} reads/s",
        )


def prompts(folder: Path, _vllm: Vllm | None) -> None:
    """512 prompts of 8,192 tokens, and whether the server counts them so."""
    with server(folder, 5.0) as running:
        control = Target(access_to(running.url), 30)
        info = control.inspect(None, "openai-chat")
        begun = time.monotonic()
        calibration = control.calibrate(info, "openai-chat", random.Random(1))
        made = random_prompts(calibration, "key", 512, 8192, 2048)
        row(
            "512 prompts of 8,192 tokens",
            f"{time.monotonic() - begun:.2f} s",
            "< 5 s",
            f"{calibration.calls} /tokenize calls",
        )
        count = control.counter(info, "openai-chat")
        exact = sum(count(prompt.content) == 8192 for prompt in made)
        distinct = len({prompt.content for prompt in made})
        row("of them exact and distinct", f"{exact}, {distinct}", "512, 512")
        control.close()


def cold(folder: Path, _vllm: Vllm | None) -> None:
    """Ten runs of one configuration on one server: the share of prompt tokens found in the prefix cache."""
    with server(folder, 1.0) as running:
        load = {"num_prompts": 16, "max_concurrency": 8, "input_tokens": 1024, "output_tokens": 4, "validity": LIMITS}
        facts = [benchmark(running.url, folder, **load) for _ in range(10)]
    rates = [f["server_counters"]["prefix_cache_hits"] / f["server_counters"]["prefix_cache_queries"] for f in facts]
    row(
        "cold-cache hit rate, worst of ten reruns",
        f"{max(rates):.2%}",
        "<= 0.1 %",
        f"{[f['status'] for f in facts].count('ok')} ok",
    )


def start(folder: Path, _vllm: Vllm | None) -> None:
    """From the start of a process like the module's to the arrival of its first measured request."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]; from pathlib import Path; from tests.support.bench import benchmark; "
        "benchmark(sys.argv[3], Path(sys.argv[4]), num_prompts=1, max_concurrency=1, validity={'counter_mismatch': 1})"
    )
    with server(folder, 1.0) as running:
        begun = time.time_ns()
        subprocess.run([sys.executable, "-c", code, *sys.path[:2], running.url, str(folder)], check=True)
        received = min(line["received_ns"] for line in running.sent().values())
    row("process start to first request", f"{(received - begun) / 1e9:.2f} s", "<= 0.5 s", "with probing and prompts")


def memory(folder: Path, _vllm: Vllm | None) -> None:
    """Memory of all client processes for long answers, 128 and 1,000 at once, and the size of the fact."""
    for streams, at_once in ((512, 128), (1000, 1000)):
        load = {"num_prompts": streams, "max_concurrency": at_once, "input_tokens": 64, "output_tokens": 2048}
        with server(folder, 10.0) as running:
            fact = benchmark(running.url, folder, **load, validity=LIMITS)
        parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        total = f"{parent + fact['client']['max_rss_mib']:.0f} MiB"
        events = f"{at_once} at once, parent {parent:.0f}, {fact['client']['events']} events"
        row(f"peak memory, {streams} x 2,048 tokens", total, "<= 300 MB", events)
    row("size of the fact", f"{len(json.dumps(fact)) / 1024:.1f} KiB", "<= 32 KiB", f"status {fact['status']}")


class Vllm:
    """`vllm bench serve` against the same simulator."""

    def __init__(self, image: str | None, tokenizer: str) -> None:
        shell = ["-c", 'vllm "$@" && times', "vllm"]  # `times` ends the output with the CPU time of the children
        mounts = ["-v", f"{tempfile.gettempdir()}:{tempfile.gettempdir()}", "-v", f"{tokenizer}:{tokenizer}:ro"]
        container = [
            "docker",
            "run",
            "--rm",
            "--network",
            "host",
            *mounts,
            "-e",
            "HF_HUB_OFFLINE=1",
            "--entrypoint",
            "sh",
        ]
        self._command = [*container, image, *shell] if image else ["sh", *shell]
        self._tokenizer = tokenizer
        self.cpu_s = 0.0  # of the latest run

    def run(self, url: str, folder: Path, streams: int, tokens: int) -> dict[str, Any]:
        """Its detailed result for `streams` requests at once."""
        result = folder / "vllm.json"
        command = [
            *self._command,
            *("bench", "serve", "--backend", "openai-chat", "--endpoint", "/v1/chat/completions"),
            *("--base-url", url, "--model", "sim", "--tokenizer", self._tokenizer, "--dataset-name", "random"),
            *("--random-input-len", "32", "--random-output-len", str(tokens), "--num-prompts", str(streams)),
            *("--max-concurrency", str(streams), "--seed", str(time.time_ns() % 2**31), "--request-id-prefix", "test-"),
            *("--save-result", "--save-detailed", "--result-dir", str(folder), "--result-filename", result.name),
        ]
        ran = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        spent = re.findall(r"(\d+)m([\d.]+)s", ran.stdout.splitlines()[-1])
        self.cpu_s = sum(60 * int(minutes) + float(seconds) for minutes, seconds in spent)
        return json.loads(result.read_text())

    def arrivals(
        self, url: str, folder: Path, streams: int, tokens: int
    ) -> tuple[dict[str, Sequence[int]], dict[str, Any]]:
        """The times of its messages on the wall clock: its own clock is the monotonic one of the same machine."""
        document = self.run(url, folder, streams, tokens)
        offset = time.time_ns() - time.monotonic_ns()
        arrivals = {}
        for index, (begun, ttft, gaps) in enumerate(zip(document["start_times"], document["ttfts"], document["itls"])):
            times = [begun + ttft]
            for gap in gaps:
                times.append(times[-1] + gap)
            arrivals[f"test-{index}"] = [round(moment * 1e9) + offset for moment in times]
        return arrivals, document

    def cpu_per_event_us(self, url: str, folder: Path) -> float:
        """Its start costs seconds, so: what more events cost, over their number."""
        points = []
        for tokens in CPU_TOKENS:
            document = self.run(url, folder, 32, tokens)
            points.append((self.cpu_s, sum(len(gaps) + 1 for gaps in document["itls"])))
        return slope_us(points, 0)


PARTS: dict[str, Callable[[Path, Vllm | None], None]] = {
    part.__name__: part for part in (clock, cpu, capacity, prompts, cold, start, memory)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS) + " (default: all)")
    parser.add_argument("--image", help="container image with vllm (default: the vllm on PATH, if there is one)")
    parser.add_argument("--tokenizer", help="model or tokenizer folder for vllm")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    installed = arguments.image or shutil.which("vllm")
    vllm = Vllm(arguments.image, arguments.tokenizer) if installed and arguments.tokenizer else None
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    print(
        f"{os.cpu_count()} CPUs, load {load}, Python {sys.version.split()[0]}, vllm {'beside it' if vllm else 'not given'}"
    )
    row("figure", "measured", "target")
    for name in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder), vllm)


if __name__ == "__main__":
    main()
