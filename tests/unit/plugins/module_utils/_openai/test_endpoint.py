# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.client import NoAnswer, ask
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import (
    Access,
    Endpoint,
    look_up,
    parse_base_url,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:8000", Endpoint("http", "127.0.0.1", 8000)),
        ("http://gpu1", Endpoint("http", "gpu1", 80)),
        ("https://gpu1/", Endpoint("https", "gpu1", 443)),
        ("http://gpu1:8000/v1", Endpoint("http", "gpu1", 8000)),
        ("http://gpu1:8000/v1/", Endpoint("http", "gpu1", 8000)),
        ("http://gpu1/models/a/v1", Endpoint("http", "gpu1", 80, "/models/a")),
        ("http://[::1]:8000", Endpoint("http", "::1", 8000)),
    ],
)
def test_parse_base_url(text: str, expected: Endpoint) -> None:
    assert parse_base_url(text) == expected


@pytest.mark.parametrize(
    "text", ["", "gpu1:8000", "ftp://gpu1", "http://", "http://gpu1:port", "http://u:p@gpu1", "http://g?x=1"]
)
def test_what_is_no_base_url(text: str) -> None:
    with pytest.raises(UserError):
        parse_base_url(text)


@pytest.mark.parametrize(
    ("text", "url", "path"),
    [
        ("http://gpu1:80/v1", "http://gpu1", "/v1/models"),
        ("https://[::1]:8000/a/", "https://[::1]:8000/a", "/a/v1/models"),
    ],
)
def test_normal_form(text: str, url: str, path: str) -> None:
    endpoint = parse_base_url(text)
    assert (endpoint.url, endpoint.path("/v1/models")) == (url, path)


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(UserError, match=r"no-such-host\.invalid"):
        resolve(parse_base_url("http://no-such-host.invalid:8000"))


def access(url: str, ca_path: Path) -> Access:
    return Access(parse_base_url(url), ca_path=str(ca_path))


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate")
    for name in ("missing", "text"):
        with pytest.raises(UserError, match="ca_path"):
            access("https://127.0.0.1:1", tmp_path / name).tls_context()


def test_plain_http_needs_none(tmp_path: Path) -> None:
    assert access("http://127.0.0.1:1", tmp_path / "missing").tls_context() is None


@pytest.mark.parametrize(
    "url",
    [
        "http://me:c4nary-Value@host:8000", "https://c4nary-Value@host", "me:c4nary-Value@host:8000", "http://me:a/c4nary-Value@host",
        "http://me:8000#c4nary-Value@host", "http://me:c4nary-Value#@host", "http://me:c4nary-Value@x@host", "http://@host",
        "c4nary-Value@",
    ],
)  # fmt: skip
def test_an_address_with_user_and_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UserError, match="base_url") as caught:
        parse_base_url(url)
    assert "c4nary" not in str(caught.value) + str(caught.value.problems)


def test_a_python_that_takes_a_cut_for_an_end_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    careless = ssl.create_default_context()
    careless.options |= 1 << 7  # as the Python of Debian 12 has it
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: careless)
    context = Access(Endpoint("https", "gpu1", 443)).tls_context()
    assert context is not None and not context.options & 1 << 7


def test_a_resolver_that_hangs_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_name, **_options: time.sleep(6) or [])
    began, before = time.monotonic(), set(threading.enumerate())
    with pytest.raises(OSError, match=r"'gpu1' within 0\.1 s"):
        look_up(Endpoint("http", "gpu1", 80), 0.1)
    with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
        ask("http://gpu1/x", {}, 0.2)
    monkeypatch.setattr(look_up, "__defaults__", (0.1,))
    with pytest.raises(UserError, match=r"no answer about the name 'gpu1' within 0\.1 s"):
        resolve(Endpoint("http", "gpu1", 80))
    assert time.monotonic() - began < 5
    assert all(thread.daemon for thread in set(threading.enumerate()) - before), (
        "one would keep the module from its end"
    )


def test_of_several_addresses_the_first_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        known = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in (closed, listener.getsockname())]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_name, **_options: known)
        assert resolve(Endpoint("http", "gpu1", 80)) == (socket.AF_INET, listener.getsockname())
    assert resolve(Endpoint("http", "gpu1", 80)) == (socket.AF_INET, closed)


def test_each_address_of_a_name_is_found_once() -> None:
    assert look_up(Endpoint("http", "127.0.0.1", 80)) == [(socket.AF_INET, ("127.0.0.1", 80))]


@pytest.mark.parametrize("name", ["no.such.host.invalid", "a" * 64, "a..b"])
def test_a_name_that_cannot_be_looked_up(name: str) -> None:
    with pytest.raises(OSError, match=r"^(?!no answer)"):
        look_up(Endpoint("http", name, 80), 5)
