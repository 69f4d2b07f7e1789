# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`vllm bench serve` itself, run from the serving image: the measure that ours is held against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.progress import run_step

_MODEL = "/model"


@dataclass(frozen=True)
class Workload:
    """What both clients send."""

    input_tokens: int
    output_tokens: int
    num_prompts: int
    max_concurrency: int


def bench_arguments(workload: Workload, base_url: str, served_model_name: str, seed: int, result: Path) -> list[str]:
    """The published benchmark's command, with what it lacks today: the chat endpoint, a seed per run, a temperature, all metrics."""
    return [
        *("bench", "serve", "--backend", "openai-chat", "--endpoint", "/v1/chat/completions"),
        *("--model", _MODEL, "--served-model-name", served_model_name, "--base-url", base_url),
        *("--dataset-name", "random", "--random-input-len", str(workload.input_tokens)),
        *("--random-output-len", str(workload.output_tokens), "--num-prompts", str(workload.num_prompts)),
        *("--max-concurrency", str(workload.max_concurrency), "--seed", str(seed), "--temperature", "0"),
        *("--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,99"),
        *("--save-result", "--result-dir", str(result.parent), "--result-filename", result.name),
    ]


def run_vllm_bench(
    title: str, image: str, checkpoint: Path, arguments: Sequence[str], result: Path, timeout_s: float = 600
) -> dict[str, Any]:
    """Run it beside the server and give its result file; `result` must be the path named in the arguments."""
    result.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *("docker", "run", "--rm", "--network", "host", "--env", "HF_HUB_OFFLINE=1", "--env", "VLLM_NO_USAGE_STATS=1"),
        *("--volume", f"{checkpoint}:{_MODEL}:ro", "--volume", f"{result.parent}:{result.parent}"),
        *("--entrypoint", "vllm", image, *arguments),
    ]
    run_step(title, command, result.with_suffix(".log"), timeout_s=timeout_s)
    return json.loads(result.read_text())
