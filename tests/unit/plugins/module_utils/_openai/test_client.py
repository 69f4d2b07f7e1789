# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai import client as client_module
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.client import (
    MOST_BYTES,
    Answer,
    ControlClient,
    NoAnswer,
    ask,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import Access, parse_base_url

from tests.support.hostile_answers import BROKEN, CHUNKED, Broken
from tests.support.hostile_server import (
    Behaviour,
    HostileServer,
    answer,
    hostile_server,
    says,
    self_signed,
    stands_still,
)
from tests.support.http_server import http_server

LIMIT_S = 0.6


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@contextmanager
def answering(behaviour: Behaviour, certificate: Path | None) -> Iterator[HostileServer]:
    with hostile_server({"/x": behaviour}, certificate) as server:
        yield server


@pytest.fixture(params=["plain", "tls"])
def secured(request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """The server's certificate in a test over TLS, which this process then trusts."""
    if request.param == "plain":
        return None
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


def test_one_request_without_and_with_a_document():
    with http_server({"/v1/models": (200, b"{}"), "/v1/messages": (200, b"hi")}) as server:
        assert ask(server.url + "/v1/models", {"Authorization": "Bearer k"}, 5).body == b"{}"
        answer = ask(server.url + "/v1/messages", {"x-api-key": "k"}, 5, {"a": 1})
    assert answer == Answer(200, answer.server, b"hi") and answer.server.startswith("small/1")
    (_, get, nothing), (_, post, body) = server.requests
    assert (get["authorization"], nothing, post["x-api-key"], post["content-type"], body) == (
        *("Bearer k", b"", "k", "application/json"),
        b'{"a": 1}',
    )


@pytest.mark.parametrize("status", [404, 401, 503])
def test_a_refusal_is_an_answer(status):
    with http_server({"/x": (status, b"why")}) as server:
        answer = ask(server.url + "/x", {}, 5)
    assert (answer.status, answer.body) == (status, b"why")


def test_no_proxy_of_the_environment_comes_between(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with http_server({"/x": (200, b"straight")}) as server:
        assert ask(server.url + "/x", {}, 5).body == b"straight"


def test_a_closed_port_is_no_answer():
    with pytest.raises(NoAnswer, match="refused"):
        ask("http://127.0.0.1:9/x", {}, 5)


# -- every legal form of an answer ------------------------------------------------------------------------------------

LEGAL = {
    "content length": [answer(b"right")],
    "the length twice": [answer(b"right", b"200 OK", b"Content-Length: 5")],
    "one chunk": [CHUNKED + b"5\r\nright\r\n0\r\n\r\n"],
    "chunks with extensions": [CHUNKED + b'2;a=b\r\nri\r\n3 ; x="y"\r\nght\r\n0;z\r\n\r\n'],
    "trailers": [CHUNKED + b"5\r\nright\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"],
    "zeros before the size": [CHUNKED + b"005\r\nright\r\n000\r\n\r\n"],
    "interim answers": [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", answer(b"right")],
    "lines that end with LF": [b"HTTP/1.1 200 OK\nContent-Length: 5\n\nright"],
    "no reason": [b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nright"],
    "an upper-case coding": [CHUNKED.replace(b"chunked", b"Chunked") + b"5\r\nright\r\n0\r\n\r\n"],
    "chunks beside a length": [
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n") + b"5\r\nright\r\n0\r\n\r\n"
    ],
    "old HTTP with a length": [b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nright"],
    "byte after byte": [bytes([byte]) for byte in CHUNKED + b"5\r\nright\r\n0\r\n\r\n"],
}


@pytest.mark.parametrize("pieces", LEGAL.values(), ids=LEGAL)
def test_every_legal_answer_is_understood_at_once(pieces: list[bytes], secured: Path | None) -> None:
    began = time.monotonic()
    with answering(says(*pieces), secured) as server:
        assert ask(server.url + "/x", {}, 5).body == b"right"
    assert time.monotonic() - began < 2


def test_a_body_may_end_with_the_connection(secured: Path | None) -> None:
    with answering(says(b"HTTP/1.1 200 OK\r\n\r\nri", b"ght", close=True), secured) as server:
        assert ask(server.url + "/x", {}, 5).body == b"right"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
def test_an_address_of_ipv6_is_asked_and_named_in_brackets() -> None:
    with hostile_server({"/x": says(answer(b"right"))}, host="::1") as server:
        assert ask(server.url + "/x", {}, 5).body == b"right"
        assert server.asked[0][1]["host"] == server.url.partition("//")[2]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_is_not_waited_for(status: bytes) -> None:
    with answering(says(b"HTTP/1.1 " + status + b"\r\n\r\n"), None) as server:
        assert ask(server.url + "/x", {}, 5).body == b""


# -- what is no answer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_has_a_reason_in_time(broken: Broken, secured: Path | None) -> None:
    limit_s = (
        LIMIT_S if "timed out" in broken.reason else 5.0
    )  # one that does not wait has its reason also on a busy machine
    with answering(broken.behaviour, secured) as server:
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=broken.reason) as error:
            ask(server.url + "/x", {"Authorization": "Bearer k3y"}, limit_s)
        assert time.monotonic() - began < limit_s + 1
    assert error.value.problem.expected and error.value.problem.remedy and server.url in error.value.problem.found
    assert len(str(error.value)) < 400 and "k3y" not in str(error.value.problem)


def test_a_body_that_ends_with_tcp_alone_is_cut_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    cut = lambda peer: (peer.send(b"HTTP/1.1 200 OK\r\n\r\nrig"), peer.hang_up())  # noqa: E731
    with answering(cut, certificate) as server, pytest.raises(NoAnswer, match="before the answer was complete"):
        ask(server.url + "/x", {}, 5)


ENDLESS = {
    "with the connection": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
    "with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 1000),
    "in chunks": (CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"),
    "in chunks of one byte": (CHUNKED, b"1\r\nx\r\n"),
    "in one chunk": (CHUNKED + b"ffffffff\r\n", b"x" * 1000),
}
PART = 16  # of the limit: at the whole of it a busy machine needs minutes for chunks of one byte


@pytest.mark.parametrize(("head", "block"), ENDLESS.values(), ids=ENDLESS)
def test_of_a_flood_no_more_is_kept_than_the_limit(
    head: bytes, block: bytes, secured: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a part of the limit, that part of the memory that a module may take."""
    monkeypatch.setattr(client_module, "MOST_BYTES", MOST_BYTES // PART)
    with answering(lambda peer: (peer.send(head), peer.flood(block)), secured) as server:
        tracemalloc.start()
        try:
            flooded = ask(server.url + "/x", {}, 120)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert not flooded.whole and flooded.json is None
    assert len(flooded.body) <= MOST_BYTES // PART + client_module._READ_BYTES
    assert peak_bytes < 64 * 2**20 / PART


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_a_redirect_is_not_followed_and_names_its_place(status: bytes) -> None:
    with hostile_server({"/x": says(answer(b"elsewhere"))}) as other:
        place = f"{other.url}/x"
        with answering(says(answer(b"", status, f"Location: {place}".encode())), None) as server:
            answered = ask(server.url + "/x", {"Authorization": "Bearer k"}, 5)
    assert (answered.status, answered.location, other.asked) == (int(status[:3]), place, [])
    assert place in answered.excerpt


def test_text_of_a_server_is_cleaned_for_messages() -> None:
    answered = Answer(500, "", "a\x1b[31m\u2028\x00b\u202e\n  c".encode() + b"\xff" + b"x" * 10_000)
    assert answered.excerpt.startswith("a [31m b c\ufffd") and len(answered.excerpt) == 300


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "127.0.0.1:9/x", "http:///x", "http://a..b/x", "http://x:99999/", "http://u:p@h/"]
)
def test_a_url_that_cannot_be_asked_is_no_answer(url: str) -> None:
    with pytest.raises(NoAnswer) as error:
        ask(url, {}, 5)
    assert "u:p" not in str(error.value.problem)


# -- several questions on one connection ------------------------------------------------------------------------------


def control(server: HostileServer, timeout_s: float = 5) -> ControlClient:
    return ControlClient(Access(parse_base_url(server.url), None, True, None), timeout_s)


def test_a_connection_is_kept_and_opened_again_when_the_server_has_closed_it(secured: Path | None) -> None:
    bye = says(answer(b"bye"), close=True)
    with hostile_server({"/kept": says(answer(b"kept")), "/bye": bye}, secured) as server:
        asked = control(server)
        assert [asked.get(path).body for path in ("/kept", "/bye", "/kept", "/kept")] == [
            b"kept",
            b"bye",
            b"kept",
            b"kept",
        ]
        asked.close()


def test_what_follows_an_answer_is_not_taken_for_the_next_one() -> None:
    forged = says(answer(b"first") + answer(b"forged"))
    with hostile_server({"/x": forged, "/y": says(answer(b"second"))}) as server:
        asked = control(server)
        assert (asked.get("/x").body, asked.get("/y").body) == (b"first", b"second")


def test_a_fresh_connection_that_is_closed_is_not_asked_twice() -> None:
    with answering(says(close=True), None) as server:
        with pytest.raises(UserError, match="no answer came"):
            control(server).get("/x")
        assert len(server.asked) == 1


def test_a_caller_that_cancels_does_not_wait_for_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_CANCELLED_S", 0.2)
    with answering(stands_still, None) as server:
        asked, cancelled = control(server, timeout_s=60), threading.Event()
        asked.cancelled = cancelled.is_set
        threading.Timer(0.3, cancelled.set).start()
        began = time.monotonic()
        with pytest.raises(UserError, match="cancelled"):
            asked.get("/x")
        assert 0.3 < time.monotonic() - began < 20


def test_a_cancelled_run_still_gets_what_comes_at_once() -> None:
    with answering(says(answer(b"counters")), None) as server:
        asked = control(server)
        asked.cancelled = lambda: True
        assert asked.get("/x").body == b"counters"


def test_nothing_listens_to_the_connection() -> None:
    """A full queue of connections: the kernel answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        began = time.monotonic()
        with pytest.raises(NoAnswer, match="timed out"):
            ask(f"http://127.0.0.1:{address[1]}/x", {}, LIMIT_S)
        assert time.monotonic() - began < LIMIT_S + 1
        for client in waiting:
            client.close()


def test_where_no_connection_comes_within_the_limit_the_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(connection: socket.socket, _address: object) -> None:
        time.sleep(connection.gettimeout() or 0)
        raise socket.timeout("timed out")

    monkeypatch.setattr(socket.socket, "connect", waits)
    with pytest.raises(NoAnswer, match=r"within 0.1 s$"):
        ask("http://127.0.0.1:9/", {}, 0.1)
    monkeypatch.setattr(client_module, "CONNECT_S", 0.1)
    with pytest.raises(NoAnswer, match=r"no connection within 0.1 s$"):
        ask("http://127.0.0.1:9/", {}, 5)
