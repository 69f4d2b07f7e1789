# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The server's own counters, from its Prometheus page. Pure. Private to the collection."""

from __future__ import annotations

import re
from typing import Mapping

# Name here -> the names that vLLM and SGLang have given it, newest first.
_NAMES = {
    "prompt_tokens": ("vllm:prompt_tokens_total", "sglang:prompt_tokens_total"),
    "generation_tokens": ("vllm:generation_tokens_total", "sglang:generation_tokens_total"),
    "prefix_cache_queries": (
        "vllm:prefix_cache_queries_total",
        "vllm:gpu_prefix_cache_queries_total",
        "sglang:prompt_tokens_total",
    ),
    "prefix_cache_hits": (
        "vllm:prefix_cache_hits_total",
        "vllm:gpu_prefix_cache_hits_total",
        "sglang:cached_tokens_total",
    ),
    "preemptions": ("vllm:num_preemptions_total", "sglang:num_retracted_requests_total"),
}
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{[^}]*\})?\s+(\S+)")


def parse_counters(text: str) -> dict[str, float | None]:
    """The counters of a Prometheus text page, summed over their labels; None where the server has none."""
    sums: dict[str, float] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match:
            try:
                value = float(match.group(2))
            except ValueError:
                continue
            sums[match.group(1)] = sums.get(match.group(1), 0.0) + value
    return {name: next((sums[known] for known in known_as if known in sums), None) for name, known_as in _NAMES.items()}


def deltas(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> dict[str, float | None]:
    """What was counted in between; None where a counter is missing, or has gone back because the server restarted."""
    changes: dict[str, float | None] = {}
    for name in _NAMES:
        old, new = before.get(name), after.get(name)
        changes[name] = None if old is None or new is None or new < old else new - old
    return changes
