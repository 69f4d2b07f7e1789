# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What servers answer that are hostile, broken or merely unusual, and what that has to be called."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import NamedTuple

from tests.support.hostile_server import (
    DONE,
    END_OF_CHUNKS,
    STREAM_HEAD,
    Behaviour,
    Peer,
    answer,
    asked_of,
    chunk,
    delta,
    event,
    good_completion,
    good_events,
    says,
    stands_still,
    usage,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Broken(NamedTuple):
    """What is no HTTP answer: `reason` is a pattern of the words that a question gets, `kind` the class of a request of a load."""

    behaviour: Behaviour
    reason: str
    kind: str


class Stream(NamedTuple):
    """A spoilt stream: the class of a request of a load, empty for a success, and whether the smoke test `stream` passes."""

    behaviour: Behaviour
    kind: str
    smoke: str


_CUT = "closed before the answer was complete"


def _latin(text: str) -> bytes:
    return text.encode("latin-1")


BROKEN = {
    "nothing, and closed": Broken(says(close=True), "no answer came", "reset"),
    "half a head": Broken(says(b"HTTP/1.1 200 OK\r\nContent-", close=True), _CUT, "truncated"),
    "half a body": Broken(says(answer(b"right")[:-2], close=True), _CUT, "truncated|stream_error"),
    "half a chunk": Broken(says(CHUNKED + b"5\r\nri", close=True), _CUT, "truncated"),
    "no last chunk": Broken(says(CHUNKED + b"5\r\nright\r\n", close=True), _CUT, "truncated"),
    "half a last chunk": Broken(says(CHUNKED + b"5\r\nright\r\n0\r\n", close=True), _CUT, "truncated"),
    "a reset": Broken(lambda peer: peer.reset(), "reset|closed|no answer", "reset"),
    "an SSH banner": Broken(says(b"SSH-2.0-OpenSSH_9.6\r\n"), r"no HTTP.*SSH-2\.0", "malformed_http"),
    "HTTP/2": Broken(says(b"\x00\x00\x12\x04\x00"), "no HTTP", "malformed_http"),
    "a status in letters": Broken(says(b"HTTP/1.1 OK\r\n\r\n"), "no HTTP", "malformed_http"),
    "a status of one digit": Broken(says(b"HTTP/1.1 2 OK\r\n\r\n"), "no HTTP", "malformed_http"),
    "HTTP/0.9": Broken(says(b"right\r\n"), "no HTTP", "malformed_http"),
    "an alert of TLS": Broken(says(b"\x15\x03\x01\x00\x02\x02\x28"), "no HTTP", "malformed_http"),
    "a greeting of SMTP": Broken(says(b"220 mail ESMTP\r\n"), "no HTTP", "malformed_http"),
    "a superscript for a status": Broken(says(_latin("HTTP/1.1 ²00 OK\r\n\r\n")), "no HTTP", "malformed_http"),
    "a superscript for a length": Broken(
        says(_latin("HTTP/1.1 200 OK\r\nContent-Length: ²\r\n\r\n")), "Content-Length", "malformed_http"
    ),
    "a negative length": Broken(says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "Content-Length", "malformed_http"),
    "a length of 400 digits": Broken(
        says(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n"), "Content-Length", "malformed_http"
    ),
    "two lengths": Broken(says(answer(b"right", b"200 OK", b"Content-Length: 6")), "Content-Length", "malformed_http"),
    "a chunk size in words": Broken(says(CHUNKED + b"five\r\nright\r\n"), "chunk size", "malformed_chunking"),
    "a chunk size with a sign": Broken(says(CHUNKED + b"+5\r\nright\r\n"), "chunk size", "malformed_chunking"),
    "a chunk size with an underscore": Broken(says(CHUNKED + b"0_5\r\nright\r\n"), "chunk size", "malformed_chunking"),
    "a chunk size as in C": Broken(says(CHUNKED + b"0x5\r\nright\r\n"), "chunk size", "malformed_chunking"),
    "a chunk size of nothing": Broken(says(CHUNKED + b"\r\nright\r\n"), "chunk size", "malformed_chunking"),
    "a chunk size without end": Broken(says(CHUNKED + b"5;" + b"x" * 10_000), "chunk size", "malformed_chunking"),
    "a chunk that is too long": Broken(says(CHUNKED + b"3\r\nright\r\n0\r\n\r\n"), "after a chunk", "malformed_chunking"),
    "another protocol": Broken(says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), "101", "malformed_http"),
    "gzip": Broken(
        says(answer(gzip.compress(b"right"), b"200 OK", b"Content-Encoding: gzip")), r"compressed \(gzip\)", "compressed"
    ),
    "brotli": Broken(says(answer(b"right", b"200 OK", b"Content-Encoding: br")), r"compressed \(br\)", "compressed"),
    "a head without end": Broken(
        lambda peer: peer.flood(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100), "no HTTP", "malformed_http"
    ),
    "interim answers without end": Broken(
        lambda peer: peer.flood(b"HTTP/1.1 100 Continue\r\n\r\n"), "no HTTP", "malformed_http"
    ),
    "trailers without end": Broken(
        lambda peer: (peer.send(CHUNKED + b"0\r\n"), peer.flood(b"X: y\r\n")), "trailers", "malformed_chunking"
    ),
    "silence": Broken(stands_still, "timed out", "first_token_timeout"),
    "silence after the head": Broken(
        lambda peer: (peer.send(CHUNKED), stands_still(peer)), "timed out", "first_token_timeout"
    ),
    "a byte now and then": Broken(
        lambda peer: peer.drip(answer(b"x" * 1000), 0.05), "timed out", "first_token_timeout"
    ),
    "a byte of the body now and then": Broken(
        lambda peer: (peer.send(CHUNKED), peer.drip(b"1\r\na\r\n" * 99, 0.05)), "timed out", "first_token_timeout"
    ),
    "a byte of interim answers now and then": Broken(
        lambda peer: peer.drip(b"HTTP/1.1 100 x\r\n\r\n" * 99, 0.05), "timed out", "first_token_timeout"
    ),
}  # fmt: skip

# What is an HTTP answer without an end that a limit of size has to find; begin, and what is repeated.
ENDLESS = {
    "a flood until closed": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
    "a flood with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 1000),
    "a flood in chunks": (CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"),
    "a flood in one chunk": (CHUNKED + b"ffffffff\r\n", b"x" * 1000),
    "a flood of lists": (b"HTTP/1.1 200 OK\r\n\r\n", b"[],"),
    "a flood of events": (CHUNKED, chunk(delta())),
}

# Whole answers that mean something else than was asked for; what a question's module says of them.
ODD = {
    "empty": answer(b""),
    "a word": answer(b"hello"),
    "null": answer(b"null"),
    "true": answer(b"true"),
    "a number": answer(b"-0.0"),
    "a text": answer(b'"hello"'),
    "a list": answer(b"[[], {}, null]"),
    "a mark of byte order": answer(b'\xef\xbb\xbf{"data": []}'),
    "UTF-16": answer('{"data": [{"id": "hostile"}]}'.encode("utf-16")),
    "two documents": answer(b'{"data": []} {"data": []}'),
    "a key twice": answer(b'{"data": [], "data": 7, "count": 1, "count": "x"}'),
    "zero bytes": answer(b"\x00" * 1000),
    "a negative length of a model": answer(b'{"data": [{"id": "hostile", "max_model_len": -4096}]}'),
    "a length of a model as 10 to the 400": answer(
        b'{"data": [{"id": "hostile", "max_model_len": 1' + b"0" * 400 + b"}]}"
    ),
    "metrics without values": answer(
        b"# TYPE vllm:prompt_tokens_total counter\nvllm:prompt_tokens_total{\nvllm:x NaN NaN NaN\n"
    ),
    "a metric of endless labels": answer(b"vllm:prompt_tokens_total{" + b'a="b",' * 100_000 + b"} 1\n"),
    "a number of 5,000 digits": answer(b'{"data": ' + b"9" * 5000 + b"}"),
    "nested a million times": answer(b"[" * 1_000_000),
    "infinity": answer(b'{"data": [{"id": 1e400, "max_model_len": NaN}]}'),
    "data of another shape": answer(b'{"data": {"id": "hostile"}, "choices": {"a": 1}, "count": [], "usage": 7}'),
    "entries of another shape": answer(
        b'{"data": [null, 7, [], {"id": {}}, {"id": []}], "choices": [null], "count": -1}'
    ),
    "no UTF-8": answer(b'{"data": "\xff\xfe"}'),
    "half a surrogate": answer(b'{"data": [{"id": "\\ud800"}], "error": {"message": "\\ud800"}}'),
    "escape sequences": answer(b'{"data": [{"id": "\x1b]0;owned\x07\x1b[2J"}], "detail": "\x1b[2J"}'),
    "a name of a million letters": answer(b'{"data": [{"id": "' + b"x" * 900_000 + b'"}]}'),
    "twenty thousand names": answer(
        b'{"data": [' + b", ".join(b'{"id": "model-number-%d"}' % n for n in range(20_000)) + b"]}"
    ),
    "a moved page": answer(b"", b"308 Permanent Redirect", b"Location: //evil@127.0.0.1:9/"),
    "a page that asks for a password": answer(b"", b"407 Proxy Authentication Required", b"Proxy-Authenticate: Basic"),
    "an error page": answer(b"<html><h1>Bad gateway</h1></html>", b"502 Bad Gateway"),
    "a redirect": answer(b"", b"302 Found", b"Location: http://127.0.0.1:9/login"),
    "no such page": answer(b"no", b"404 Not Found"),
    "a teapot": answer(b"short and stout", b"418 I'm a teapot"),
    "a server's error": answer(b'{"error": {"message": "no memory", "type": "E"}}', b"500 Internal Server Error"),
    "forbidden": answer(b"", b"403 Forbidden"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}


def spoilt(change: Callable[[list[bytes]], list[bytes]], end: bytes = END_OF_CHUNKS) -> Behaviour:
    """A flawless stream but for its events, or its end; what is asked for without a stream gets what it should."""

    def behave(peer: Peer) -> None:
        asked = asked_of(peer)
        if not asked.stream:
            good_completion(peer)
            return
        peer.send(STREAM_HEAD, *map(chunk, change(good_events(asked))), end)
        if not end:
            raise EOFError

    return behave


def after_two(*events: bytes) -> Behaviour:
    """Some events, these, and [DONE]."""
    return spoilt(lambda good: [*good[:2], *events, DONE])


def with_last(**more: object) -> Behaviour:
    """The last event with text has this besides."""
    return spoilt(
        lambda good: [*good[:-3], event(choices=[{"index": 0, "delta": {"content": " z"}, **more}]), *good[-2:]]
    )


def finished(reason: str) -> Behaviour:
    return with_last(finish_reason=reason)


def counted(prompt: object, completion: object) -> Behaviour:
    return spoilt(lambda good: [*good[:-2], usage(prompt, completion), DONE])  # type: ignore[arg-type]


STREAMS = {
    "flawless": Stream(good_completion, "", "pass"),
    "text with U+2028, U+2029, U+0085, VT and FF": Stream(
        spoilt(lambda good: [good[0], *(each.replace(b" a", " \u2028\u2029\u0085\v\f".encode()) for each in good[1:])]), "", "pass"
    ),
    "null keep-alives": Stream(spoilt(lambda good: [b"data: null\n\n", *good[:2], b"data:\n\n", *good[2:]]), "", "pass"),
    "null members": Stream(
        spoilt(lambda good: [event(choices=None), event(choices=[{"delta": None}], usage=None), *good[1:]]), "", "pass"
    ),
    "comments": Stream(spoilt(lambda good: [part for each in good for part in (b": ping\n\n", each)]), "", "pass"),
    "CRLF": Stream(spoilt(lambda good: [each.replace(b"\n", b"\r\n") for each in good]), "", "pass"),
    "CR": Stream(spoilt(lambda good: [each.replace(b"\n", b"\r") for each in good]), "", "pass"),
    "no space after the colon": Stream(spoilt(lambda good: [each.replace(b"data: ", b"data:") for each in good]), "", "pass"),
    "ids and times to retry": Stream(spoilt(lambda good: [b"id: 1\nretry: 10\n" + each for each in good]), "", "pass"),
    "data on two lines": Stream(
        spoilt(lambda good: [each.replace(b"data: {", b"data: {\ndata: ", 1) for each in good]), "", "pass"
    ),
    "a mark of byte order first": Stream(spoilt(lambda good: [b"\xef\xbb\xbf" + good[0], *good[1:]]), "", "pass"),
    "reasoning first": Stream(
        spoilt(lambda good: [good[0], good[1].replace(b"content", b"reasoning"), *good[2:]]), "", "pass"
    ),
    "usage twice": Stream(spoilt(lambda good: [*good[:-1], *good[-2:]]), "", "pass"),
    "[DONE] without its blank line": Stream(spoilt(lambda good: [*good[:-1], b"data: [DONE]"]), "", "pass"),
    "trailers and extensions": Stream(spoilt(list, b"0;a=b\r\nX-Sum: 1\r\n\r\n"), "", "pass"),
    "an error as an object": Stream(after_two(b'data: {"error": {"message": "no memory"}}\n\n'), "stream_error", "no memory"),
    "an error in vLLM's older form": Stream(
        after_two(b'data: {"object": "error", "message": "no memory"}\n\n'), "stream_error", "no memory"
    ),
    "an error as an event of that name": Stream(
        after_two(b'event: error\ndata: {"message": "no memory"}\n\n'), "stream_error", "no memory"
    ),
    "an error in FastAPI's form": Stream(after_two(b'data: {"detail": "no memory"}\n\n'), "stream_error", "no memory"),
    "an error as text beside choices": Stream(
        after_two(event(choices=[{"delta": {}}], error="no memory")), "stream_error", "no memory"
    ),
    "an error as a plain line of data": Stream(after_two(b"data: no memory\n\n"), "stream_error", "no memory"),
    "an error as a plain line and an end": Stream(
        spoilt(lambda good: [*good[:2], b"no memory\n\n"]), "stream_error", "no memory"
    ),
    "an error with a number": Stream(
        after_two(b'data: {"error": {"code": 500, "message": "no memory"}}\n\n'), "stream_error", "no memory"
    ),
    "an error as a list of details": Stream(
        after_two(b'data: {"detail": [{"msg": "no memory"}]}\n\n'), "stream_error", "no memory"
    ),
    "no [DONE]": Stream(spoilt(lambda good: good[:-1]), "no_done", r"expected \[DONE\]"),
    "cut between two events": Stream(spoilt(lambda good: good[:4], b""), "truncated", "closed before"),
    "cut within an event": Stream(spoilt(lambda good: [*good[:4], good[4][:9]], b""), "truncated", "closed before"),
    "no text": Stream(spoilt(lambda good: [good[0], *good[-2:]]), "empty_output", "none of them with text"),
    "no events": Stream(spoilt(lambda good: good[-1:]), "no_events", "0 events came"),
    "broken JSON": Stream(spoilt(lambda good: [*good[:2], b'data: {"choices": [\n\n', *good[2:]]), "invalid_json", "invalid_json"),
    "choices of another shape": Stream(
        spoilt(lambda good: [*good[:2], event(choices={"a": 1}), *good[2:]]), "invalid_json", "invalid_json"
    ),
    "nested a hundred thousand times": Stream(
        spoilt(lambda good: [*good[:2], b"data: " + b"[" * 100_000 + b"\n\n", *good[2:]]), "invalid_json", "invalid_json"
    ),
    "an event of 400 KB": Stream(spoilt(lambda good: [*good[:2], delta("x" * 400_000), *good[2:]]), "oversized_event", "pass"),
    "aborted": Stream(finished("abort"), "aborted", "aborted"),
    "filtered": Stream(finished("content_filter"), "filtered", "filtered"),
    "an unknown finish": Stream(finished("bored"), "unknown_finish", "unknown_finish"),
    "no finish_reason": Stream(with_last(), "no_finish_reason", "pass"),
    "a negative count": Stream(counted(64, -8), "bad_usage", "pass"),
    "a count of another type": Stream(counted(64, "8"), "bad_usage", "pass"),
    "a count without end": Stream(counted(64, 10**300), "bad_usage", "pass"),
    "half a token": Stream(counted(64, 7.5), "bad_usage", "pass"),
    "a count that is true": Stream(counted(64, True), "bad_usage", "pass"),
    "a count of infinity": Stream(counted(64, float("inf")), "bad_usage", "pass"),
    "fewer tokens than asked for": Stream(counted(64, 7), "short_output", "pass"),
    "no usage": Stream(spoilt(lambda good: [*good[:-2], DONE]), "no_usage", "pass"),
    "an event after [DONE]": Stream(spoilt(lambda good: [*good, delta()]), "after_done", "pass"),
    "bytes after the end": Stream(spoilt(list, END_OF_CHUNKS + b"more"), "malformed_http", "pass"),
    "silence within": Stream(
        lambda peer: (peer.send(STREAM_HEAD, *map(chunk, good_events(asked_of(peer))[:3])), stands_still(peer)),
        "idle_timeout",
        "timed out",
    ),
    "an event now and then": Stream(
        lambda peer: peer.send(STREAM_HEAD, *([chunk(delta())] * 99), pause_s=0.1), "total_timeout", "timed out"
    ),
}  # fmt: skip
