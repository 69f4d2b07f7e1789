# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SGLang 0.5. Data. The keys are those of `Engine`."""

from __future__ import annotations

from typing import Any

ENGINE: dict[str, Any] = {
    "name": "sglang",
    "title": "SGLang",
    "counters": {
        "prompt_tokens": ("sglang:prompt_tokens_total",),
        "generation_tokens": ("sglang:generation_tokens_total",),
        # Every prompt is looked up in the radix cache; there is no counter of its own for that.
        "prefix_cache_queries": ("sglang:prompt_tokens_total",),
        "prefix_cache_hits": ("sglang:cached_tokens_total",),
        "preemptions": ("sglang:num_retracted_requests_total",),
    },
    "counters_appear_late": True,
    "version_paths": ("/server_info", "/get_server_info"),  # the second is the older name
    "phase_seconds": {
        "load_s": (
            r"Load weight end\. elapsed=([\d.]+) s",
            r"Load weight end\. Committed real weights after CUDA graph capture in ([\d.]+) s",  # 0.5.23, loading beside the capture
        ),
        "compile_s": (r"Capture .*cuda graph end\. (?:Time elapsed: |elapsed=)([\d.]+) s",),
    },
    "stages": {
        "loading weights": r"Load weight begin",
        "compiling and warming up": r"Load weight end",
        "started": r"Application startup complete|fired up and ready",
    },
    "log_process": r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ?([^\]]*)\]",
    "failure_texts": {
        # Each asks for a larger share, where an ordinary lack of GPU memory wants a smaller one.
        "memory_share_too_small": r"Not enough GPU memory for hybrid|Not enough memory\. Please try to increase --mem-fraction-static"
        r"|state cache is too small to serve|leave no GPU memory for the KV cache",
        "context_too_long": r"context_length \(\d+\) is greater than the derived context_length",
        "attention_backend": r"does not support \w+ attention backend",
    },
    "memory_share_flag": "--mem-fraction-static",
    "context_flag": "--context-length",
    # Its release workflow: from 0.5.23 the plain tag is CUDA 13, and -cu129 is CUDA 12.
    "image_repository": "lmsysorg/sglang",
    "cuda13_since": (0, 5, 23),
    "cuda12_suffix": "-cu129",
}
