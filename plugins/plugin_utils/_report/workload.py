# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names a workload, and says whether it is the published one. Pure."""

from __future__ import annotations

from typing import Any

from .._plain import sequence

PUBLISHED_KEYS = ("input_tokens", "output_tokens", "num_prompts", "max_concurrency", "dataset", "ignore_eos")
_PLAIN = {"range_ratio": 0, "prefix_tokens": 0, "endpoint_type": "openai-chat"}  # named only where it differs


def label(workload: dict[str, Any]) -> str:
    """One line by which two workloads can be distinguished: tokens in/out, prompts, concurrency, rate, data set."""
    if not workload:
        return "unknown workload"
    parts = [
        f"{workload.get('input_tokens', '?')} in / {workload.get('output_tokens', '?')} out tokens",
        f"{workload.get('num_prompts', '?')} prompts",
        f"{_concurrency(workload)} concurrent",
    ]
    rate = workload.get("request_rate", "inf")
    if not unlimited(rate):
        parts.append(f"{rate} requests/s")
    parts.append(str(workload.get("dataset", "?")))
    return ", ".join(parts + [f"{key} {workload[key]}" for key in _unlike(workload)])


def _unlike(workload: dict[str, Any]) -> list[str]:
    return [key for key, usual in _PLAIN.items() if workload.get(key, usual) not in (usual, None)]


def _concurrency(workload: dict[str, Any]) -> str:
    levels = sequence(workload.get("sweep"))
    return f"best of {'/'.join(map(str, levels))}" if levels else str(workload.get("max_concurrency", "?"))


def unlimited(rate: Any) -> bool:
    """Whether requests are sent as fast as the concurrency allows (vLLM's `--request-rate inf`)."""
    return rate is None or str(rate).lower() in ("inf", "infinity")


def differences(workload: dict[str, Any], published: dict[str, Any]) -> list[str]:
    """What keeps `workload` from being the published one, a phrase each; empty when the figures may be compared."""
    phrases = [
        f"{key} {workload.get(key)} instead of {published[key]}"
        for key in PUBLISHED_KEYS
        if key in published and workload.get(key) != published[key]
    ]
    phrases += [f"{key} {workload[key]} instead of {_PLAIN[key]}" for key in _unlike(workload)]
    if sequence(workload.get("sweep")):
        phrases.append("the best of a sweep instead of one concurrency")
    if not unlimited(workload.get("request_rate")):
        phrases.append(f"request_rate {workload.get('request_rate')} instead of inf")
    return phrases
