"""The main job on real input: deploy the real vLLM, benchmark it, and hold the figures against `vllm bench serve`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.support.progress import say
from tests.support.side_by_side import disagreements, table
from tests.support.vllm_bench import Workload, bench_arguments, run_vllm_bench

from .conftest import MODEL, Host

WORKLOAD = Workload(input_tokens=256, output_tokens=128, num_prompts=64, max_concurrency=8)
PAIRS, MOST_PAIRS = 5, 9
TOLERANCE = 0.10
# Engine, server and client share a few cores here: tokens are sent late and together, and the client waits for its turn. That both
# clients then say the same is what is tested.
VALIDITY = {"coalesced_share": 1.0, "cpu_wait_share": 1.0, "loop_lag_ms": 1000}


def bench_ours(server: Host, workload: Workload, seed: int) -> dict[str, Any]:
    knobs = {f"benchmark_{name}": value for name, value in asdict(workload).items()}
    server.play("bench.yml", f"bench_serve seed {seed}", benchmark_seed=seed, benchmark_validity=VALIDITY, **knobs)
    fact = server.fact("llmfleet_benchmark")
    assert fact["status"] == "ok", fact["reason"]
    return fact["metrics"]


def bench_theirs(server: Host, seed: int, folder: Path) -> dict[str, Any]:
    result = folder / f"vllm-bench-{seed}.json"
    arguments = bench_arguments(WORKLOAD, server.base_url, "lfm25_8b_a1b", seed, result)
    return run_vllm_bench(f"vllm bench serve seed {seed}", server.image, server.checkpoint, arguments, result)


def with_template(workload: Workload, theirs: dict[str, Any]) -> Workload:
    """The workload as bench_serve counts it: `vllm bench serve` adds the chat template's tokens to the length asked for."""
    return replace(workload, input_tokens=theirs["total_input_tokens"] // workload.num_prompts)


def test_both_clients_report_the_same(server: Host, work_dir: Path) -> None:
    """Alternating pairs; where other programs disturb the first five, more pairs join the medians, none leaves them."""
    results = work_dir / "results"
    first = bench_theirs(server, 200, results)  # warms the engine up for both
    workload = with_template(WORKLOAD, first)
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    while len(ours) < PAIRS or (len(ours) < MOST_PAIRS and disagreements(ours, theirs, TOLERANCE)):
        ours.append(bench_ours(server, workload, 101 + len(ours)))
        theirs.append(bench_theirs(server, 201 + len(theirs), results))
    say(f"the same workload on the same server: {workload}\n{table(ours, theirs)}")
    assert disagreements(ours, theirs, TOLERANCE) == []


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
