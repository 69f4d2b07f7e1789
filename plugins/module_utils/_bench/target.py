# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark asks the server apart from the load itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional

from .._errors import Problem, UserError
from .._openai.client import Answer, ControlClient
from .._openai.counters import deltas, parse_counters
from .._openai.documents import token_count
from .._openai.endpoint import Access
from .._openai.models import LISTED, REFUSED, Identity, context_tokens, identify, listed_names, models_of
from .prompts import Calibration, Counter, Prompt, calibrate
from .settings import ENDPOINTS

_WORDS_BY_TOKENIZE = 256
_WORDS_BY_USAGE = 32
_COUNTERS_SETTLE_S = 2.0
_COUNTING_LIMITS = 10

Counts = Dict[str, Optional[float]]


@dataclass(frozen=True)
class TargetInfo:
    """What the server says of itself. `max_model_len` is None where it does not say.

    `has_tokenize` is for the endpoint that is measured: some servers count a text and not a chat.
    """

    model: str
    max_model_len: int | None
    version: str
    simulated: bool
    has_tokenize: bool


class Target:
    """The server's control side."""

    def __init__(self, access: Access, timeout_s: float) -> None:
        """`timeout_s` limits each question."""
        self._client, self._timeout_s = ControlClient(access, timeout_s), timeout_s
        self._url = access.endpoint.url
        self._has_key = bool(access.api_key)

    def close(self) -> None:
        self._client.close()

    def give_up_when(self, cancelled: Callable[[], bool]) -> None:
        """From now on no question is waited for much longer once `cancelled` says so."""
        self._client.cancelled = cancelled

    def inspect(self, wanted_model: str | None, endpoint_type: str) -> TargetInfo:
        """Checks that the server answers and serves the model (its only one when None is wanted). Raises UserError."""
        answer = self._client.get("/v1/models")
        models = self._models(answer)
        model = self._choose_model(wanted_model, models)
        identity = self._identity()
        return TargetInfo(
            model=model,
            max_model_len=context_tokens(models[model]),
            version=identity.version or "",
            simulated=identity.simulated,
            has_tokenize=self._tokenize(tokenize_document(model, endpoint_type, "a")) is not None,
        )

    def _identity(self) -> Identity:
        return identify(self._client.get)

    def version(self) -> str:
        """The engine's version as it says now; empty where it does not say, or does not answer any more."""
        try:
            return self._identity().version or ""
        except UserError:
            return ""

    def _models(self, answer: Answer) -> Mapping[str, Mapping[str, Any]]:
        """The entries of `/v1/models` by name. Raises UserError when it is no such list."""
        models = models_of(answer.status, answer.body)
        if models.kind == REFUSED:
            raise UserError(
                Problem(
                    f"{self._url} refuses the API key (HTTP {answer.status})."
                    if self._has_key
                    else f"{self._url} asks for an API key (HTTP {answer.status}).",
                    "the key that the server was started with.",
                    "Set api_key_file to the file on the target that holds it.",
                )
            )
        if models.kind != LISTED:
            raise UserError(
                Problem(
                    f"{self._url}/v1/models answers HTTP {answer.status}: {answer.excerpt!r}.",
                    "the model list of an OpenAI-compatible server.",
                    "Set base_url to such a server.",
                )
            )
        return models.entries

    def _choose_model(self, wanted: str | None, models: Mapping[str, Any]) -> str:
        served = listed_names(sorted(models)) or "none"
        if wanted is None and len(models) == 1:
            return next(iter(models))
        if wanted is None or wanted not in models:
            found = f"model is {wanted!r}, and" if wanted else "model is not set, and"
            raise UserError(
                Problem(f"{found} {self._url} serves: {served}.", "one of those.", "Set model to one of them.")
            )
        return wanted

    # -- tokens -------------------------------------------------------------------------------------------------------

    def _tokenize(self, document: dict[str, Any]) -> int | None:
        """The server's token count, or None when it has no /tokenize."""
        answer = self._client.post("/tokenize", document)
        told = answer.json if answer.status == 200 else None
        return token_count(told.get("count")) if isinstance(told, dict) else None

    def counter(self, info: TargetInfo, endpoint_type: str) -> Counter:
        """A function that gives the prompt tokens of a text, template included, as this server counts them."""
        by_tokenize = info.has_tokenize
        count = (self._count_by_tokenize if by_tokenize else self._count_by_usage)(info, endpoint_type)
        return self._bounded(count)

    def _bounded(self, count: Counter) -> Counter:
        """The same for as long as counting may take in all: a server can be slow with each of some hundred questions."""
        limit_s = _COUNTING_LIMITS * self._timeout_s
        ends = time.monotonic() + limit_s

        def counted(text: str) -> int:
            if time.monotonic() > ends:
                raise UserError(
                    Problem(
                        f"{self._url} has counted tokens for more than {limit_s:g} s.",
                        f"at most {_COUNTING_LIMITS} times timeouts.control_s for some hundred short questions.",
                        "See what keeps the server busy, or raise timeouts.control_s.",
                    )
                )
            return count(text)

        return counted

    def _count_by_tokenize(self, info: TargetInfo, endpoint_type: str) -> Counter:
        def count(text: str) -> int:
            found = self._tokenize(tokenize_document(info.model, endpoint_type, text))
            if found is None:
                raise UserError(
                    Problem(
                        f"{self._url}/tokenize has stopped counting.",
                        "a count.",
                        "Look into the server's log, and try again.",
                    )
                )
            return found

        return count

    def _count_by_usage(self, info: TargetInfo, endpoint_type: str) -> Counter:
        """Where there is no /tokenize: a request for one token shows the length of its prompt."""

        def count(text: str) -> int:
            document: dict[str, Any] = {"model": info.model, "temperature": 0.0}
            if endpoint_type == "openai-chat":
                document.update(messages=[{"role": "user", "content": text}], max_completion_tokens=1)
            else:
                document.update(prompt=text, max_tokens=1)
            answer = self._client.post(ENDPOINTS[endpoint_type], document)
            told = answer.json if answer.status == 200 else None
            usage = told.get("usage") if isinstance(told, dict) else None
            found = token_count(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
            if found is None:
                raise UserError(
                    Problem(
                        f"{self._url}{ENDPOINTS[endpoint_type]} answers HTTP {answer.status}: {answer.excerpt!r}.",
                        "an answer with usage.prompt_tokens.",
                        "Check endpoint_type, and the server's log.",
                    )
                )
            return found

        return count

    def calibrate(self, info: TargetInfo, endpoint_type: str, rng: Any) -> Calibration:
        """Learns which words are one token each for this server. Raises UserError."""
        wanted = _WORDS_BY_TOKENIZE if info.has_tokenize else _WORDS_BY_USAGE
        return calibrate(self.counter(info, endpoint_type), wanted, rng)

    # -- counters -----------------------------------------------------------------------------------------------------

    def counters(self) -> Counts:
        """The server's own counters now; all None where it has no /metrics, or does not answer any more."""
        try:
            answer = self._client.get("/metrics")
        except UserError:
            return parse_counters("")
        return parse_counters(answer.body.decode("utf-8", "replace") if answer.status == 200 and answer.whole else "")

    def counters_since(self, before: Counts, output_tokens: int) -> Counts:
        """What was counted since `before`. Counters lag behind the answers, so a short wait for agreement is granted."""
        deadline = time.monotonic() + _COUNTERS_SETTLE_S
        while True:
            changes = deltas(before, self.counters())
            counted = changes["generation_tokens"]
            if counted is None or counted >= output_tokens or time.monotonic() > deadline:
                return changes
            time.sleep(0.1)


def tokenize_document(model: str, endpoint_type: str, text: str) -> dict[str, Any]:
    """The JSON that asks /tokenize for the prompt tokens of a request, chat template and its opening of the answer included.

    `add_generation_prompt` is left out: it is vLLM's default, and SGLang, which counts like a chat completion without it, counts
    otherwise with it, or refuses it.
    """
    if endpoint_type == "openai-chat":
        return {"model": model, "messages": [{"role": "user", "content": text}]}
    return {"model": model, "prompt": text}


def check_context(info: TargetInfo, prompts: list[Prompt]) -> None:
    """Raises UserError when a request cannot fit into the server's context."""
    longest = max((prompt.input_tokens or 0) + (prompt.output_tokens or 0) for prompt in prompts)
    if info.max_model_len and longest > info.max_model_len:
        raise UserError(
            Problem(
                f"A request needs {longest} tokens (input and output), and {info.model} is served with "
                f"max_model_len={info.max_model_len}.",
                f"at most {info.max_model_len}.",
                "Lower input_tokens or output_tokens, or serve the model with a longer context.",
            )
        )


def verify_lengths(count: Counter, prompts: list[Prompt]) -> None:
    """Asks the server for the length of the prompts. Raises UserError when one is off."""
    for prompt in prompts:
        found = count(prompt.content)
        if found != prompt.input_tokens:
            raise UserError(
                Problem(
                    f"A prompt made for {prompt.input_tokens} tokens has {found} for this server.",
                    "the exact length.",
                    "Use dataset=file with prompts of your own, and report the tokenizer.",
                )
            )
