# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.llmfleet.serving.plugins.modules import server_smoke

from tests.support.core import patch_module_args
from tests.support.http_server import http_server

CHAT = json.dumps({"choices": [{"message": {"content": "hello"}}]}).encode()
ONLY_CHAT = dict.fromkeys(("stream", "context", "messages"), "skip")


@pytest.fixture
def run(capsys):
    def call(url, status=0, **options):
        given = {"base_urls": [url], "served_model_name": "m", "tests": ONLY_CHAT, **options}
        with patch_module_args(given), pytest.raises(SystemExit) as end:
            server_smoke.main()
        assert end.value.code == status
        return json.loads(capsys.readouterr().out)

    return call


def test_a_model_that_talks_passes_with_both_headers_for_the_key(run, tmp_path):
    (tmp_path / "key").write_text("secret\n")
    with http_server({"/v1/chat/completions": (200, CHAT)}, key="secret") as server:
        result = run(server.url + "/", api_key_file=str(tmp_path / "key"))
    assert result["summary"]["chat"] == "pass"
    ((path, headers, body),) = server.requests
    assert (path, headers["x-api-key"], headers["anthropic-version"]) == (
        "/v1/chat/completions",
        "secret",
        "2023-06-01",
    )
    assert (headers["content-type"], json.loads(body)["model"]) == ("application/json", "m")


def test_without_a_key_both_headers_are_sent_as_clients_do(run, tmp_path):
    with http_server({"/v1/chat/completions": (200, CHAT)}) as server:
        run(server.url, keyless_key="dummy")
        run(server.url)
    sent = [(headers.get("x-api-key"), headers.get("authorization")) for _path, headers, _body in server.requests]
    assert sent == [("dummy", "Bearer dummy"), (None, None)]


CANARY = "c4nary-Key/0123456789abcdef"
ECHOES = {
    "plain": CANARY,
    "in a header's words": f"Incorrect API key provided: Bearer {CANARY}",
    "as JSON": json.dumps({"error": {"message": f"no such key {CANARY}", "type": "AuthenticationError"}}),
    "with slashes escaped": json.dumps({"error": {"message": CANARY}}).replace("/", "\\/"),
    "with characters escaped": '{"error": {"message": "' + "".join(f"\\u{ord(each):04x}" for each in CANARY) + '"}}',
    "where the message is cut": "x" * 185 + CANARY,
    "in a good answer": json.dumps({"choices": [{"message": {"content": CANARY}}]}),
    "as the call of a tool": json.dumps(
        {"choices": [{"message": {"tool_calls": [{"function": {"name": CANARY, "arguments": "{}"}}]}}]}
    ),
}


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("echo", ECHOES)
def test_a_server_that_repeats_the_key_is_not_quoted(capsys, tmp_path, echo, status):
    (tmp_path / "key").write_text(CANARY)
    with http_server({"/v1/chat/completions": (status, ECHOES[echo].encode())}) as server:
        given = {"base_urls": [server.url], "served_model_name": "m", "api_key_file": str(tmp_path / "key")}
        with patch_module_args({**given, "tests": {"tool_call": "report", "reasoning": "report"}}), pytest.raises(
            SystemExit
        ):
            server_smoke.main()
        assert server.requests[0][1]["authorization"] == f"Bearer {CANARY}"
    output = capsys.readouterr().out
    assert CANARY[: len(CANARY) // 2] not in output


def test_an_address_with_a_password_is_refused_and_not_shown(run):
    assert "c4nary" not in json.dumps(run("http://me:c4nary-Value@127.0.0.1:9", status=1))


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        ({"/v1/chat/completions": (500, b"out of order")}, "/v1/chat/completions answers 500: out of order"),
        ({"/v1/chat/completions": (200, b"{}")}, "the answer has no message"),
    ],
)
def test_a_required_test_that_fails_fails_the_module(run, answers, detail):
    with http_server(answers) as server:
        result = run(server.url, status=1)
    assert detail in result["msg"] and server.url in result["msg"]
    assert result["summary"]["chat"] == "fail"


def test_no_answer_is_a_failure_with_the_reason(run):
    assert "does not answer: [Errno 111] Connection refused" in run("http://127.0.0.1:9", status=1)["msg"]


def test_what_is_only_reported_fails_nothing_and_is_told_in_one_line(run):
    result = run("http://127.0.0.1:9", tests={**ONLY_CHAT, "chat": "report"})
    assert result["summary"]["chat"] == "fail"
    assert result["reported"].startswith("chat at http://127.0.0.1:9: /v1/chat/completions does not answer")
    assert "\n" not in result["reported"]


def test_where_nothing_fails_nothing_is_told(run):
    with http_server({"/v1/chat/completions": (200, CHAT)}) as server:
        assert run(server.url)["reported"] == ""


def test_a_key_that_cannot_be_read_is_said(run, tmp_path):
    missing = tmp_path / "missing"
    assert (
        f"api_key_file {missing} cannot be read"
        in run("http://127.0.0.1:9", status=1, api_key_file=str(missing))["msg"]
    )
    assert run("http://127.0.0.1:9", api_key_file=str(missing), _ansible_check_mode=True)["results"] == []


def test_each_adapter_is_asked_by_its_name(run):
    with http_server({"/v1/chat/completions": (200, CHAT)}) as server:
        result = run(server.url, adapters=["de", "fr"])
        assert [json.loads(body)["model"] for _path, _headers, body in server.requests] == ["m", "de", "fr"]
    assert result["summary"]["lora"] == "pass"
    with http_server({"/v1/chat/completions": (200, b"{}")}) as server:
        failed = run(server.url, status=1, adapters=["de"], tests={**ONLY_CHAT, "chat": "skip"})
    assert "lora at" in failed["msg"] and "de: the answer has no message" in failed["msg"]
