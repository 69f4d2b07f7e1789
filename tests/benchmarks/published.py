# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

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

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "playbooks" / "collections")]

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import BY_KEY  # noqa: E402
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.published import flatten  # noqa: E402
from simulator_calibration import timing_of  # noqa: E402

from tests.support.bench import benchmark  # noqa: E402
from tests.support.simulator import simulator  # noqa: E402

PUBLISHED = json.loads((ROOT / "roles" / "report" / "files" / "published" / "LFM2.5-8B-A1B.json").read_text())[
    "results"
]
CELLS = [f"{engine}:{gpu}" for engine in ("vllm", "sglang") for gpu in ("b200", "h100", "a100")]


def measure(cell: str) -> dict[str, Any]:
    """The fact of one cell's run."""
    engine, gpu = cell.split(":")
    with tempfile.TemporaryDirectory() as name:
        options = {"gpu": gpu, "engine": engine, "timing": timing_of(gpu, engine), "send_log": "/dev/null"}
        with simulator(Path(name), **options) as server:
            return benchmark(server.url, Path(name), workload="published", warmup=0)


def rows(cell: str, metrics: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Name, published and measured figure."""
    engine, gpu = cell.split(":")
    published = flatten(PUBLISHED[engine][gpu])
    return [(BY_KEY[key].heading, value, metrics[key]) for key, value in published.items()]


def main() -> None:
    cells = sys.argv[1:] or CELLS
    print(f"{'cell':14}{'figure':18}{'published':>11}{'measured':>11}{'deviation':>11}", flush=True)
    with ProcessPoolExecutor(len(cells)) as pool:
        for cell, fact in zip(cells, pool.map(measure, cells)):
            for name, published, found in rows(cell, fact["metrics"]):
                deviation = (found / published - 1) * 100
                print(f"{cell:14}{name:18}{published:11,.1f}{found:11,.1f}{deviation:+10.1f}%", flush=True)
            print(f"{cell:14}status {fact['status']} {fact['reason'] or ''}", flush=True)


if __name__ == "__main__":
    main()
