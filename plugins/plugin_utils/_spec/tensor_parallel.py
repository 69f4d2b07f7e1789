# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Over how many GPUs one instance of a model is spread: chosen from the model's recipe and the host's GPUs, or judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

LARGEST = 64  # GPUs of one instance that a message may ask for; a host has fewer

Gpus = Sequence[Mapping[str, Any]]


def is_divisor(recipe: Mapping[str, Any], size: int) -> bool:
    """Whether the engines can divide the model among so many GPUs.

    Attention heads are divided; key-value heads are divided or repeated (vLLM's and SGLang's assertions in their model files).
    Of a model without these figures the powers of two.
    """
    heads, kv_heads = recipe.get("attention_heads"), recipe.get("kv_heads")
    if not heads:
        return size & (size - 1) == 0
    repeated = not kv_heads or kv_heads % size == 0 or size % kv_heads == 0
    return bool(heads % size == 0 and repeated)


def smallest_size(recipe: Mapping[str, Any], need_gib: float, gpu_mib: float) -> int | None:
    """The smallest number of GPUs of `gpu_mib` each that has the memory; None where no number does."""
    sizes = (size for size in range(1, LARGEST + 1) if is_divisor(recipe, size))
    return next((size for size in sizes if size * gpu_mib >= need_gib * 1024), None)


def tensor_parallel_size(asked: int, release: str, recipe: Mapping[str, Any], gpus: Gpus) -> int:
    """The operator's size, or for 0 the smallest that the recipe's memory asks for.

    Where the host has fewer GPUs than that, the smallest that holds the weights (its context will be short). One for the published
    benchmark, for a model without a recipe and where the memory cannot be read.
    """
    smallest = _smallest_mib(gpus)
    if asked or release == "published" or smallest is None:
        return asked or 1
    needs = (recipe.get("min_gpu_memory_gib", 0), recipe.get("weights_gib", 0))
    sizes = [smallest_size(recipe, need, smallest) or LARGEST for need in needs]
    return next((size for size in sizes if size <= len(gpus)), sizes[-1])


def size_problems(model: str, asked: int, size: int, recipe: Mapping[str, Any], gpus: Gpus) -> list[Problem]:
    """Why a model cannot run on `size` GPUs of this host; `asked` is what the operator set, 0 for the recipe's word."""
    smallest = _smallest_mib(gpus)
    faults = _division_problems(model, asked, recipe)
    weights = recipe.get("weights_gib", 0)
    if faults or smallest is None or asked < 0 or (smallest * size >= weights * 1024 and (asked or size <= len(gpus))):
        return faults
    need = smallest_size(recipe, weights, smallest)
    expected = f"{need or f'more than {LARGEST}'} of them, for the {weights} GiB of its weights"
    found = f"{model} on {size} GPU(s)" if asked else model
    having = f"{found}: the host has {len(gpus)} GPU(s) of {smallest // 1024} GiB"
    return [Problem(having, expected, _remedy(need, len(gpus)))]


def _remedy(need: int | None, have: int) -> str:
    if need and need <= have:
        return f"set inference_server_tensor_parallel_size: {need}, or 0 to have it chosen"
    return "take a host with more GPUs or larger ones, or set inference_server_model to a smaller model"


def _division_problems(model: str, asked: int, recipe: Mapping[str, Any]) -> list[Problem]:
    if asked < 1 or not recipe.get("attention_heads") or is_divisor(recipe, asked):
        return []
    sizes = ", ".join(str(size) for size in range(1, LARGEST + 1) if is_divisor(recipe, size))
    return [
        Problem(
            f"inference_server_tensor_parallel_size is {asked}",
            f"one of {sizes}, among which the {recipe['attention_heads']} attention heads of {model} can be divided",
            "set one of them, or 0 to have it chosen",
        )
    ]


def _smallest_mib(gpus: Gpus) -> int | None:
    """Memory of the smallest GPU; None where the host has none or its memory cannot be read."""
    sizes = [gpu["memory_total_mib"] for gpu in gpus if gpu.get("memory_total_mib")]
    return min(sizes) if sizes else None
