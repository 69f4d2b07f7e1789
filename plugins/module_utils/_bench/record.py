# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a recording (raw bytes and times) to a record (event times, tokens, verdict). Pure.

A request counts as a success only when everything that a complete answer has was seen: status 200, well-formed framing,
events with text, a finish reason, a usage block, `[DONE]`, and the requested length where the server was asked to ignore
the end-of-sequence token.
"""

from __future__ import annotations

import json
import operator
import re
from array import array
from dataclasses import dataclass, field
from typing import Any, Sequence

from .._openai.documents import words
from .._openai.http1 import Body, Response, StreamError, decode_response
from .._openai.sse import events
from .recording import Recording

MAX_EVENT_BYTES = 256 * 1024  # no single token needs more; a larger event is an error of the server
_NOT_A_MESSAGE = (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError)  # of what was sent
_TEXT_KEYS = ("content", "reasoning_content", "reasoning", "tool_calls")
_TEXT = re.compile(rb'"(?:content|reasoning_content|reasoning|text)": ?"([^"\\\x00-\x1f]+)"')
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')  # what stands in JSON as it is
_GUESSES = 4


@dataclass(frozen=True)
class Expectation:
    """What a request asked for. `output_tokens` is None when the answer may have any length."""

    input_tokens: int | None
    output_tokens: int | None


@dataclass
class Record:
    """One request, decoded. Times are nanoseconds of CLOCK_REALTIME; `error` is empty when it succeeded.

    `event_ns` has one entry for each message with a non-empty `choices`; `has_text` says whether it carried text
    (reasoning included); `cumulative` is the server's token count so far, where it sends that with each event.
    """

    index: int
    intended_ns: int
    sent_ns: int
    ended_ns: int
    error: str = ""
    detail: str = ""
    event_ns: array[int] = field(default_factory=lambda: array("q"))
    has_text: bytearray = field(default_factory=bytearray)
    cumulative: array[int] = field(default_factory=lambda: array("i"))
    reads: int = 0
    coalesced: int = 0  # messages with text that came in the same read as an earlier one: their own time is lost
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int | None = None
    finish_reason: str = ""
    done: bool = False
    identity: str = ""  # model and system fingerprint, as the response names them

    @property
    def ok(self) -> bool:
        return not self.error

    def fail(self, kind: str, detail: str) -> None:
        """Gives the request its error class; the first one stays."""
        if not self.error:
            self.error, self.detail = kind, detail[:300]


class _Times:
    """Maps an offset of the raw recording to the read that brought that byte. Offsets must not decrease."""

    def __init__(self, recording: Recording) -> None:
        self._recording, self.read, self._end = recording, -1, 0

    def at(self, offset: int) -> int:
        """The index of the read that brought byte `offset`."""
        while self._end <= offset:
            self.read += 1
            self._end += self._recording.sizes[self.read]
        return self.read


def decode(recording: Recording, expectation: Expectation) -> Record:
    """Decodes one request and judges it."""
    record = Record(recording.index, recording.intended_ns, recording.sent_ns, recording.ended_ns)
    record.reads = len(recording.times)
    raw = recording.raw()
    try:
        response = decode_response(raw, closed=not recording.outcome) if raw else None
        if response is not None:
            _read_response(record, recording, response)
    except StreamError as error:
        record.fail(error.kind, error.detail)
    if recording.outcome:
        record.fail(recording.outcome, recording.detail)
    _judge(record, expectation)
    return record


def _read_response(record: Record, recording: Recording, response: Response) -> None:
    head, body = response.head, response.body
    if head.status != 200:
        record.fail(*_refusal(response))
    elif head.encoding:
        record.fail("compressed", f"the answer is compressed ({head.encoding}), which was not asked for")
    else:
        _read_events(record, recording, body)
        if not body.complete and not recording.outcome:
            record.fail("truncated", "the connection ended before the response did")


def _refusal(response: Response) -> list[str]:
    """Error class and example of an HTTP status other than 200."""
    head, excerpt = response.head, words(response.body.data, 200)
    if head.status == 429:
        after = words(head.headers.get("retry-after", "none").encode(), 40)
        return ["rate_limited", f"HTTP 429, Retry-After: {after}. {excerpt}"]
    return [f"http_{head.status // 100}xx", f"HTTP {head.status}: {excerpt}"]


class _EventTemplate:
    """Most events of an answer differ in nothing but their text: those are recognised by their ends and need no parsing."""

    def __init__(self) -> None:
        self._before = self._after = b""  # what stands around the text; empty while nothing is known
        self._guesses = _GUESSES  # how many more patterns to try before one of them fits

    def text(self, data: bytes) -> bytes | None:
        """The text of an event like the known one; None when it is unlike, or its text has escapes. Raises UnicodeError."""
        before, after = self._before, self._after
        if not before or len(data) < len(before) + len(after) or not (data.startswith(before) and data.endswith(after)):
            return None
        text = data[len(before) : -len(after)]
        if not _PLAIN.fullmatch(text):
            return None
        text.decode("utf-8")
        self._guesses = _GUESSES
        return text

    def learn(self, data: bytes) -> None:
        """Takes an event with text as the pattern, if it has nothing else to count: without the text it says nothing."""
        match = _TEXT.search(data) if self._guesses else None
        if match:
            self._guesses -= 1
            before, after = data[: match.start(1)], data[match.end(1) :]
            rest = Record(0, 0, 0, 0)
            _read_message(rest, before + after, 0)
            if not (any(rest.has_text) or rest.cumulative):
                self._before, self._after = before, after


def _read_events(record: Record, recording: Recording, body: Body) -> None:
    times, text_read, template = _Times(recording), -1, _EventTemplate()
    for data, end in events(body.data):
        read = times.at(body.raw_offset(end - 1))
        if data == b"[DONE]":
            record.done = True
        elif len(data) > MAX_EVENT_BYTES:
            record.fail("oversized_event", f"an event of {len(data)} bytes")
        elif _read_event(record, data, recording.times[read], template):
            record.coalesced += read == text_read
            text_read = read


def _read_event(record: Record, data: bytes, time_ns: int, template: _EventTemplate) -> bool:
    """Reads one message into the record. True when it carried text."""
    before = len(record.has_text)
    try:
        text = template.text(data)
        if text is not None:
            record.event_ns.append(time_ns)
            record.has_text.append(bool(text))
            return bool(text)
        _read_message(record, data, time_ns)
        if any(record.has_text[before:]):
            template.learn(data)
    except _NOT_A_MESSAGE as error:
        record.fail("invalid_json", f"{error}: {data[:80]!r}")
    return any(record.has_text[before:])


def _read_message(record: Record, data: bytes, time_ns: int) -> None:
    message = json.loads(data.decode("utf-8"))
    if not isinstance(message, dict) or message.get("error"):
        record.fail("stream_error", data[:200].decode("utf-8", "replace"))
        return
    usage = message.get("usage")
    if isinstance(usage, dict):
        _read_usage(record, usage)
    choices = message.get("choices")
    if choices:
        _read_choice(record, choices[0], time_ns, bool(usage))
    if not record.identity:
        record.identity = f"{message.get('model', '')} {message.get('system_fingerprint') or ''}".strip()


def _read_usage(record: Record, usage: dict[str, Any]) -> None:
    record.prompt_tokens = operator.index(usage.get("prompt_tokens") or record.prompt_tokens)
    record.completion_tokens = operator.index(usage.get("completion_tokens") or record.completion_tokens)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    record.cached_tokens = record.cached_tokens if cached is None else operator.index(cached)


def _read_choice(record: Record, choice: dict[str, Any], time_ns: int, counted: bool) -> None:
    delta = choice.get("delta") or {}
    has_text = bool(choice.get("text") or any(delta.get(key) for key in _TEXT_KEYS))
    record.event_ns.append(time_ns)
    record.has_text.append(has_text)
    if counted:
        record.cumulative.append(record.completion_tokens)
    record.finish_reason = choice.get("finish_reason") or record.finish_reason


def _judge(record: Record, expectation: Expectation) -> None:
    """The strict test of a complete answer; each rule has its error class."""
    wanted = expectation.output_tokens
    if not record.event_ns:
        record.fail("no_events", "the answer has no event with choices")
    if not any(record.has_text):
        record.fail("empty_output", "no event carries text")
    if not record.finish_reason:
        record.fail("no_finish_reason", "the stream has no finish_reason")
    if not record.done:
        record.fail("no_done", "the stream has no [DONE]")
    if not record.completion_tokens:
        record.fail("no_usage", "the stream has no usage block")
    if wanted is not None and record.completion_tokens != wanted:
        kind = "short_output" if record.completion_tokens < wanted else "long_output"
        record.fail(kind, f"{record.completion_tokens} tokens instead of {wanted} (finish {record.finish_reason})")


def error_classes(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """For each class of error, how often it happened, and one example."""
    classes: dict[str, dict[str, Any]] = {}
    for record in records:
        if not record.ok:
            entry = classes.setdefault(record.error, {"count": 0, "example": record.detail})
            entry["count"] += 1
    return classes
