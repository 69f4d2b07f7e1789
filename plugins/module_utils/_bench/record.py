# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a recording (raw bytes and times) to a record (event times, tokens, verdict). Pure.

A request counts as a success only when everything that a complete answer has was seen: status 200, well-formed framing,
events with text, a finish reason of a whole answer, a usage block, `[DONE]` and nothing after it, and the requested length where the
server was asked to ignore the end-of-sequence token. What every other ending is called stands in `_openai/endings.py`.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Sequence

from .._openai.documents import parse_json
from .._openai.endings import ending_of
from .._openai.http1 import Body, Response, StreamError, decode_response
from .._openai.sse import events, unfinished
from .._openai.stream import DONE, Usage, error_words, finish_reason, first_choice, has_text, read_message, usage_of
from .._text import words
from .recording import Recording

MAX_EVENT_BYTES = 256 * 1024  # no single token needs more; a larger event is an error of the server
_TEXT = re.compile(rb'"(?:content|reasoning_content|reasoning|text)": ?"([^"\\\x00-\x1f]+)"')
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')  # what stands in JSON as it is
_GUESSES = 4
_MOST_PLAIN, _PLAIN_BYTES = 4096, 64  # texts of a vocabulary, and how long one of them is at most


@dataclass(frozen=True)
class Expectation:
    """What a request asked for. `output_tokens` is None when the answer may be shorter than `most_output_tokens`."""

    input_tokens: int | None
    output_tokens: int | None
    most_output_tokens: int


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
            self.error, self.detail = kind, words(detail.encode("utf-8", "replace"))


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
    said = ""
    try:
        response = decode_response(recording.raw(), closed=not recording.outcome) if recording.received_bytes else None
        if response is not None:
            said = _read_response(record, recording, response)
    except StreamError as error:
        record.fail(error.kind, error.detail)
    if recording.outcome:
        record.fail(recording.outcome, recording.detail)
    _judge(record, expectation, said)
    return record


def _read_response(record: Record, recording: Recording, response: Response) -> str:
    """Reads what came into the record. Returns what the server said outside of any event."""
    head, body = response.head, response.body
    if head.status != 200:
        record.fail(*_refusal(response))
    elif head.encoding:
        record.fail("compressed", f"the answer is compressed ({head.encoding}), which was not asked for")
    else:
        said = _read_events(record, recording, body)
        if not body.complete and not recording.outcome:
            record.fail("truncated", "the connection ended before the response did")
        return said
    return ""


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
        self._before: bytes | tuple[()] = ()  # what stands around the text; nothing begins with one of none
        self._after = b""
        self._begin = self._end = 0  # of the text in the event, the end counted from its end
        self._guesses = _GUESSES  # how many more patterns to try before one of them fits
        self._plain: set[bytes] = set()  # texts that were looked at: a vocabulary has few

    def text(self, data: bytes) -> bytes | None:
        """The text of an event like the known one; None when it is unlike, or its text has escapes. Raises UnicodeError."""
        if not (data.startswith(self._before) and data.endswith(self._after)):
            return None
        text = data[self._begin : self._end]
        if text not in self._plain:
            if len(data) < self._begin - self._end or not _PLAIN.fullmatch(text):
                return None
            text.decode("utf-8")
            if 0 < len(text) <= _PLAIN_BYTES and len(self._plain) < _MOST_PLAIN:
                self._plain.add(text)
        self._guesses = _GUESSES
        return text

    def learn(self, data: bytes) -> None:
        """Takes an event with text as the pattern, if it has nothing else to count: without the text it says nothing."""
        match = _TEXT.search(data) if self._guesses else None
        if match:
            self._guesses -= 1
            before, after = data[: match.start(1)], data[match.end(1) :]
            rest = Record(0, 0, 0, 0)
            _read_message(rest, before + after, b"", 0)
            if not (any(rest.has_text) or rest.cumulative):
                self._before, self._after = before, after
                self._begin, self._end = len(before), -len(after)


def _read_events(record: Record, recording: Recording, body: Body) -> str:
    """Reads the events of a stream into the record. Returns what the server said outside of them."""
    times, text_read, template, end = _Times(recording), -1, _EventTemplate(), 0
    stray: list[bytes] = []
    stream = events(body.data, stray)
    for data, end, name in stream:
        if data == DONE:
            record.done = True
            break
        read = times.at(body.raw_offset(end - 1))
        if len(data) > MAX_EVENT_BYTES:
            record.fail("oversized_event", f"an event of {len(data)} bytes")
        elif _read_event(record, data, name, recording.times[read], template):
            record.coalesced += read == text_read
            text_read = read
    for last in stream:
        if last[0].strip() not in (b"", b"null", DONE):
            record.fail("after_done", f"after [DONE] came {words(last[0])}")
    return words(b" ".join(stray)) if record.done else _said(record, body, end, stray)


def _said(record: Record, body: Body, position: int, stray: list[bytes]) -> str:
    """What the server said outside of the events of a stream without [DONE], the last of which ends at `position`.

    [DONE] counts without its blank line too, where the body is complete.
    """
    rest = unfinished(body.data, position, stray)
    if rest == DONE and body.complete:
        record.done = True
    elif rest is not None:
        return f"an event without its blank line: {words(rest)}"
    if position or not stray:
        return words(b" ".join(stray))
    try:
        return error_words(parse_json(body.data)) or words(body.data)
    except ValueError:
        return words(body.data)


def _read_event(record: Record, data: bytes, name: bytes, time_ns: int, template: _EventTemplate) -> bool:
    """Reads one message into the record. True when it carried text."""
    before = len(record.has_text)
    try:
        text = None if name else template.text(data)
        if text is not None:
            record.event_ns.append(time_ns)
            record.has_text.append(text != b"")
            return text != b""
        _read_message(record, data, name, time_ns)
        if any(record.has_text[before:]):
            template.learn(data)
    except StreamError as error:
        record.fail(error.kind, error.detail)
    except ValueError as error:  # bytes that are no UTF-8, in an event that is otherwise like others
        record.fail("invalid_json", f"{error}: {words(data, 80)}")
    return any(record.has_text[before:])


def _read_message(record: Record, data: bytes, name: bytes, time_ns: int) -> None:
    """Raises StreamError."""
    message = read_message(data, name)
    if message is None:
        return
    usage = usage_of(message)
    if usage is not None:
        _count(record, usage)
    choice = first_choice(message)
    if choice is not None:
        bears_text = has_text(choice)
        record.event_ns.append(time_ns)
        record.has_text.append(bears_text)
        if usage is not None:
            record.cumulative.append(record.completion_tokens)
        record.finish_reason = finish_reason(choice) or record.finish_reason
    if not record.identity:
        named = f"{message.get('model') or ''} {message.get('system_fingerprint') or ''}"
        record.identity = words(named.encode("utf-8", "replace"), 120)


def _count(record: Record, usage: Usage) -> None:
    """Takes the counts of a message; of tokens that were made there cannot be fewer than before."""
    if usage.completion is not None and usage.completion < record.completion_tokens:
        record.fail("bad_usage", f"{usage.completion} completion tokens after {record.completion_tokens}")
    record.prompt_tokens = usage.prompt or record.prompt_tokens
    record.completion_tokens = usage.completion or record.completion_tokens
    record.cached_tokens = record.cached_tokens if usage.cached is None else usage.cached


def _judge(record: Record, expectation: Expectation, said: str) -> None:
    """The strict test of a complete answer; each rule has its error class. `said` is what the server said outside of events."""
    wanted, ending = expectation.output_tokens, ending_of(record.finish_reason)
    if ending:
        record.fail(ending, f"finish_reason is {record.finish_reason!r}")
    for kind, missing, detail in (
        ("no_events", not record.event_ns, "the answer has no event with choices"),
        ("empty_output", not any(record.has_text), "no event carries text"),
        ("no_finish_reason", not record.finish_reason, "the stream has no finish_reason"),
        ("no_done", not record.done, "the stream has no [DONE]"),
        ("no_usage", not record.completion_tokens, "the stream has no usage block with tokens of the answer"),
    ):
        if missing:
            record.fail("stream_error" if said else kind, f"{detail}; the server said: {said}" if said else detail)
    if wanted is not None and record.completion_tokens != wanted:
        kind = "short_output" if record.completion_tokens < wanted else "long_output"
        record.fail(kind, f"{record.completion_tokens} tokens instead of {wanted} (finish {record.finish_reason})")
    if (
        record.completion_tokens > expectation.most_output_tokens
    ):  # the gaps of an answer take memory for each of its tokens
        most = expectation.most_output_tokens
        record.fail("long_output", f"{record.completion_tokens} tokens, asked for {most} at most")


def error_classes(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """For each class of error, how often it happened, and the most frequent of its examples; the most frequent class first."""
    classes: dict[str, Counter[str]] = {}
    for record in records:
        if not record.ok:
            classes.setdefault(record.error, Counter())[record.detail] += 1
    ordered = sorted(classes.items(), key=lambda item: -sum(item[1].values()))
    return {
        kind: {"count": sum(details.values()), "example": details.most_common(1)[0][0]} for kind, details in ordered
    }
