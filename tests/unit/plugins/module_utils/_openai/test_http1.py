# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.http1 import (
    Body,
    StreamError,
    decode_response,
    parse_head,
    request_bytes,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.sse import events
from hypothesis import given
from hypothesis import strategies as st

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(*pieces: bytes) -> bytes:
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def body_of(raw: bytes, closed: bool = False) -> Body:
    response = decode_response(raw, closed)
    assert response is not None
    return response.body


def payload(raw: bytes) -> bytes:
    return body_of(raw).data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": ping\n\ndata: a\n\n", [b"a"]),
        (b"event: x\nid: 1\ndata: a\nretry: 3\n\n", [b"a"]),
        (b"data\n\n", [b""]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: \xc3\xa9\n\n", ["é".encode()]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"database: a\n\n", []),
        (b"", []),
    ],
)
def test_events(text: bytes, expected: list[bytes]) -> None:
    assert [data for data, _ in events(text)] == expected


def test_an_event_ends_after_its_blank_line() -> None:
    assert [end for _, end in events(b"data: a\n\n: ping\n\ndata: b\r\n\r\n")] == [9, 28]


@given(st.lists(st.sampled_from([b"data: a", b"data:b", b"data", b": ping", b"id: 1", b"", b"", b""]), max_size=20))
def test_the_end_of_its_lines_does_not_change_an_event(lines: list[bytes]) -> None:
    result = {
        end: [data for data, _ in events(b"".join(line + end for line in lines))] for end in (b"\n", b"\r", b"\r\n")
    }
    assert result[b"\n"] == result[b"\r"] == result[b"\r\n"]
    text = b"".join(line + b"\n" for line in lines)
    assert [end for _, end in events(text)] == [end for _, end in events(text.replace(b"\n", b"\r"))]


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=8),
    st.data(),
)
def test_events_survive_every_chunk_boundary(texts: list[str], data: st.DataObject) -> None:
    stream = b"".join(b"data: " + text.encode() + b"\r\n\r\n" for text in texts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)]) if b > a]
    assert [event.decode() for event, _ in events(payload(chunked(*pieces)))] == texts


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=6))
def test_each_byte_is_found_in_the_recording(pieces: list[bytes]) -> None:
    raw = chunked(*pieces)
    body = body_of(raw)
    assert body.complete
    assert bytes(raw[body.raw_offset(offset)] for offset in range(len(body.data))) == body.data == b"".join(pieces)


@given(st.integers(0, 100))
def test_a_cut_response_is_never_complete(length: int) -> None:
    raw = chunked(b"data: a\n\n", b"data: [DONE]\n\n")
    cut = raw[: min(length + len(HEAD), len(raw) - 1)]
    assert not body_of(cut).complete


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"zz\r\nab\r\n",
        HEAD + b"2\r\nabc\r\n",
        HEAD + b"-2\r\nab\r\n",
        HEAD + b"\r\n",
        HEAD + b"123456789\r\nab\r\n",
    ],
)
def test_broken_chunking(raw: bytes) -> None:
    with pytest.raises(StreamError) as error:
        payload(raw)
    assert error.value.kind == "malformed_chunking"


def test_chunk_extensions_are_ignored() -> None:
    assert payload(HEAD + b"2;x=y\r\nab\r\n0\r\n\r\n") == b"ab"


@pytest.mark.parametrize(
    ("headers", "body", "expected", "complete"),
    [
        (b"content-length: 3\r\n", b"abc", b"abc", True),
        (b"content-length: 3\r\n", b"abcd", b"abc", True),
        (b"content-length: 3\r\n", b"ab", b"ab", False),
        (b"", b"abc", b"abc", True),
    ],
)
def test_plain_bodies(headers: bytes, body: bytes, expected: bytes, complete: bool) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n" + body
    decoded = body_of(raw, closed=True)
    assert (decoded.data, decoded.complete) == (expected, complete)


@given(st.integers(0, len(HEAD) - 1))
def test_a_head_is_unknown_until_it_is_complete(length: int) -> None:
    assert parse_head(HEAD[:length]) is None


def test_head() -> None:
    head = parse_head(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"
    )
    assert head is not None
    assert (head.status, head.headers["retry-after"], head.length, head.closes) == (429, "2", 0, True)


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"x" * 70000])
def test_what_is_not_http(data: bytes) -> None:
    with pytest.raises(StreamError):
        parse_head(data)


def test_a_request_is_complete() -> None:
    sent = request_bytes("/a/v1/completions", {"Host": "gpu1:8000"}, {"prompt": "ä", "max_tokens": 1}, "run-1-0")
    assert sent == (
        b"POST /a/v1/completions HTTP/1.1\r\nHost: gpu1:8000\r\nContent-Type: application/json\r\nAccept: */*\r\n"
        b'Content-Length: 30\r\nX-Request-Id: run-1-0\r\n\r\n{"prompt":"\xc3\xa4","max_tokens":1}'
    )
