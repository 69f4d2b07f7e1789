# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prompts of an exact length, as the server counts it.

A prompt is a lead word followed by random words, each of which costs exactly one token. Which words do is found out by
asking the server for the count of whole lists, so that no tokenizer is needed here. What the chat template and the lead
cost is found with them, and taken off, so a request has exactly the wanted number of prompt tokens, template included.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from .._errors import Problem, UserError
from .words import LEAD, WORDS

Counter = Callable[[str], int]  # the server's count of prompt tokens for a text, template included

_CHUNK = 64
_FEWEST_WORDS = 16
_ROUNDING = 1e-9  # 100 x 1.1 is 110


@dataclass(frozen=True)
class Calibration:
    """What the server's tokenizer makes of our words. `template_tokens` is the count of the shortest prompt."""

    words: tuple[str, ...]
    template_tokens: int
    calls: int

    def text(self, tokens: int, rng: random.Random, prefix: str | None = None, prefix_tokens: int = 0) -> str:
        """A prompt that the server counts as `tokens` tokens; `prefix`, when given, stands first and is counted in."""
        missing = tokens - (prefix_tokens or self.template_tokens)
        if missing < 1:
            raise UserError(
                Problem(
                    f"A prompt of {tokens} tokens has no room for text.",
                    f"more than the {prefix_tokens or self.template_tokens} tokens of chat template and prefix.",
                    "Raise input_tokens, lower prefix_tokens, or use endpoint_type=openai (no template).",
                )
            )
        return f"{prefix or LEAD} {' '.join(rng.choices(self.words, k=missing))}"


def calibrate(count: Counter, wanted: int, rng: random.Random) -> Calibration:
    """Finds at least `wanted` words of one token each (fewer when the list has no more). Raises UserError."""
    calls = 0

    def tokens(words: Sequence[str]) -> int:
        nonlocal calls
        calls += 1
        return count(" ".join([LEAD, *words]))

    lead = tokens([])

    def single(words: Sequence[str], extra: int) -> list[str]:
        """Those of the words that cost one token, when together they cost `extra` more than one each."""
        if not extra:
            return list(words)
        if len(words) == 1:
            return []
        left, right = words[: len(words) // 2], words[len(words) // 2 :]
        left_extra = tokens(left) - lead - len(left)
        return single(left, left_extra) + single(right, extra - left_extra)

    pool = sorted(rng.sample(WORDS, len(WORDS)), key=len)  # short words are the likelier ones
    found: list[str] = []
    while pool and len(found) < wanted:
        words, pool = pool[:_CHUNK], pool[_CHUNK:]
        found += single(words, tokens(words) - lead - len(words))
    if len(found) < _FEWEST_WORDS:
        raise UserError(
            Problem(
                f"Only {len(found)} of {len(WORDS)} common words are one token each for this server.",
                f"at least {_FEWEST_WORDS}.",
                "Use dataset=file with prompts of your own.",
            )
        )
    return Calibration(tuple(found), lead, calls)


@dataclass(frozen=True)
class Prompt:
    """One request's input. `input_tokens` and `output_tokens` are None where they are not prescribed."""

    content: Any  # a text, or a list of chat messages
    input_tokens: int | None
    output_tokens: int | None


def length_range(tokens: int, ratio: float) -> tuple[int, int]:
    """The bounds of a length: tokens x (1 - ratio) to tokens x (1 + ratio), outward rounded, as in `vllm bench serve`."""
    low, high = tokens * (1 - ratio), tokens * (1 + ratio)
    return max(1, math.floor(low + _ROUNDING)), max(1, math.ceil(high - _ROUNDING))


def random_prompts(
    calibration: Calibration,
    key: str,
    count: int,
    input_tokens: int,
    output_tokens: int,
    range_ratio: float = 0.0,
    prefix_tokens: int = 0,
) -> list[Prompt]:
    """`count` distinct prompts. The same `key` (seed and salt) gives the same prompts, another key shares none.

    `prefix_tokens` of each prompt are common to all (counted from the first token, template included).
    """
    lengths = random.Random(f"{key}/lengths")
    prefix = calibration.text(prefix_tokens, random.Random(f"{key}/prefix")) if prefix_tokens else None
    inputs, outputs = length_range(input_tokens, range_ratio), length_range(output_tokens, range_ratio)
    prompts, seen = [], set()
    for index in range(count):
        size, answer = lengths.randint(*inputs), lengths.randint(*outputs)
        text, attempt = "", 0
        while not text or text in seen:
            text = calibration.text(size, random.Random(f"{key}/{index}/{attempt}"), prefix, prefix_tokens)
            attempt += 1
            if attempt > 100:
                raise UserError(
                    Problem(
                        f"{count} distinct prompts of {size} tokens cannot be made.",
                        "longer prompts.",
                        "Raise input_tokens, or lower num_prompts.",
                    )
                )
        seen.add(text)
        prompts.append(Prompt(text, size, answer))
    return prompts


def file_prompts(path: str, count: int | None, output_tokens: int) -> list[Prompt]:
    """The first `count` prompts (all when None) of a JSONL file. Raises UserError that names the line.

    Each line is an object with `messages` (a chat) or `prompt` (a text), and optionally `output_tokens`.
    """
    try:
        with Path(path).open(encoding="utf-8") as stream:
            lines = [(number, line) for number, line in enumerate(stream, 1) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            Problem(
                f"dataset_path {path!r} cannot be read ({error}).",
                "a JSONL file on the target.",
                "Copy it there first.",
            )
        ) from error
    if not lines or (count or 0) > len(lines):
        raise UserError(
            Problem(
                f"{path} has {len(lines)} prompts.", f"at least {count or 1}.", "Lower num_prompts, or add prompts."
            )
        )
    return [_file_prompt(path, number, line, output_tokens) for number, line in lines[: count or len(lines)]]


def _file_prompt(path: str, number: int, line: str, output_tokens: int) -> Prompt:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    content = entry.get("messages", entry.get("prompt")) if isinstance(entry, dict) else None
    wanted = entry.get("output_tokens", output_tokens) if isinstance(entry, dict) else None
    if not content or not isinstance(content, (str, list)) or not isinstance(wanted, int) or wanted < 1:
        raise UserError(
            Problem(
                f"{path}, line {number}: {line.strip()[:80]!r}.",
                'an object with "messages" or "prompt", and perhaps "output_tokens".',
                "Correct that line.",
            )
        )
    return Prompt(content, None, wanted)


def request_document(
    prompt: Prompt,
    endpoint_type: str,
    model: str,
    sampling: Mapping[str, Any],
    ignore_eos: bool,
    continuous_usage: bool,
) -> dict[str, Any]:
    """The JSON of one request. Raises UserError when the prompt does not fit the endpoint."""
    document: dict[str, Any] = {"model": model}
    if endpoint_type == "openai-chat":
        content = prompt.content
        document["messages"] = [{"role": "user", "content": content}] if isinstance(content, str) else content
        document["max_completion_tokens"] = prompt.output_tokens
    elif isinstance(prompt.content, str):
        document["prompt"] = prompt.content
        document["max_tokens"] = prompt.output_tokens
    else:
        raise UserError(
            Problem(
                "The dataset has chat messages.", "prompts, for endpoint_type=openai.", "Set endpoint_type=openai-chat."
            )
        )
    document.update(sampling)
    document["ignore_eos"] = ignore_eos
    document["stream"] = True
    document["stream_options"] = {"include_usage": True}
    if continuous_usage:
        document["stream_options"]["continuous_usage_stats"] = True
    return document
