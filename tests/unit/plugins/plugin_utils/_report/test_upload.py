# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Uploads reach a server, try again when that may help, and never show a signature."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.upload import put, shown

from tests.support.hostile_server import Peer, answer, hostile_server, says, stands_still


class Store(ThreadingHTTPServer):
    """Keeps what it is sent; answers with the given codes first, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.codes: list[int] = []
        self.echoes = False
        self.kept: list[tuple[str, bytes, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Store

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kept.append((self.path, body, dict(self.headers)))
        self.send_response(self.server.codes.pop(0) if self.server.codes else 200)
        said = f"{'x' * 190} {self.path} {self.headers.get('X-Key')}".encode() if self.server.echoes else b"answer"
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text("{}")
    return path


def test_a_file_arrives_with_type_and_headers(store: Store, file: Path) -> None:
    put({file: f"{store.url}/a/b?signature=s"}, {"X-Key": "k"}, retries=0, timeout_s=5)
    path, body, headers = store.kept[0]
    assert (path, body) == ("/a/b?signature=s", b"{}")
    assert (headers["Content-Type"], headers["X-Key"]) == ("application/json", "k")


def test_a_passing_fault_is_tried_again_and_the_whole_body_sent_again(store: Store, file: Path) -> None:
    store.codes = [503, 429]
    put({file: store.url}, {}, retries=2, timeout_s=5, first_pause_s=0.01)
    assert [body for _path, body, _headers in store.kept] == [b"{}"] * 3


@pytest.mark.parametrize(("codes", "tries"), [([403], 1), ([500] * 3, 3)])
def test_a_lasting_fault_is_explained_without_its_secrets(
    store: Store, file: Path, codes: list[int], tries: int
) -> None:
    store.codes = list(codes)
    with pytest.raises(UserError) as error:
        put({file: f"{store.url}/x?signature=s3cret"}, {}, retries=2, timeout_s=5, first_pause_s=0.01)
    assert f"HTTP {codes[0]}" in str(error.value) and "report.json" in str(error.value)
    assert "s3cret" not in str(error.value)
    assert len(store.kept) == tries


def test_no_connection_is_explained_without_its_secrets(file: Path) -> None:
    with pytest.raises(UserError) as error:
        put({file: "http://127.0.0.1:9/x?signature=s3cret"}, {}, retries=1, timeout_s=5, first_pause_s=0.01)
    assert "http://127.0.0.1:9/x" in str(error.value) and "s3cret" not in str(error.value)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="report_forms"):
        put({tmp_path / "none.html": "http://127.0.0.1:9/"}, {}, retries=0, timeout_s=5)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:pass@store.example:9000/a/b?X-Amz-Signature=1#f", "https://store.example:9000/a/b"),
        ("http://store.example", "http://store.example"),
    ],
)
def test_shown(url: str, text: str) -> None:
    assert shown(url) == text


def test_a_store_that_repeats_signature_and_key_is_not_quoted(store: Store, file: Path) -> None:
    store.codes, store.echoes = [403], True
    with pytest.raises(UserError) as caught:
        put({file: f"{store.url}/r?s=c4nary-Signature0"}, {"X-Key": "c4nary-Header00"}, retries=0, timeout_s=5)
    assert "c4nary" not in str(caught.value)


def dripping(peer: Peer) -> None:
    peer.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 99, 0.05)


@pytest.mark.parametrize("behaviour", [dripping, stands_still])
def test_a_store_that_does_not_come_to_an_end_has_a_limit(file: Path, behaviour: Any) -> None:
    began = time.monotonic()
    with hostile_server({"/r": behaviour}) as server, pytest.raises(UserError, match=r"timed out|Timeout"):
        put({file: f"{server.url}/r"}, {}, retries=1, timeout_s=0.2, first_pause_s=0.01)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("status", [b"200 OK", b"503 Service Unavailable"])
def test_a_store_that_sends_for_ever_is_not_listened_to(file: Path, status: bytes) -> None:
    def floods(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 " + status + b"\r\n\r\n")
        peer.flood(b"x")

    began = time.monotonic()
    with hostile_server({"/r": floods}) as server:
        try:
            put({file: f"{server.url}/r"}, {}, retries=1, timeout_s=3, first_pause_s=0.01)
        except UserError as error:
            assert "HTTP 503" in str(error)
    assert time.monotonic() - began < 2.9


def test_a_redirect_is_not_followed_and_gets_no_headers(store: Store, file: Path) -> None:
    """A PUT that a store leads elsewhere becomes a GET for most clients, which succeeds and sends nothing."""
    leads = says(answer(b"", b"302 Found", f"Location: {store.url}/else?token=c4nary".encode()))
    with hostile_server({"/r": leads}) as server, pytest.raises(UserError) as caught:
        put({file: f"{server.url}/r"}, {"X-Key": "k"}, retries=1, timeout_s=5)
    assert store.kept == []
    assert f"{store.url}/else" in str(caught.value) and "c4nary" not in str(caught.value)


def test_a_netrc_does_not_replace_what_was_given(
    store: Store, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    put({file: store.url}, {"Authorization": "given"}, retries=0, timeout_s=5)
    assert store.kept[0][2]["Authorization"] == "given"
