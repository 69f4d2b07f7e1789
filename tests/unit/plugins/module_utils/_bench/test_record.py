# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Expectation, Record, decode
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.recording import Recording
from hypothesis import given
from hypothesis import strategies as st

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def message(**content: Any) -> bytes:
    return b"data: " + json.dumps({"model": "m", **content}).encode() + b"\n\n"


def delta(text: Any = "a", finish: str | None = None, key: str = "content") -> bytes:
    return message(choices=[{"delta": {key: text}, "finish_reason": finish}])


def raw_delta(text: str) -> bytes:
    """With its text as it is, not as JSON can write it too."""
    return delta("TEXT").replace(b"TEXT", text.encode())


def usage(prompt: int, completion: int) -> bytes:
    return message(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion})


ROLE = message(choices=[{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
GOOD = [ROLE, delta(), delta(), delta(finish="length"), usage(7, 3), DONE]


def recorded(reads: list[bytes], outcome: str = "") -> Recording:
    """A recording whose n-th read came at n microseconds."""
    recording = Recording(0, 0)
    recording.sent_ns, recording.ended_ns, recording.outcome = 0, len(reads) * 1000, outcome
    for number, data in enumerate(reads):
        recording.times.append(number * 1000)
        recording.sizes.append(len(data))
        recording.data += data
    return recording


def answer(events: list[bytes], end: bytes = b"0\r\n\r\n", outcome: str = "", tokens: int | None = 3) -> Record:
    """One read for the head, one for each event, one for the end."""
    reads = [HEAD, *map(chunk, events), end]
    return decode(recorded([read for read in reads if read], outcome), Expectation(7, tokens, 3))


def test_a_complete_answer() -> None:
    record = answer(GOOD)
    assert record.ok
    assert list(record.event_ns) == [1000, 2000, 3000, 4000]
    assert list(record.has_text) == [0, 1, 1, 1]
    assert (record.prompt_tokens, record.completion_tokens, record.finish_reason) == (7, 3, "length")
    assert (record.done, record.coalesced, record.identity) == (True, 0, "m")


@given(st.data())
def test_any_read_boundary_gives_the_same_answer(data: st.DataObject) -> None:
    raw = HEAD + b"".join(map(chunk, GOOD)) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=10)))
    record = decode(recorded([raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)])]), Expectation(7, 3, 3))
    assert record.ok
    assert len(record.event_ns) == 4
    assert list(record.event_ns) == sorted(record.event_ns)


def test_an_event_has_the_time_of_its_last_byte() -> None:
    raw = HEAD + b"".join(map(chunk, GOOD)) + b"0\r\n\r\n"
    cut = raw.index(ROLE) + len(ROLE) - 1
    record = decode(recorded([raw[:cut], raw[cut:]]), Expectation(7, 3, 3))
    assert set(record.event_ns) == {1000}
    assert record.coalesced == 2


@pytest.mark.parametrize("key", ["content", "reasoning", "reasoning_content"])
def test_text_and_reasoning_bear_tokens(key: str) -> None:
    record = answer([ROLE, delta(key=key), delta(key=key), delta(key=key, finish="stop"), usage(7, 3), DONE])
    assert list(record.has_text) == [0, 1, 1, 1]


def test_completions_and_continuous_usage() -> None:
    events = [
        message(choices=[{"text": "a", "finish_reason": None}], usage={"prompt_tokens": 7, "completion_tokens": 2}),
        message(choices=[{"text": "b", "finish_reason": "length"}], usage={"prompt_tokens": 7, "completion_tokens": 3}),
        DONE,
    ]
    record = answer(events)
    assert record.ok
    assert list(record.cumulative) == [2, 3]


TEXTS = st.one_of(
    st.text(max_size=5), st.sampled_from(["", " the", 'a"b', "a\\b", "\n", "é", "日本", "}", '"content":"x"'])
)
EVENTS = st.one_of(
    st.builds(delta, TEXTS, st.sampled_from([None, "stop"]), st.sampled_from(["content", "reasoning"])),
    TEXTS.map(
        lambda text: b"data: " + json.dumps({"choices": [{"text": text}]}, ensure_ascii=False).encode() + b"\n\n"
    ),
    TEXTS.map(lambda text: message(choices=[{"delta": {"content": text}}, {"delta": {"content": "x"}}])),
    st.integers(1, 9).map(lambda count: message(choices=[{"text": "a"}], usage={"completion_tokens": count})),
    st.sampled_from(
        [ROLE, usage(7, 3), message(error="x"), b'data: {"choices": [\n\n', delta().replace(b'"a"', b'"\xff"')]
    ),
)


@given(st.lists(EVENTS, max_size=12))
def test_an_event_reads_the_same_after_others_of_its_kind(events: list[bytes]) -> None:
    """An event like an earlier one is not parsed; alone in an answer, it is."""
    together = answer([*events, DONE], tokens=None)
    alone = [answer([event, DONE], tokens=None) for event in events]
    assert list(together.has_text) == [text for record in alone for text in record.has_text]
    assert list(together.cumulative) == [count for record in alone for count in record.cumulative]
    assert together.finish_reason == next((record.finish_reason for record in alone[::-1] if record.finish_reason), "")
    unreadable = [record.error for record in alone if record.error in ("stream_error", "invalid_json")]
    if together.error != "bad_usage":  # of counts that decrease from one event to the next
        assert together.error == unreadable[0] if unreadable else together.error not in ("stream_error", "invalid_json")


def of_body(body: bytes, headers: bytes = b"", outcome: str = "") -> Record:
    """A whole body in one piece, whatever it is."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (len(body), headers) + body
    return decode(recorded([raw], outcome), Expectation(7, 3, 3))


FLAWLESS = {
    "what Unicode calls ends of lines": [ROLE, raw_delta("a\u2028\u2029\u0085b\v\f"), delta("\u2028"), delta(finish="length"), *GOOD[4:]],
    "null members": [message(choices=None), message(choices=[{"delta": None}]), *GOOD[1:4], message(usage=None), *GOOD[4:]],
    "a null keep-alive": [b"data: null\n\n", *GOOD[:2], b"data:\n\n", *GOOD[2:]],
    "comments before the first token": [b": ping\n\n" * 3, *GOOD],
    "reasoning first": [ROLE, delta(key="reasoning"), delta(key="reasoning_content"), *GOOD[3:]],
    "no space after the colon": [event.replace(b"data: ", b"data:") for event in GOOD],
    "CRLF": [event.replace(b"\n", b"\r\n") for event in GOOD],
    "CR": [event.replace(b"\n", b"\r") for event in GOOD],
    "usage twice": [*GOOD[:4], usage(7, 3), usage(7, 3), DONE],
    "several tokens an event": [ROLE, delta("abc", finish="length"), usage(7, 3), DONE],
    "[DONE] without its blank line": [*GOOD[:5], b"data: [DONE]"],
    "[DONE] with half of it": [*GOOD[:5], b"data: [DONE]\n"],
    "[DONE] twice": [*GOOD, DONE],
    "comments after [DONE]": [*GOOD, b": bye\n\n"],
    "fields of no event": [b"id: 1\nretry: 5\n\n", *GOOD],
    "a call of a function": [ROLE, delta([{"function": None}], key="tool_calls"), delta(finish="tool_calls"), *GOOD[4:]],
}  # fmt: skip


@pytest.mark.parametrize("events", FLAWLESS.values(), ids=FLAWLESS)
def test_what_public_servers_send_is_a_success(events: list[bytes]) -> None:
    record = answer(events)
    assert (record.error, record.detail) == ("", "")


ERRORS = {
    "an object": [b'data: {"error": {"message": "no memory", "type": "E"}}\n\n'],
    "vLLM's older form": [b'data: {"object": "error", "message": "no memory"}\n\n'],
    "an event of that name": [b'event: error\ndata: {"message": "no memory"}\n\n'],
    "FastAPI's": [b'data: {"detail": "no memory"}\n\n'],
    "text beside choices": [message(choices=[{"delta": {}}], error="no memory")],
    "a plain line": [b"no memory\n\n"],
    "a plain line as data": [b"data: no memory\n\n"],
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("end", [[], [DONE]], ids=["cut", "done"])
def test_an_error_within_a_stream_has_one_class_and_the_servers_words(error: list[bytes], end: list[bytes]) -> None:
    record = answer([*GOOD[:2], *error, *end])
    assert (record.error, "no memory" in record.detail) == ("stream_error", True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"Internal Server Error", "Internal Server Error"),
        (b'{"error": {"message": "no memory", "type": "E"}}', "E: no memory"),
        (json.dumps({"object": "error", "message": "no memory"}, indent=2).encode(), "no memory"),
        (b"<html>\n<h1>Bad gateway</h1>", "Bad gateway"),
    ],
)
def test_a_200_that_is_no_stream_has_the_servers_words(body: bytes, said: str) -> None:
    record = of_body(body)
    assert (record.error, said in record.detail) == ("stream_error", True)


def test_a_compressed_answer_is_named() -> None:
    assert of_body(gzip.compress(b"".join(GOOD)), b"Content-Encoding: gzip\r\n").error == "compressed"


def test_the_servers_words_are_clean_and_bounded() -> None:
    record = answer([message(error={"message": "\x1b[31m\ud800\n" + "x" * 10_000})])
    assert record.detail.isprintable() and len(record.detail) <= 300


def test_an_end_that_comes_late_is_seen_by_the_end_alone() -> None:
    record = answer(GOOD)
    assert record.ok
    assert record.event_ns[-1] < record.ended_ns


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        (GOOD[:-1], "no_done"),
        ([*GOOD[:4], DONE], "no_usage"),
        ([ROLE, delta(), delta(), delta(), usage(7, 3), DONE], "no_finish_reason"),
        ([ROLE, delta(finish="stop"), usage(7, 1), DONE], "short_output"),
        ([ROLE, delta(finish="stop"), usage(7, 9), DONE], "long_output"),
        ([ROLE, delta("", finish="stop"), usage(7, 3), DONE], "empty_output"),
        ([DONE], "no_events"),
        ([], "no_events"),
        ([ROLE, message(error={"message": "x"}), DONE], "stream_error"),
        ([ROLE, b'data: "text"\n\n', DONE], "stream_error"),
        ([ROLE, b'data: {"choices": [\n\n', *GOOD[1:]], "invalid_json"),
        ([*GOOD, delta()], "after_done"),
        ([*GOOD, usage(7, 3)], "after_done"),
        ([*GOOD, b"data: more\n\n"], "after_done"),
        ([*GOOD[:4], usage(7, 4), usage(7, 3), DONE], "bad_usage"),
        ([*GOOD[:5], b"data: [DONE"], "stream_error"),
        ([*GOOD[:3], delta(finish="content_filter"), *GOOD[4:]], "filtered"),
        ([*GOOD[:3], delta(finish="abort"), *GOOD[4:]], "aborted"),
        ([*GOOD[:3], delta(finish="error"), *GOOD[4:]], "aborted"),
        ([*GOOD[:3], delta(finish="bored"), *GOOD[4:]], "unknown_finish"),
        ([*GOOD[:3], delta(finish={"type": "length"}), *GOOD[4:]], "unknown_finish"),  # type: ignore[arg-type]
        ([ROLE, b"data: \xff\n\n", *GOOD[1:]], "invalid_json"),
        ([ROLE, delta("x" * 300_000), *GOOD[1:]], "oversized_event"),
    ],
)
def test_what_is_not_a_success(events: list[bytes], kind: str) -> None:
    record = answer(events)
    assert record.error == kind
    assert record.detail


def test_a_short_answer_is_fine_where_the_length_is_free() -> None:
    assert answer([ROLE, delta(finish="stop"), usage(7, 1), DONE], tokens=None).ok


def test_no_answer_has_more_tokens_than_asked_for() -> None:
    """Each of them would have a gap of its own: a count of 999,999,999 took 40 GB."""
    record = answer([ROLE, delta(finish="stop"), usage(7, 999_999_999), DONE], tokens=None)
    assert (record.error, record.completion_tokens) == ("long_output", 999_999_999)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "part"),
    [
        (b"400 Bad Request", b"", "http_4xx", "HTTP 400: oops"),
        (b"503 Unavailable", b"", "http_5xx", "HTTP 503"),
        (b"429 Too Many Requests", b"retry-after: 3\r\n", "rate_limited", "Retry-After: 3"),
    ],
)
def test_refusals(status: bytes, headers: bytes, kind: str, part: str) -> None:
    raw = b"HTTP/1.1 " + status + b"\r\ncontent-length: 4\r\n" + headers + b"\r\noops"
    record = decode(recorded([raw]), Expectation(7, 3, 3))
    assert record.error == kind
    assert part in record.detail


def odd_usage(**usage: Any) -> bytes:
    return message(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3, **usage})


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (message(choices=[None]), "invalid_json"),
        (message(choices={"a": 1}), "invalid_json"),
        (message(choices=7), "invalid_json"),
        (message(choices=[{"delta": "x"}]), "invalid_json"),
        (b"data: 7\n\n", "invalid_json"),
        (b"data: [1]\n\n", "invalid_json"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "invalid_json"),
        (b"data: " + b"9" * 5000 + b"\n\n", "invalid_json"),
        (message(usage=[1]), "bad_usage"),
        (odd_usage(prompt_tokens_details=[1]), "bad_usage"),
        (odd_usage(prompt_tokens_details={"cached_tokens": "3"}), "bad_usage"),
        (odd_usage(prompt_tokens_details={"cached_tokens": 8}), "bad_usage"),
        (odd_usage(completion_tokens="3"), "bad_usage"),
        (odd_usage(completion_tokens="²"), "bad_usage"),
        (odd_usage(completion_tokens=True), "bad_usage"),
        (odd_usage(completion_tokens=-3), "bad_usage"),
        (odd_usage(prompt_tokens=7.5), "bad_usage"),
        (odd_usage(prompt_tokens=-7), "bad_usage"),
        (odd_usage(prompt_tokens=10**300), "bad_usage"),
        (b'data: {"usage": {"completion_tokens": 1e400}}\n\n', "bad_usage"),
        (b'data: {"usage": {"completion_tokens": NaN}}\n\n', "bad_usage"),
        (message(choices=[{"text": "a"}], usage={"completion_tokens": 2**40}), "bad_usage"),
    ],
)
def test_an_event_of_another_shape_fails_its_request_alone(event: bytes, kind: str) -> None:
    record = answer([*GOOD[:2], event, *GOOD[2:]])
    assert record.error == kind
    assert len(record.event_ns) == len(record.has_text)
    assert (record.prompt_tokens, record.done) == (7, True)
    assert record.detail and len(record.detail) <= 300


@pytest.mark.parametrize(
    ("end", "outcome", "kind"),
    [
        (b"", "truncated", "truncated"),
        (b"", "", "truncated"),
        (b"", "reset", "reset"),
        (b"zz\r\n", "idle_timeout", "malformed_chunking"),
    ],
)
def test_broken_ends(end: bytes, outcome: str, kind: str) -> None:
    assert answer(GOOD, end, outcome).error == kind


def test_no_answer_at_all() -> None:
    assert decode(recorded([], "connect_refused"), Expectation(7, 3, 3)).error == "connect_refused"


@given(st.lists(st.binary(max_size=20_000), max_size=12))
def test_a_recording_keeps_every_byte(reads: list[bytes]) -> None:
    recording = Recording(0, 0)
    for data in reads:
        recording.data += data
        recording.shrink(len(recording.data) + recording.packed_bytes)
    recording.seal()
    assert recording.raw() == b"".join(reads)
