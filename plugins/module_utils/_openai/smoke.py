# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a served model must be able to do: one request for each ability, and what its answer means. Pure."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, NamedTuple, Sequence

MODES = ("required", "report", "skip")
_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class SmokeError(ValueError):
    """The answer is not what a working server gives. The text says what came and what was expected."""


Body = Dict[str, Any]
Judge = Callable[[bytes], str]


class SmokeTest(NamedTuple):
    """One request and the judge of its answer.

    `body` is None for a GET. The judge returns a summary of the answer, or raises SmokeError.
    """

    name: str
    path: str
    body: Body | None
    judge: Judge


def smoke_tests(served_model_name: str, context_tokens: int | None, adapters: Sequence[str] = ()) -> list[SmokeTest]:
    """The tests in the order in which they run, from what every client needs to what only some models can do.

    Test `lora` comes once for each of the adapters, by its name.
    """
    chat = {"model": served_model_name, "temperature": 0}
    hello = [{"role": "user", "content": "Say hello in one short sentence."}]
    tool = [{"role": "user", "content": "What is the weather in Paris? Call the tool."}]
    sums = [{"role": "user", "content": "What is 17 + 25? Answer with the number."}]
    return [
        SmokeTest("chat", "/v1/chat/completions", {**chat, "messages": hello, "max_tokens": 32}, judge_chat),
        SmokeTest(
            "stream",
            "/v1/chat/completions",
            {**chat, "messages": hello, "max_tokens": 32, "stream": True},
            judge_stream,
        ),
        *(_adapter_test(name, hello) for name in adapters),
        SmokeTest(
            "context", "/v1/models", None, lambda answer: judge_context(answer, served_model_name, context_tokens)
        ),
        SmokeTest("messages", "/v1/messages", {**chat, "messages": hello, "max_tokens": 32}, judge_messages),
        SmokeTest(
            "tool_call",
            "/v1/chat/completions",
            {**chat, "messages": tool, "max_tokens": 1024, "tools": [_TOOL]},
            judge_tool_call,
        ),
        SmokeTest("reasoning", "/v1/chat/completions", {**chat, "messages": sums, "max_tokens": 2048}, judge_reasoning),
    ]


def _adapter_test(name: str, messages: list[dict[str, str]]) -> SmokeTest:
    """A chat with an adapter; the outcome names it."""

    def judge(answer: bytes) -> str:
        try:
            return f"{name}: {judge_chat(answer)}"
        except SmokeError as error:
            raise SmokeError(f"{name}: {error}") from error

    body = {"model": name, "temperature": 0, "messages": messages, "max_tokens": 32}
    return SmokeTest("lora", "/v1/chat/completions", body, judge)


def refusal_of(answer: bytes) -> str:
    """What a refused request was answered with: kind and message of OpenAI's or Anthropic's form, else the answer's first 200 characters.

    The kind is the server's own (`BadRequestError`) or, on `/v1/messages` since vLLM 0.33, Anthropic's (`invalid_request_error`).
    """
    try:
        error = _json(answer).get("error")
    except SmokeError:
        error = None
    if not isinstance(error, dict) or not error.get("message"):
        return answer.decode(errors="replace")[:200]
    return ": ".join(str(error[key]) for key in ("type", "message") if error.get(key))[:200]


def judge_chat(answer: bytes) -> str:
    """Some text came, as answer or as reasoning."""
    message = _message(answer)
    text = message.get("content") or _reasoning(message)
    if not text:
        raise SmokeError("the message is empty, expected text")
    return f"{len(text)} characters"


def judge_stream(answer: bytes) -> str:
    """Events with text came, and the stream ended as such."""
    lines = [line[5:].strip() for line in answer.decode(errors="replace").splitlines() if line.startswith("data:")]
    if not lines or lines[-1] != "[DONE]":
        raise SmokeError(f"the stream ends with {lines[-1][:80] if lines else 'nothing'!r}, expected [DONE]")
    deltas = [choice.get("delta", {}) for line in lines[:-1] for choice in _json(line.encode()).get("choices", [])]
    texts = [delta for delta in deltas if delta.get("content") or _reasoning(delta)]
    if not texts:
        raise SmokeError(f"{len(deltas)} events came, none of them with text")
    return f"{len(texts)} events with text"


def judge_context(answer: bytes, served_model_name: str, context_tokens: int | None) -> str:
    """The served context has at least `context_tokens`; None accepts any."""
    entries = [entry for entry in _json(answer).get("data", []) if entry.get("id") == served_model_name]
    served = entries[0].get("max_model_len") if entries else None
    if context_tokens and served and served < context_tokens:
        raise SmokeError(f"the context is {served} tokens, expected {context_tokens}")
    return f"{served} tokens" if served else "the server does not give the length of its context"


def judge_messages(answer: bytes) -> str:
    """An Anthropic message came."""
    message = _json(answer)
    if message.get("type") != "message" or not message.get("content"):
        raise SmokeError(f"the answer is {str(message)[:120]}, expected a message with content")
    return f"{len(message['content'])} content block(s)"


def judge_tool_call(answer: bytes) -> str:
    """The tool was called by its name with arguments that parse."""
    message = _message(answer)
    calls = message.get("tool_calls") or []
    if not calls:
        raise SmokeError(f"no tool was called; the text is {str(message.get('content'))[:120]!r}")
    call = calls[0]["function"]
    if call["name"] != "get_weather" or "city" not in _json(str(call["arguments"]).encode()):
        raise SmokeError(f"the call is {call['name']}({call['arguments']}), expected get_weather with a city")
    return f"{call['name']}({call['arguments']})"


def judge_reasoning(answer: bytes) -> str:
    """Reasoning and answer came in separate fields."""
    message = _message(answer)
    reasoning, text = _reasoning(message), message.get("content") or ""
    if not reasoning:
        raise SmokeError("no reasoning came apart from the answer: the engine needs --reasoning-parser")
    if "</think>" in text or not text.strip():
        raise SmokeError(f"the answer is {text[:120]!r}, expected text without reasoning")
    return f"{len(reasoning)} characters of reasoning, {len(text)} of answer"


def _message(answer: bytes) -> dict[str, Any]:
    try:
        return dict(_json(answer)["choices"][0]["message"])
    except (KeyError, IndexError, TypeError) as error:
        raise SmokeError(f"the answer has no message: {answer[:120]!r}") from error


def _reasoning(message: dict[str, Any]) -> str:
    return message.get("reasoning") or message.get("reasoning_content") or ""


def _json(answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer.decode())
    except ValueError as error:
        raise SmokeError(f"the answer is no JSON: {answer[:120]!r}") from error
    if not isinstance(document, dict):
        raise SmokeError(f"the answer is {answer[:120]!r}, expected an object")
    return document
