# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a served model must be able to do: one request for each ability, and what its answer means. Pure."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Sequence

from .._text import words
from .documents import parse_json
from .endings import ending_of
from .http1 import StreamError
from .models import context_tokens as served_context
from .models import models_of
from .sse import events, unfinished
from .stream import DONE, error_words, finish_reason, first_choice, has_text, read_message

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
    """What a refused request was answered with: kind and message of an error in any form, else the beginning of the answer.

    The kind is the server's own (`BadRequestError`) or, on `/v1/messages` since vLLM 0.33, Anthropic's (`invalid_request_error`).
    """
    try:
        said = error_words(parse_json(answer))
    except ValueError:
        said = ""
    return (said or words(answer))[:200]


def judge_chat(answer: bytes) -> str:
    """Some text came, as answer or as reasoning."""
    message = _message(answer)
    text = _text(message.get("content")) or _reasoning(message)
    if not text:
        raise SmokeError("the message is empty, expected text")
    return f"{len(text)} characters"


def judge_stream(answer: bytes) -> str:
    """Events with text came, nothing of them was an error, and the stream ended as such: the answer was whole, and `[DONE]` came."""
    stray: list[bytes] = []
    position = choices = texts = 0
    reason, done = "", False
    try:
        for event in events(answer, stray):
            data, position, name = event
            done = done or data == DONE
            message = None if data == DONE else read_message(data, name)
            choice = first_choice(message) if message else None
            if choice is not None:
                choices, texts = choices + 1, texts + has_text(choice)
                reason = finish_reason(choice) or reason
    except StreamError as error:
        raise SmokeError(f"the stream is broken ({error.kind}): {error.detail}") from error
    rest = unfinished(answer, position, stray)
    if not done and rest != DONE:
        last = rest if rest is not None else b" ".join(stray)
        shown = repr(words(last, 80)) if last else "another event" if position else "nothing"
        raise SmokeError(f"the stream ends with {shown}, expected [DONE]")
    if not texts:
        raise SmokeError(f"{choices} events came, none of them with text")
    if ending_of(reason):
        raise SmokeError(f"finish_reason is {reason!r} ({ending_of(reason)}), expected stop or length")
    return f"{texts} events with text"


def judge_context(answer: bytes, served_model_name: str, context_tokens: int | None) -> str:
    """The served context has at least `context_tokens`; None accepts any."""
    entry = models_of(200, answer).entries.get(served_model_name, {})
    served = served_context(entry)
    if context_tokens and served and served < context_tokens:
        raise SmokeError(f"the context is {served} tokens, expected {context_tokens}")
    return f"{served} tokens" if served else "the server does not give the length of its context"


def judge_messages(answer: bytes) -> str:
    """An Anthropic message came."""
    message = _json(answer)
    content = message.get("content")
    if message.get("type") != "message" or not content or not isinstance(content, list):
        raise SmokeError(f"the answer is {_shown(message)}, expected a message with content")
    return f"{len(content)} content block(s)"


def judge_tool_call(answer: bytes) -> str:
    """The tool was called by its name with arguments that parse."""
    message = _message(answer)
    calls = message.get("tool_calls")
    if not calls:
        raise SmokeError(f"no tool was called; the text is {_shown(message.get('content'))}")
    call = _member(calls[0] if isinstance(calls, list) else calls, "function")
    name, arguments = call.get("name"), call.get("arguments")
    if name != "get_weather" or "city" not in _arguments(arguments):
        raise SmokeError(f"the call is {_shown(name)} with {_shown(arguments)}, expected get_weather with a city")
    return f"{name}({_shown(arguments)})"


def judge_reasoning(answer: bytes) -> str:
    """Reasoning and answer came in separate fields."""
    message = _message(answer)
    reasoning, text = _reasoning(message), _text(message.get("content"))
    if not reasoning:
        raise SmokeError("no reasoning came apart from the answer: the engine needs --reasoning-parser")
    if "</think>" in text or not text.strip():
        raise SmokeError(f"the answer is {_shown(text)}, expected text without reasoning")
    return f"{len(reasoning)} characters of reasoning, {len(text)} of answer"


def _message(answer: bytes) -> dict[str, Any]:
    choices = _json(answer).get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        raise SmokeError(f"the answer has no message: {words(answer, 120)!r}")
    return message


def _member(document: Any, name: str) -> dict[str, Any]:
    """An object within another; empty where it is null or none."""
    member = document.get(name) if isinstance(document, dict) else None
    return member if isinstance(member, dict) else {}


def _arguments(given: Any) -> Any:
    """A tool's arguments, which are JSON in a text, or, of some servers, an object."""
    return (
        _json(given.encode("utf-8", "replace")) if isinstance(given, str) else given if isinstance(given, dict) else {}
    )


def _reasoning(message: dict[str, Any]) -> str:
    return _text(message.get("reasoning")) or _text(message.get("reasoning_content"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    """What came in place of what was expected, short and on one line."""
    return words((value if isinstance(value, str) else repr(value)).encode("utf-8", "replace"), 120)


def _json(answer: bytes) -> dict[str, Any]:
    try:
        document = parse_json(answer)
    except ValueError as error:
        raise SmokeError(f"the answer is no JSON: {words(answer, 120)!r}") from error
    if not isinstance(document, dict):
        raise SmokeError(f"the answer is {words(answer, 120)!r}, expected an object")
    return document
