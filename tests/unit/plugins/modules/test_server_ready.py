# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.llmfleet.serving.plugins.modules import server_ready

from tests.support.core import patch_module_args
from tests.support.http_server import http_server

MODELS = json.dumps({"data": [{"id": "m"}]}).encode()
WELL = {"/v1/models": (200, MODELS), "/health": (200, b"")}


@pytest.fixture
def run(capsys):
    def call(*urls, status=0, **options):
        given = {"servers": [{"base_url": url} for url in urls], "served_model_name": "m", "poll_interval_s": 0.01}
        with patch_module_args({**given, **options}), pytest.raises(SystemExit) as end:
            server_ready.main()
        assert end.value.code == status
        return json.loads(capsys.readouterr().out)

    return call


def test_a_server_that_serves_is_ready_and_says_what_it_is(run):
    version = (200, b'{"version": "0.1.0", "engine": "vllm", "simulated": true}')
    with http_server({**WELL, "/version": version}) as server:
        result = run(server.url + "/")
    assert (result["ready"], result["models"], result["attempts"]) == (True, ["m"], 1)
    assert (result["engine_version"], result["engine"], result["simulated"]) == ("0.1.0", "vllm", True)


def test_a_server_without_a_version_says_nothing(run):
    with http_server(WELL) as server:
        result = run(server.url)
    assert (result["engine_version"], result["engine"], result["simulated"]) == (None, None, False)


def test_the_key_is_sent_and_must_be_asked_for(run, tmp_path):
    key = tmp_path / "key"
    key.write_text("secret\n")
    with http_server(WELL, key="secret") as server:
        assert run(server.url, api_key_file=str(key))["ready"] is True
        assert "not the server's" in run(server.url, status=1)["msg"]
    with http_server(WELL) as server:
        assert "without the key" in run(server.url, status=1, api_key_file=str(key))["msg"]


def test_a_key_that_cannot_be_read_is_said(run, tmp_path):
    assert (
        f"api_key_file {tmp_path} cannot be read"
        in run("http://127.0.0.1:9", status=1, api_key_file=str(tmp_path))["msg"]
    )


def test_what_does_not_answer_is_waited_for_and_named(run):
    result = run("http://127.0.0.1:9", status=1, timeout_s=0.5)
    assert "not ready after 0.5 s" in result["msg"]
    assert "nothing answers at http://127.0.0.1:9/v1/models ([Errno 111] Connection refused)" in result["msg"]
    assert result["attempts"] > 1


def test_of_several_servers_the_one_that_waits_is_named(run):
    with http_server(WELL) as server, http_server({"/v1/models": (503, b"")}) as slow:
        result = run(server.url, slow.url, slice_s=0.05)
    assert (result["ready"], [waiting["base_url"] for waiting in result["waiting"]]) == (False, [slow.url])


def test_a_check_asks_once_and_does_not_fail(run):
    with http_server({"/v1/models": (404, b"")}) as server:
        assert run(server.url, _ansible_check_mode=True)["ready"] is False
    assert [path for path, _headers, _body in server.requests] == ["/v1/models", "/version"]
