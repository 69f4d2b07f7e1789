# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server import container as container_module
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as server_process
from ansible_collections.llmfleet.serving.plugins.modules import server_ready

from tests.support.core import patch_module_args
from tests.support.hostile_server import Peer, answer, hostile_server, says, stands_still
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


@pytest.mark.parametrize("path", ["/server_info", "/get_server_info"])
def test_the_version_of_sglang_is_in_another_place(run, path):
    with http_server(
        {**WELL, path: (200, b'{"version": " 0.5.17\\n", "internal_states": [{"memory": {}}]}')}
    ) as server:
        assert run(server.url)["engine_version"] == "0.5.17"


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
    result = run("http://127.0.0.1:9", status=1, timeout_s=2)
    assert "not ready after 2 s" in result["msg"]
    assert "nothing answers at http://127.0.0.1:9/v1/models ([Errno 111] Connection refused)" in result["msg"]
    assert result["attempts"] > 1


def test_a_question_for_which_hardly_any_time_was_left_does_not_hide_what_was_known(run):
    """The last question of a wait may have a quarter of a second, which a busy host does not answer in."""
    first = [says(answer(b"", b"503 Service Unavailable"))]

    def once(peer: Peer) -> None:
        (first.pop() if first else stands_still)(peer)

    with hostile_server({"/v1/models": once}) as server:
        result = run(server.url, status=1, timeout_s=1.8, poll_interval_s=1.0)
    assert "the server is loading" in result["msg"] and "timed out" not in result["msg"]


def test_of_several_servers_the_one_that_waits_is_named(run):
    with http_server(WELL) as server, http_server({"/v1/models": (503, b"")}) as slow:
        result = run(server.url, slow.url, slice_s=0.05)
    assert (result["ready"], [waiting["base_url"] for waiting in result["waiting"]]) == (False, [slow.url])


def test_a_check_asks_once_and_does_not_fail(run):
    with http_server({"/v1/models": (404, b"")}) as server:
        assert run(server.url, _ansible_check_mode=True)["ready"] is False
    asked = [path for path, _headers, _body in server.requests]
    assert asked == ["/v1/models", "/version", "/server_info", "/get_server_info"]


# What a proxy, or the engine itself, answers while the engine loads.
NOT_YET = [(status, b"<html>loading") for status in (429, 502, 503, 504)] + [
    (200, b'{"object": "list", "data": []}'),
    (200, b'{"object": "list", "data": null}'),
]


@pytest.mark.parametrize("answer", NOT_YET)
def test_behind_a_proxy_it_waits_until_its_limit(run, answer):
    with http_server({"/v1/models": answer}) as proxy:
        result = run(proxy.url, status=1, timeout_s=1.2)
    assert "not ready after 1.2 s" in result["msg"] and "the server is loading" in result["msg"]
    assert result["elapsed_s"] >= 1.2 and result["attempts"] > 1


@pytest.mark.parametrize(
    ("path", "answer"), [("/v1/models", answer) for answer in NOT_YET] + [("/health", answer) for answer in NOT_YET[:4]]
)
def test_behind_a_proxy_it_sees_the_engine_come(run, path, answer):
    with http_server({**WELL, path: answer}) as proxy:
        threading.Thread(target=_come_once_asked, args=(proxy, path), daemon=True).start()
        result = run(proxy.url, timeout_s=30)
    assert result["ready"] is True and result["attempts"] > 1


def _come_once_asked(proxy, path):
    """The engine answers after it was asked for a path, however busy the machine is."""
    while path not in [asked for asked, _headers, _body in proxy.requests]:
        time.sleep(0.01)
    time.sleep(0.1)  # what was asked has its answer by then
    proxy.answers.update(WELL)


LOGS = Path(__file__).resolve().parents[2] / "fixtures" / "server_logs"
POLL = '[2026-11-26 13:41:05] INFO:     127.0.0.1:52068 - "GET /v1/models HTTP/1.1" 503 Service Unavailable\n'


def asks_process(folder, url="http://127.0.0.1:9"):
    return {"servers": [{"base_url": url, "process_dir": str(folder)}], "timeout_s": 5}


@pytest.fixture
def pretended_docker(tmp_path, monkeypatch):
    """A `docker` whose container runs, or has ended, and whose log is in the file `log`."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$1" = inspect ] && exec cat {tmp_path}/state\n'
        f'[ "$2" = --tail ] && exec tail -n "$3" {tmp_path}/log\nexec cat {tmp_path}/log\n'
    )
    program.chmod(0o755)
    (tmp_path / "state").write_text("running 0 0 false 2026-11-26T13:38:50Z\n")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


def container(url="http://127.0.0.1:9"):
    return {"servers": [{"base_url": url, "container": "llmfleet-server"}], "timeout_s": 5}


def long_start():
    """A real start's log behind whose end an hour of our own questions stands."""
    return (LOGS / "sglang_started.txt").read_text() + POLL * 2 * 7200


def test_our_own_questions_do_not_push_the_phases_out_of_a_containers_log(run, pretended_docker):
    (pretended_docker / "log").write_text(long_start())
    with http_server(WELL) as server:
        result = run(**container(server.url))
    assert (result["phases"]["load_s"], result["phases"]["compile_s"]) == (2.83, 82.6)


def test_our_own_questions_are_no_news_of_a_containers_start(run, pretended_docker):
    (pretended_docker / "log").write_text(long_start())
    (waiting,) = run(**container(), slice_s=0.01)["waiting"]
    assert (waiting["stage"], waiting["last_line"][-8:]) == ("started", "to roll!")


@pytest.mark.parametrize(
    ("line", "begin", "end"),
    [
        ("(Worker pid=37) INFO 11-22 15:57:00 [runner.py:2338] Starting to load x...", "Starting to", "load x..."),
        (f"[2026-11-22 15:57:00 TP0] Loading {'x' * 1000} shard 3 of 4", "Loading xxx", "xxx shard 3 of 4"),
    ],
)
def test_of_the_last_line_of_a_log_the_text_is_shown_with_its_end(run, pretended_docker, line, begin, end):
    (pretended_docker / "log").write_text(line + "\n")
    (waiting,) = run(**container(), slice_s=0.01)["waiting"]
    assert waiting["last_line"].startswith(begin) and waiting["last_line"].endswith(end)
    assert len(waiting["last_line"]) <= 200


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("Error: No such object: llmfleet-server", "container llmfleet-server does not exist."),
        (
            "Cannot connect to the Docker daemon",
            "Docker does not say how container llmfleet-server is (Cannot connect to",
        ),
        (None, "Docker does not say how container llmfleet-server is (no answer within 0.5 s)."),
    ],
)
def test_a_docker_that_does_not_answer_is_no_container_that_is_gone(run, pretended_docker, monkeypatch, says, words):
    script = "exec sleep 30" if says is None else f"echo '{says}' >&2; exit 1"
    (pretended_docker / "bin" / "docker").write_text(f"#!/bin/sh\n{script}\n")
    monkeypatch.setattr(container_module, "DOCKER_S", 0.5)
    began = time.monotonic()
    assert words in run(**container(), status=1)["msg"]
    assert time.monotonic() - began < 5


def test_a_log_that_docker_does_not_hand_over_is_not_waited_for(pretended_docker, monkeypatch):
    (pretended_docker / "bin" / "docker").write_text("#!/bin/sh\necho begins\nexec sleep 30\n")
    monkeypatch.setattr(container_module, "DOCKER_S", 0.5)
    began = time.monotonic()
    assert container_module.container_log_head("llmfleet-server", "", 1000) == ["begins"]
    assert time.monotonic() - began < 5


def test_a_dead_container_says_why_in_one_line_with_a_bounded_end_of_its_log(run, pretended_docker):
    (pretended_docker / "state").write_text("exited 1 0 false 2026-11-26T13:38:50Z\n")
    (pretended_docker / "log").write_text((LOGS / "sglang_model_missing.txt").read_text() + POLL * 4000)
    result = run(**container(), status=1)
    assert "is not served at http://127.0.0.1:9: OSError: Repo id must be" in result["msg"]
    assert "inference_server_volumes" in result["msg"] and len(result["msg"].splitlines()) == 1
    assert (len(result["log_tail"]), result["log_tail"][-1][:7]) == (20, "OSError")


def test_a_dead_process_says_why_with_the_remedy_of_a_process(run, tmp_path):
    (tmp_path / "server.log").write_text((LOGS / "sglang_model_missing.txt").read_text())
    result = run(**asks_process(tmp_path), status=1)
    assert (result["cause"], "inference_server_volumes" in result["msg"]) == ("model_missing", False)
    assert "the server's process ended" in result["msg"]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("sglang_out_of_gpu_memory", "torch.OutOfMemoryError: CUDA out of memory."),
        ("sglang_memory_share_too_small", "RuntimeError: Not enough GPU memory for hybrid"),
        ("sglang_unknown_flag", "sglang serve: error: unrecognized arguments: --no-such-flag 1"),
        ("vllm_port_taken", "OSError: [Errno 98] Address already in use"),
        ("vllm_shm_too_small", "RuntimeError: Insufficient space in /dev/shm"),
        ("vllm_weights_truncated", "safetensors._safetensors_rust.SafetensorError"),
    ],
)
def test_the_true_line_comes_first_and_once(run, tmp_path, log, words):
    (tmp_path / "server.log").write_text((LOGS / f"{log}.txt").read_text())
    message = run(**asks_process(tmp_path), status=1)["msg"]
    assert message.startswith(f"m is not served at http://127.0.0.1:9: {words}")
    assert message.count(words) == 1


@pytest.mark.parametrize("log", ["sglang_model_missing", "sglang_memory_share_too_small", "sglang_context_over_model"])
def test_words_of_a_server_that_end_with_a_full_stop_get_no_second_one(run, tmp_path, log):
    (tmp_path / "server.log").write_text((LOGS / f"{log}.txt").read_text())
    message = run(**asks_process(tmp_path), status=1)["msg"]
    assert ". the server's process ended" in message and ".." not in message


def test_our_own_questions_do_not_push_the_phases_out_of_a_process_log(run, tmp_path):
    process = subprocess.Popen(["sleep", "60"])
    try:
        record = {"pid": process.pid, "identity": server_process.identity(process.pid), "digest": "", "argv": []}
        (tmp_path / "process.json").write_text(json.dumps(record))
        (tmp_path / "server.log").write_text(long_start())
        with http_server(WELL) as server:
            phases = run(**asks_process(tmp_path, server.url))["phases"]
        (waiting,) = run(**asks_process(tmp_path), slice_s=0.01)["waiting"]
    finally:
        process.kill()
        process.wait()
    assert (phases["load_s"], phases["compile_s"]) == (2.83, 82.6)
    assert (waiting["stage"], waiting["last_line"][-8:]) == ("started", "to roll!")


CANARY = "c4nary-Key/0123456789abcdef"


@pytest.mark.parametrize(
    "answer",
    [
        (200, json.dumps({"data": [{"id": CANARY}]}).encode()),
        (500, f"no such key {CANARY}".encode()),
        (200, json.dumps({"data": [{"id": f"{'x' * 180}{CANARY}"}]}).encode()),
        (404, CANARY.encode()),
    ],
)
def test_a_server_that_repeats_the_key_is_not_quoted(run, tmp_path, answer):
    (tmp_path / "key").write_text(CANARY)
    with http_server({"/v1/models": answer, "/health": (200, b"")}) as server:
        result = run(server.url, status=1, api_key_file=str(tmp_path / "key"), timeout_s=1.2)
    assert server.requests
    assert CANARY[: len(CANARY) // 2] not in json.dumps(result)


def test_a_log_that_shows_the_key_is_quoted_without_it(run, tmp_path):
    (tmp_path / "key").write_text(CANARY)
    log = [
        f"args: --api-key {CANARY}",
        f"HF_TOKEN=hf_{'a1' * 17}",
        "x" * 585 + CANARY,
        f"ValueError: {CANARY} is refused",
    ]
    (tmp_path / "server.log").write_text("\n".join(log) + "\n")
    options = {"servers": [{"base_url": "http://127.0.0.1:9", "process_dir": str(tmp_path)}]}
    result = run(status=1, api_key_file=str(tmp_path / "key"), timeout_s=1, **options)
    assert len(result["log_tail"]) == 4 and "ValueError" in result["msg"]
    assert CANARY[: len(CANARY) // 2] not in json.dumps(result)
    assert "hf_a1" not in json.dumps(result)


def test_an_address_with_a_password_is_refused_and_not_shown(run):
    result = run("http://me:c4nary-Value@127.0.0.1:9", status=1)
    assert "without user and password" in result["msg"]
    assert "c4nary" not in json.dumps(result)
