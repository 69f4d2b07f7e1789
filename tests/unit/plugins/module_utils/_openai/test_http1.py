# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.http1 import (
    Body,
    Framing,
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


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=8),
    st.data(),
)
def test_events_survive_every_chunk_boundary(texts: list[str], data: st.DataObject) -> None:
    stream = b"".join(b"data: " + text.encode() + b"\r\n\r\n" for text in texts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)]) if b > a]
    assert [event.decode() for event, _end, _name in events(payload(chunked(*pieces)), [])] == texts


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=6))
def test_each_byte_is_found_in_the_recording(pieces: list[bytes]) -> None:
    raw = chunked(*pieces)
    body = body_of(raw)
    assert body.complete
    assert bytes(raw[body.raw_offset(offset)] for offset in range(len(body.data))) == body.data == b"".join(pieces)


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.sampled_from([b"d", b"x", b"\r", b"\n"])), min_size=1, max_size=6),
    st.data(),
)
def test_chunks_of_any_size_come_out_whole_wherever_the_reads_are_cut(
    shapes: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """The sizes of events take a shorter way: two and three digits, behind which the data begin with d."""
    pieces = [first + b"y" * (size - 1) for size, first in shapes]
    raw = chunked(*pieces)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=5)))
    framing = Framing(keep_spans=True)
    ends = [framing.advance(raw[:until]) for until in [*cuts, len(raw)]]
    assert ends == [False] * len(cuts) + [True]
    assert framing.payload(raw) == b"".join(pieces)
    assert framing.ended == len(raw)


@pytest.mark.parametrize("size", [15, 16, 255, 256, 4095, 4096])
@pytest.mark.parametrize("after", [b"\r\n%X\r\n", b"\r\n%x;a=b\r\n", b"\r\n00%x\r\n", b"\n\n%x\r\n", b"xx%x\r\n"])
def test_what_only_looks_like_a_usual_chunk_is_read_in_full(size: int, after: bytes) -> None:
    piece = b"d" * size
    raw = HEAD + b"5\r\nfirst" + after % size + piece + b"\r\n0\r\n\r\n"
    if after.startswith(b"\r\n"):
        assert payload(raw) == b"first" + piece
    else:
        with pytest.raises(StreamError):
            payload(raw)


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


# -- one framing for the end and the decoding -------------------------------------------------------------------------

BODIES = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=40),
        st.sampled_from([b"\r\n0\r\n\r\n", b"data: a\r\n\r\n", b"0\r\n\r\n", b"\r\n"]),
    ),
    max_size=6,
)
EXTENSIONS = st.sampled_from([b"", b";a=b", b" ; x", b';q="1"'])
TRAILERS = st.sampled_from([b"", b"X: 1\r\n", b"X: 1\r\nY: 2\r\n"])
INTERIM = st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3])


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A legal response whose end is in its bytes, and its payload."""
    pieces = draw(BODIES)
    body = b"".join(pieces)
    if draw(st.booleans()):
        return draw(INTERIM) + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body, body
    extension = draw(EXTENSIONS)
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return draw(INTERIM) + HEAD + chunks + b"0" + extension + b"\r\n" + draw(TRAILERS) + b"\r\n", body


@given(responses(), st.data())
def test_any_split_of_the_bytes_ends_at_the_same_byte_with_the_same_body(
    response: tuple[bytes, bytes], data: st.DataObject
) -> None:
    """Also where what was understood is forgotten meanwhile, as a recording does."""
    raw, body = response
    framing, base, window = Framing(), 0, bytearray()
    cuts = sorted({*data.draw(st.sets(st.integers(1, len(raw)), max_size=12)), len(raw)})
    for begin, end in zip([0, *cuts], cuts):
        window += raw[begin:end]
        assert framing.advance(window, base) == (end == len(raw))
        if data.draw(st.booleans()):
            forgotten = min(max(0, framing.needs - base), len(window))
            del window[:forgotten]
            base += forgotten
    assert framing.ended == len(raw)
    decoded = decode_response(raw)
    assert decoded is not None
    assert (decoded.body.data, decoded.body.complete, decoded.extra) == (body, True, 0)


@given(responses(), st.binary(min_size=1, max_size=9))
def test_what_follows_a_response_is_counted_apart(response: tuple[bytes, bytes], extra: bytes) -> None:
    decoded = decode_response(response[0] + extra)
    assert decoded is not None
    assert (decoded.body.data, decoded.extra) == (response[1], len(extra))


@given(st.binary(max_size=200), st.sampled_from([b"", HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]))
def test_any_bytes_are_a_response_or_break_http(data: bytes, head: bytes) -> None:
    try:
        decode_response(head + data, closed=True)
    except StreamError as error:
        assert error.kind in ("malformed_http", "malformed_chunking")
