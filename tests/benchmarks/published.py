"""The published workload in real time, through sockets: the simulator measured by our own client, beside the published figures.

    python tests/benchmarks/published.py                       six cells, all at once: 10 minutes, two CPUs a cell
    python tests/benchmarks/published.py vllm:h100             one cell, 5 minutes

Prints one row a figure; nothing fails here. As at the source there is no warm-up.
"""

from __future__ import annotations

import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "playbooks" / "collections")]

from tests.support.bench import benchmark  # noqa: E402
from tests.support.simulator import simulator  # noqa: E402

PUBLISHED = json.loads((ROOT / "roles" / "report" / "files" / "published" / "LFM2.5-8B-A1B.json").read_text())[
    "results"
]
CELLS = [f"{engine}:{gpu}" for engine in ("vllm", "sglang") for gpu in ("b200", "h100", "a100")]


def measure(cell: str) -> dict[str, Any]:
    """The fact of one cell's run."""
    engine, gpu = cell.split(":")
    profile = yaml.safe_load((ROOT / "group_vars" / f"{gpu}.yml").read_text())["gpu_profile"]
    with tempfile.TemporaryDirectory() as name:
        options = {"gpu": gpu, "engine": engine, "timing": profile["simulated_timing"][engine], "send_log": "/dev/null"}
        with simulator(Path(name), **options) as server:
            return benchmark(server.url, Path(name), workload="published", warmup=0)


def rows(cell: str, metrics: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Name, published and measured figure."""
    engine, gpu = cell.split(":")
    told = PUBLISHED[engine][gpu]
    found = [
        ("output tok/s", told["output_tok_s"], metrics["output_throughput"]),
        ("per-user tok/s", told["per_user_tok_s"], metrics["per_user_output_throughput"]),
        ("total tok/s", told["total_tok_s"], metrics["total_token_throughput"]),
    ]
    for name in ("ttft", "tpot", "itl"):
        for kind in ("mean", "p99"):
            found.append((f"{kind} {name.upper()} (ms)", told[f"{name}_ms"][kind], metrics[f"{kind}_{name}_ms"]))
    return found


def main() -> None:
    cells = sys.argv[1:] or CELLS
    print(f"{'cell':14}{'figure':18}{'published':>11}{'measured':>11}{'deviation':>11}", flush=True)
    with ProcessPoolExecutor(len(cells)) as pool:
        for cell, fact in zip(cells, pool.map(measure, cells)):
            for name, told, found in rows(cell, fact["metrics"]):
                print(f"{cell:14}{name:18}{told:11,.1f}{found:11,.1f}{(found / told - 1) * 100:+10.1f}%", flush=True)
            print(f"{cell:14}status {fact['status']} {fact['reason'] or ''}", flush=True)


if __name__ == "__main__":
    main()
