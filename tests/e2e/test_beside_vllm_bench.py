# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job on real input: deploy the real vLLM, benchmark it, and hold the figures against `vllm bench serve`."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import benchmark
from tests.support.progress import say
from tests.support.side_by_side import disagreements, table
from tests.support.vllm_bench import Workload, bench_arguments, run_vllm_bench

from .conftest import MODEL, Host

WORKLOAD = Workload(input_tokens=256, output_tokens=128, num_prompts=64, max_concurrency=8)
PAIRS, MOST_PAIRS = 5, 9
TOLERANCE = 0.10  # how far the medians may be apart on a machine that engine, server and both clients share
# Engine, server and client share a few cores here: tokens are sent late and together, and the client waits for its turn. That both
# clients then say the same is what is tested.
VALIDITY = {"coalesced_share": 1.0, "cpu_wait_share": 1.0, "loop_lag_ms": 1000}
# Of two loads at once the server's counters know the sum.
SHARED = {**VALIDITY, "counter_mismatch": 2.0, "prefix_hit_rate": 1.0}

Pair = tuple[dict[str, Any], dict[str, Any]]


def bench_ours(server: Host, workload: Workload, seed: int) -> dict[str, Any]:
    knobs = {f"benchmark_{name}": value for name, value in asdict(workload).items()}
    server.play("bench.yml", f"bench_serve seed {seed}", benchmark_seed=seed, benchmark_validity=VALIDITY, **knobs)
    fact = server.fact("llmfleet_benchmark")
    assert fact["status"] == "ok", fact["reason"]
    return fact["metrics"]


def bench_theirs(server: Host, workload: Workload, seed: int, folder: Path) -> dict[str, Any]:
    result = folder / f"vllm-bench-{seed}.json"
    arguments = bench_arguments(workload, server.base_url, "lfm25_8b_a1b", seed, result)
    return run_vllm_bench(f"vllm bench serve seed {seed}", server.image, server.checkpoint, arguments, result)


def wait_for_load(server: Host, requests: int, load: Future[Any]) -> None:
    """Until so many requests run on the server, or the load has ended."""
    running = 0.0
    while running < requests and not load.done():
        time.sleep(0.05)
        with urllib.request.urlopen(f"{server.base_url}/metrics", timeout=10) as answer:
            running = sum(
                map(float, re.findall(r"^vllm:num_requests_running\{.*\} (\S+)", answer.read().decode(), re.M))
            )


def with_template(workload: Workload, theirs: dict[str, Any]) -> Workload:
    """The workload as bench_serve counts it: `vllm bench serve` adds the chat template's tokens to the length asked for."""
    return replace(workload, input_tokens=theirs["total_input_tokens"] // workload.num_prompts)


def differences(title: str, run_pair: Callable[[int], Pair]) -> list[str]:
    """What the clients disagree on by the medians of five pairs. Where those differ, more pairs join them; none leaves them."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    while len(ours) < PAIRS or (len(ours) < MOST_PAIRS and disagreements(ours, theirs, TOLERANCE)):
        one, other = run_pair(len(ours))
        ours.append(one)
        theirs.append(other)
    say(f"{title}\n{table(ours, theirs)}")
    return disagreements(ours, theirs, TOLERANCE)


@pytest.fixture(scope="module")
def counted(server: Host, work_dir: Path) -> Workload:
    """The workload as both clients count it, from a run that warms the engine up for them."""
    return with_template(WORKLOAD, bench_theirs(server, WORKLOAD, 200, work_dir / "results"))


def at_once(server: Host, counted: Workload, folder: Path, seed: int) -> Pair:
    """Half of the load from each client: both look at the same steps of the same engine, and the machine's own speed is no part of
    what they differ by."""
    half = WORKLOAD.max_concurrency // 2
    ours, theirs = replace(counted, max_concurrency=half), replace(WORKLOAD, max_concurrency=half)
    with ThreadPoolExecutor() as pool:
        other = pool.submit(bench_theirs, server, theirs, seed, folder)
        wait_for_load(server, half, other)
        fact = benchmark(server.base_url, folder, validity=SHARED, seed=seed + 100, **asdict(ours))
        assert fact["status"] == "ok", fact["reason"]
        return fact["metrics"], other.result()


def test_both_clients_report_the_same_in_turn(server: Host, counted: Workload, work_dir: Path) -> None:
    def pair(number: int) -> Pair:
        return (
            bench_ours(server, counted, 101 + number),
            bench_theirs(server, WORKLOAD, 201 + number, work_dir / "results"),
        )

    assert differences(f"the same workload on the same server, in turn: {counted}", pair) == []


def test_both_clients_report_the_same_at_once(server: Host, counted: Workload, work_dir: Path) -> None:
    def pair(number: int) -> Pair:
        return at_once(server, counted, work_dir / "results", 301 + number)

    assert differences(f"half of it from each client, at once: {counted}", pair) == []


def test_the_sources_own_command_fills_the_same_schema(server: Host) -> None:
    """Client `vllm`: the command of the published figures, run from the serving image, with its own file kept."""
    workload = replace(WORKLOAD, num_prompts=16)
    knobs = {f"benchmark_{name}": value for name, value in asdict(workload).items()}
    server.play(
        "bench.yml",
        "client vllm",
        benchmark_client="vllm",
        benchmark_vllm_tokenizer=MODEL,
        benchmark_vllm_volumes=[f"{server.checkpoint}:{MODEL}:ro"],
        **knobs,
    )
    fact = server.fact("llmfleet_benchmark")
    assert (fact["status"], fact["reason"], fact["client"]["name"]) == ("ok", None, "vllm")
    metrics = fact["metrics"]
    assert (metrics["completed"], metrics["failed"]) == (16, 0)
    assert metrics["total_output_tokens"] == 16 * 128 == fact["server_counters"]["generation_tokens"]
    assert metrics["total_input_tokens"] == fact["server_counters"]["prompt_tokens"]
    assert 0 < metrics["mean_tpot_ms"] <= metrics["p99_tpot_ms"]
    [raw] = Path(fact["record_path"]).parent.glob("vllm-*.json")
    assert json.loads(raw.read_text())["output_throughput"] == metrics["output_throughput"]
