# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vLLM 0.33, and older releases back to 0.8. Data. The keys are those of `Engine`."""

from __future__ import annotations

from typing import Any

ENGINE: dict[str, Any] = {
    "name": "vllm",
    "title": "vLLM",
    "counters": {
        "prompt_tokens": ("vllm:prompt_tokens_total",),
        "generation_tokens": ("vllm:generation_tokens_total",),
        "prefix_cache_queries": ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
        "prefix_cache_hits": ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
        "preemptions": ("vllm:num_preemptions_total",),
    },
    "phase_seconds": {
        "weights_s": (r"Time spent downloading weights for .*: ([\d.]+) seconds",),
        "load_s": (r"Loading weights took ([\d.]+) seconds",),
        "compile_s": (
            r"torch\.compile .*?(?:took|takes) ([\d.]+) s in total",
            r"Graph capturing finished in ([\d.]+) secs",
        ),
    },
    # On a CPU it gives no seconds of compilation.
    "warm_up": ("Warming up model for the compilation", "Warming up done"),
    "log_time": r" (\d\d-\d\d \d\d:\d\d:\d\d) \[",
    "log_time_format": "%m-%d %H:%M:%S",
    "stages": {
        "loading weights": r"Starting to load model|Loading model from scratch",
        "compiling and warming up": r"Loading weights took|Warming up model",
        "started": r"Application startup complete",
    },
    "log_process": r"\(([^)]*pid=\d+)\)",
    "failure_texts": {
        "gpu_memory": r"Free memory on device .* is less than desired",
        "context_too_long": r"max seq len .* is larger than the maximum number of tokens|No available memory for the cache blocks"
        r"|KV cache is needed|max_model_len .* is greater than the derived max_model_len",
        "unknown_flag": r"invalid (tool call|reasoning) parser",
        "shared_memory_full": r"Insufficient space in /dev/shm",
        "model_missing": r"ensure the presence of a 'config\.json'",
        "out_of_memory": r"is less than requested memory for kv",
    },
    "consequences": r"See root cause above|WorkerProc initialization failed|Worker failed with error|EngineDeadError",
    "memory_share_flag": "--gpu-memory-utilization",
    "context_flag": "--max-model-len",
    # Up to 0.19 the suffix -cu130 is CUDA 13; from 0.20 the plain tag is, and -cu129 is CUDA 12, up to 0.32.
    "image_repository": "vllm/vllm-openai",
    "cuda13_since": (0, 20),
    "cuda12_suffix": "-cu129",
    "cuda12_last": "v0.32.0",
}
