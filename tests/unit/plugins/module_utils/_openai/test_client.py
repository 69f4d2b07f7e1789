# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.client import Answer, NoAnswer, ask

from tests.support.http_server import http_server


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
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with http_server({"/x": (200, b"straight")}) as server:
        assert ask(server.url + "/x", {}, 5).body == b"straight"


def test_a_closed_port_is_no_answer():
    with pytest.raises(NoAnswer, match="refused"):
        ask("http://127.0.0.1:9/x", {}, 5)


def test_what_is_not_http_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                connection.recv(1000)

        threading.Thread(target=speak, daemon=True).start()
        with pytest.raises(NoAnswer, match=r"SSH-2\.0"):
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}/x", {}, 5)


def test_a_server_that_says_nothing_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(NoAnswer, match="timed out"):
        ask(f"http://127.0.0.1:{listener.getsockname()[1]}/x", {}, 0.05)
