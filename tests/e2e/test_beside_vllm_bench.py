"""The main job on real input: deploy the real vLLM, benchmark it, and hold the figures against `vllm bench serve`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.progress import say
from tests.support.side_by_side import disagreements, table
from tests.support.vllm_bench import Workload, bench_arguments, run_vllm_bench

from .conftest import Host

WORKLOAD = Workload(input_tokens=256, output_tokens=128, num_prompts=64, max_concurrency=8)
PAIRS = 3
TOLERANCE = 0.10


def bench_ours(server: Host, seed: int) -> dict[str, Any]:
    knobs = {f"benchmark_{name}": value for name, value in asdict(WORKLOAD).items()}
    server.play("bench.yml", f"bench_serve seed {seed}", benchmark_seed=seed, **knobs)
    fact = server.fact("llmfleet_benchmark")
    assert fact["status"] == "ok", fact["reason"]
    return fact["metrics"]


def bench_theirs(server: Host, seed: int, folder: Path) -> dict[str, Any]:
    result = folder / f"vllm-bench-{seed}.json"
    arguments = bench_arguments(WORKLOAD, server.base_url, "lfm25_8b_a1b", seed, result)
    return run_vllm_bench(f"vllm bench serve seed {seed}", server.image, server.checkpoint, arguments, result)


def test_both_clients_report_the_same(server: Host, work_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = work_dir / "results"
    bench_theirs(server, 0, results)  # warms the engine up for both
    ours, theirs = [], []
    for pair in range(PAIRS):
        ours.append(bench_ours(server, 101 + pair))
        theirs.append(bench_theirs(server, 201 + pair, results))
    with capsys.disabled():
        say(f"the same workload on the same server: {WORKLOAD}\n{table(ours, theirs)}")
    assert disagreements(ours, theirs, TOLERANCE) == []
