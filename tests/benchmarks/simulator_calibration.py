#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold the simulator's timing per GPU and engine against the published figures, in virtual time. The files are those of
roles/inference_server/vars/simulated_timing/.

    tests/benchmarks/simulator_calibration.py                    check the files, print the table
    tests/benchmarks/simulator_calibration.py --fit h100 vllm    fit one cell again, print its timing

What is fitted and what is not: the cost of reading experts and KV cache is the bytes moved over the card's peak memory
bandwidth; the step budget is the engine's default for the card or the nearest plausible one; the rest (decode base,
prefill cost, front end, behaviour after idleness, jitter) is found by Nelder-Mead on the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "roles" / "inference_server" / "files"), str(ROOT / "playbooks" / "collections")]
import llmfleet_simulator as simulator  # noqa: E402
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.published import flatten  # noqa: E402

TIMINGS = ROOT / "roles" / "inference_server" / "vars" / "simulated_timing"
PUBLISHED = ROOT / "roles" / "report" / "files" / "published" / "LFM2.5-8B-A1B.json"
REACTION_S = (
    0.001  # from the last token of an answer to the arrival of the next request; between the first requests half
)
TEMPLATE_TOKENS = 12  # what the simulator's chat template adds to a prompt, unless the client's length counts it in
# Clients that a fit has to suit, (reaction in seconds, tokens above the length asked for). A step more or less of queue is
# seen in the TTFT, and a prompt of 8192 tokens fits a step of 8192, one of 8204 does not.
CLIENTS = ((0.0003, 0), (0.002, 0), (0.002, TEMPLATE_TOKENS), (0.005, TEMPLATE_TOKENS))
Figures = dict[str, float]


def percentile(ordered: Sequence[tuple[float, float]], share: float) -> float:
    """The value below which `share` of the weight lies; (value, weight) pairs in order of value."""
    rank = share * (sum(weight for _, weight in ordered) - 1)
    for value, weight in ordered:
        rank -= weight
        if rank < 0:
            return value
    return ordered[-1][0]


class GapRecorder:
    """Inter-token gaps of all streams, from one call per step, counted by weight rather than one by one."""

    def __init__(self, merge_every: int) -> None:
        self.gaps: list[tuple[float, float]] = []
        self._merge = merge_every
        self._phases: dict[int, int] = {}  # with merging: streams by the decode step of their first token, modulo
        self._fresh: list[float] = []  # first tokens since the last decode step
        self._ends = (0.0, 0.0)  # of the last two decode steps
        self._steps = 0

    def decode(self, end: float, streams: int) -> None:
        """A decode step has given a token to so many streams, those of first() included."""
        self._steps += 1
        gap, double = end - self._ends[1], end - self._ends[0]
        old = streams - len(self._fresh)
        if self._merge:
            held = self._phases.get((self._steps + 1) % self._merge, 0)
            after = self._phases.get(self._steps % self._merge, 0)
            self.gaps.append((double, min(after, old)))
            old -= held + after
        self.gaps.append((gap, max(old, 0)))
        self.gaps.extend((end - first, 1) for first in self._fresh)
        self._fresh.clear()
        self._ends = (self._ends[1], end)

    def first(self, end: float) -> None:
        self._fresh.append(end)
        if self._merge:
            phase = self._steps % self._merge
            self._phases[phase] = self._phases.get(phase, 0) + 1

    def last(self, first_step: int) -> None:
        if self._merge:
            self._phases[first_step % self._merge] -= 1

    @property
    def steps(self) -> int:
        return self._steps


def closed_loop(
    timing: Any,
    engine: str,
    input_tokens: int = 8192,
    output_tokens: int = 2048,
    num_prompts: int = 512,
    max_concurrency: int = 32,
    reaction_s: float = REACTION_S,
    extra_tokens: int = 0,
) -> Figures:
    """Run a workload in virtual time; figures under the names of vllm bench serve (times in ms)."""
    scheduler = simulator.Scheduler(timing, engine)
    sent: dict[Any, float] = {}
    ttft: dict[Any, float] = {}
    first_step: dict[Any, int] = {}
    tpots: list[float] = []
    recorder = GapRecorder(timing.merge_every)

    def submit(now: float) -> None:
        job = simulator.Job(input_tokens + extra_tokens, output_tokens)
        sent[job] = now
        scheduler.submit(job, now)

    for index in range(min(max_concurrency, num_prompts)):
        submit(index * REACTION_S / 2)
    now, end = scheduler.next_ready(), 0.0
    while now is not None:
        planned = scheduler.begin(now)
        if planned is None:
            now = scheduler.next_ready()
            continue
        now = end = planned
        step = scheduler.finish()
        old = len(step.decoded) + len(step.finished) - len(step.first)
        if old:
            recorder.decode(end, old)
        for job in step.first:
            ttft[job] = end - sent[job]
            first_step[job] = recorder.steps
            recorder.first(end)
        for job in step.finished:
            tpots.append((end - sent[job] - ttft[job]) / max(output_tokens - 1, 1))
            recorder.last(first_step[job])
            if len(sent) < num_prompts:
                submit(end + reaction_s)
    return summarize(end, output_tokens, input_tokens, list(ttft.values()), tpots, recorder.gaps)


def summarize(
    duration: float,
    output_tokens: int,
    input_tokens: int,
    ttfts: Sequence[float],
    tpots: Sequence[float],
    gaps: Sequence[tuple[float, float]],
) -> Figures:
    """The published figures of a run; input is counted without the chat template, as in the source."""
    output = len(tpots) * output_tokens / duration
    figures = {
        "output_throughput": output,
        "total_token_throughput": output * (input_tokens + output_tokens) / output_tokens,
        "per_user_output_throughput": len(tpots) / sum(tpots),
    }
    for name, values in (("ttft", [(x, 1.0) for x in ttfts]), ("tpot", [(x, 1.0) for x in tpots]), ("itl", gaps)):
        figures[f"mean_{name}_ms"] = 1e3 * sum(x * w for x, w in values) / max(sum(w for _, w in values), 1)
        figures[f"p99_{name}_ms"] = 1e3 * percentile(sorted(values), 0.99)
    return figures


def published_figures(gpu: str, engine: str) -> Figures:
    """What the source prints for a cell, under the same names."""
    return flatten(json.loads(PUBLISHED.read_text())["results"][engine][gpu])


def deviations(simulated: Figures, published: Figures) -> Figures:
    """Relative deviation of each figure."""
    return {name: simulated[name] / value - 1.0 for name, value in published.items()}


def nelder_mead(
    loss: Callable[[list[float]], float], start: Sequence[float], spread: float = 0.15, iterations: int = 150
) -> list[float]:
    """Minimise a function of positive parameters; plain Nelder-Mead with reflection, expansion, contraction, shrink."""
    points = [list(start)]
    for i in range(len(start)):
        points.append([x * (1 + spread) if i == j else x for j, x in enumerate(start)])
    scored = sorted((loss(point), point) for point in points)
    for _ in range(iterations):
        centre = [sum(column) / (len(scored) - 1) for column in zip(*(p for _, p in scored[:-1]))]

        def towards(factor: float, centre: list[float] = centre) -> tuple[float, list[float]]:
            point = [max(c + factor * (w - c), 1e-9) for c, w in zip(centre, scored[-1][1])]
            return loss(point), point

        reflected = towards(-1.0)
        if reflected[0] < scored[0][0]:
            scored[-1] = min(reflected, towards(-2.0))
        elif reflected[0] < scored[-2][0]:
            scored[-1] = reflected
        else:
            contracted = towards(0.5)
            if contracted[0] < scored[-1][0]:
                scored[-1] = contracted
            else:
                best = scored[0][1]
                shrunk = [[(x + b) / 2 for x, b in zip(point, best)] for _, point in scored[1:]]
                scored[1:] = [(loss(point), point) for point in shrunk]
        scored.sort()
    return scored[0][1]


# -- the cells: what is known, what is searched, where the search starts

BANDWIDTH_TB_S = {"b200": 8.0, "h100": 3.35, "a100": 2.0}  # the cards' peaks
EXPERT_GB, KV_BYTES_PER_TOKEN = 15.5, 12288  # LFM2.5-8B-A1B in BF16: 22 layers x 32 experts x 11 M; 6 attention layers
COLD_TOKENS = 32 * 8192  # one burst of the published workload
STEP_TOKENS = {
    # vLLM's defaults for A100 and H100; on B200 its 16384 cannot give an ITL P99 of 24.5 ms, 4096 does
    "vllm": {"b200": 4096, "h100": 8192, "a100": 2048},
    "sglang": {"b200": 16384, "h100": 8192, "a100": 8192},
}
MERGE_EVERY = {("b200", "vllm"): 15}  # its mean ITL is 1.07 x its mean TPOT: some events carry several tokens
FRONTEND_MS = {("b200", "sglang"): 40.0}  # not to be told from the rest of the TTFT there: near the other cells
JITTER = {"vllm": 0.02}  # hidden there behind the steps that carry prefill


def known_timing(gpu: str, engine: str) -> dict[str, float]:
    """The parameters of a cell that are not fitted."""
    known = {
        "decode_expert_ms": round(EXPERT_GB / BANDWIDTH_TB_S[gpu], 2),
        "expert_share": 0.125,
        "decode_us_per_sequence": 3.0,
        "decode_ns_per_context_token": round(KV_BYTES_PER_TOKEN / BANDWIDTH_TB_S[gpu] / 1e3, 2),
        "prefill_base_ms": 0.5,
        "step_tokens": STEP_TOKENS[engine][gpu],
        "cold_tokens": COLD_TOKENS,
    }
    if (gpu, engine) in MERGE_EVERY:
        known["merge_every"] = MERGE_EVERY[gpu, engine]
    if (gpu, engine) in FRONTEND_MS:
        known["frontend_ms"] = FRONTEND_MS[gpu, engine]
    if engine in JITTER:
        known["jitter"] = JITTER[engine]
    return known


def fit(gpu: str, engine: str) -> dict[str, float]:
    """The timing of a cell. The loss is the sum of (deviation / 5 %)^4, which keeps the largest one small."""
    known, published = known_timing(gpu, engine), published_figures(gpu, engine)
    start = {
        "frontend_ms": 50.0,
        "decode_base_ms": 2.0,
        "prefill_us_per_token": {"b200": 5.0, "h100": 7.0, "a100": 24.0}[gpu],
        "cold_factor": {"b200": 1.8, "h100": 1.6, "a100": 1.2}[gpu],
        "jitter": 0.05,
    }
    free = [name for name in start if name not in known]

    def timing(point: Sequence[float]) -> dict[str, float]:
        return {**known, **{name: float(f"{x:.3g}") for name, x in zip(free, point)}}

    def loss(point: Sequence[float]) -> float:
        made = simulator.Timing(**timing(point))
        runs = (closed_loop(made, engine, reaction_s=s, extra_tokens=extra) for s, extra in CLIENTS)
        return sum((d / 0.05) ** 4 for run in runs for d in deviations(run, published).values())

    best = timing(nelder_mead(loss, [start[name] for name in free]))
    return {name: best[name] for name in simulator.Timing._fields if name in best}


def timing_of(gpu: str, engine: str) -> dict[str, float]:
    """What the simulator is told of a cell."""
    return yaml.safe_load((TIMINGS / f"{gpu}.yml").read_text())["__inference_server_simulated_timing"][engine]


def print_cell(gpu: str, engine: str, timing: dict[str, float]) -> float:
    """Print published, simulated and deviation of each figure, exact prompts first; the largest deviation."""
    published = published_figures(gpu, engine)
    runs = [closed_loop(simulator.as_timing(timing), engine, extra_tokens=extra) for extra in (0, TEMPLATE_TOKENS)]
    aparts = [deviations(run, published) for run in runs]
    for name, value in published.items():
        pairs = (f"{run[name]:10.1f} {apart[name]:+8.1%}" for run, apart in zip(runs, aparts))
        print(f"{gpu:5} {engine:7} {name:27} {value:10.1f} {' '.join(pairs)}")
    return max(abs(d) for apart in aparts for d in apart.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", nargs=2, metavar=("GPU", "ENGINE"), help="fit one cell again (some minutes)")
    cell = parser.parse_args().fit
    print(
        f"{'gpu':5} {'engine':7} {'figure':27} {'published':>10} {'simulated':>10} {'apart':>8} {'+template':>10} {'apart':>8}"
    )
    if cell:
        timing = fit(*cell)
        print_cell(cell[0], cell[1], timing)
        print(json.dumps(timing, indent=2))
        return 0
    worst = [print_cell(gpu, engine, timing_of(gpu, engine)) for engine in STEP_TOKENS for gpu in BANDWIDTH_TB_S]
    print(f"largest deviation {max(worst):.1%}; published labels vllm and sglang are inferred")
    return int(max(worst) > 0.05)


if __name__ == "__main__":
    sys.exit(main())
