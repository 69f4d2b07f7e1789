# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an event of a completion's stream says: text, counts, its end, or an error in one of the forms that servers have. Pure.

Tolerant of what public servers send (members that are null, keep-alives without a message), strict in what counts.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple

from .._text import words
from .documents import parse_json, token_count
from .http1 import StreamError

DONE = b"[DONE]"
TEXT_KEYS = ("content", "reasoning_content", "reasoning", "tool_calls")
_LIKE_JSON = (b"{", b"[", b'"', b"}", b"]")
Message = Dict[str, Any]


class Usage(NamedTuple):
    """Tokens as a server counts them; None where it does not say."""

    prompt: int | None
    completion: int | None
    cached: int | None


def read_message(data: bytes, name: bytes = b"") -> Message | None:
    """The message in an event's data; None where there is none, as in a keep-alive. `name` is the event's.

    Raises StreamError: `stream_error` with the server's own words, or `invalid_json`.
    """
    text = data.strip()
    try:
        document = parse_json(text) if text else None
    except ValueError as error:
        if name != b"error" and (text.startswith(_LIKE_JSON) or not _is_text(text)):
            raise StreamError("invalid_json", f"{error}: {words(text, 80)}") from error
        raise StreamError("stream_error", words(text)) from error
    if name == b"error" or isinstance(document, str) or _is_error(document):
        raise StreamError("stream_error", error_words(document) or words(text))
    if document is not None and not isinstance(document, dict):
        raise StreamError("invalid_json", f"an event that is no object: {words(text, 80)}")
    return document


def _is_text(data: bytes) -> bool:
    try:
        return data.decode("utf-8")[:1].isalpha()
    except ValueError:
        return False


def _is_error(document: Any) -> bool:
    """Whether a message is an error, in any form that servers give it."""
    if not isinstance(document, dict):
        return False
    told = document.get("error") or document.get("object") == "error"
    bare = (
        not document.get("choices")
        and not document.get("usage")
        and (document.get("message") or document.get("detail"))
    )
    return bool(told or bare)


def error_words(document: Any) -> str:
    """What an error says: its kind and message, of OpenAI's form, Anthropic's, FastAPI's or a plain one; empty for what is none."""
    if isinstance(document, str):
        return words(document.encode("utf-8", "replace"))
    if not isinstance(document, dict):
        return ""
    error = document.get("error")
    if isinstance(error, dict) and error:
        kind, message = (error.get("type"), error["message"]) if error.get("message") else (None, error)
    else:
        kind = document.get("type") if document.get("message") and document.get("object") == "error" else None
        message = (error if error is not True else None) or document.get("message") or document.get("detail")
    said = [str(part) for part in (kind, message) if part]
    return words(": ".join(said).encode("utf-8", "replace"))


def first_choice(message: Message) -> dict[str, Any] | None:
    """The message's first choice; None without one. Raises StreamError for what is none."""
    choices = message.get("choices")
    if not choices:
        return None
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise StreamError("invalid_json", f"choices is {str(choices)[:80]}, expected a list of objects")
    return choices[0]


def has_text(choice: dict[str, Any]) -> bool:
    """Whether a choice carries text, reasoning or a tool's call. Raises StreamError for a delta of another shape."""
    delta = choice.get("delta") or {}
    if not isinstance(delta, dict):
        raise StreamError("invalid_json", f"delta is {str(delta)[:80]}, expected an object")
    return bool(choice.get("text") or any(delta.get(key) for key in TEXT_KEYS))


def finish_reason(choice: dict[str, Any]) -> str:
    """Why the answer ended, as the server calls it; empty while it goes on."""
    reason = choice.get("finish_reason") or ""
    return words(str(reason).encode("utf-8", "replace"), 60)


def usage_of(message: Message) -> Usage | None:
    """The message's counts; None without them. Raises StreamError (`bad_usage`) for those that cannot be."""
    usage = message.get("usage")
    if not usage:
        return None
    if not isinstance(usage, dict):
        raise StreamError("bad_usage", f"usage is {str(usage)[:80]}, expected an object")
    details = usage.get("prompt_tokens_details") or {}
    if not isinstance(details, dict):
        raise StreamError("bad_usage", f"prompt_tokens_details is {str(details)[:80]}, expected an object")
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    cached = _count(details, "cached_tokens")
    if cached is not None and prompt is not None and cached > prompt:
        raise StreamError("bad_usage", f"{cached} cached tokens of {prompt} prompt tokens")
    return Usage(prompt, completion, cached)


def _count(counts: dict[str, Any], name: str) -> int | None:
    value = counts.get(name)
    found = None if isinstance(value, str) else token_count(value)
    if value is not None and found is None:
        raise StreamError("bad_usage", f"{name} is {str(value)[:40]}, expected a number of tokens")
    return found
