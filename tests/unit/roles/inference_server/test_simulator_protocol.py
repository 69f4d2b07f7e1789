# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time

import pytest
from simulated_server import message, parse

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HELLO = {"messages": [{"role": "user", "content": "Hello there"}], "ignore_eos": True}


def chat(**more):
    return {**HELLO, **more}


def wait_for(condition, seconds=10):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_version_says_simulated(server):
    answer = server.ask("/version")
    assert answer.json() == {
        "version": answer.headers["server"].partition("/")[2],
        "simulated": True,
        "gpu": "generic",
        "engine": "vllm",
        "time_scale": 1.0,
    }
    assert answer.headers["server"].startswith("llmfleet-simulator/")


def test_health_and_models(server):
    assert server.ask("/health").status == 200
    (model,) = server.ask("/v1/models").json()["data"]
    assert (model["id"], model["root"], model["max_model_len"]) == ("m", "m", 32768)


def test_a_chat_stream(server):
    answer = server.ask(CHAT, chat(max_tokens=5, stream=True, stream_options={"include_usage": True}))
    assert answer.headers["content-type"].startswith("text/event-stream")
    role, *tokens, usage = answer.events()
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [bool(event["choices"][0]["delta"]["content"]) for event in tokens] == [True] * 5
    assert [event["choices"][0]["finish_reason"] for event in tokens] == [None] * 4 + ["length"]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 5
    assert usage["usage"]["total_tokens"] == usage["usage"]["prompt_tokens"] + 5
    assert all("usage" not in event for event in (role, *tokens))
    assert len({event["id"] for event in answer.events()}) == 1
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_usage_in_every_event(server):
    options = {"include_usage": True, "continuous_usage_stats": True}
    events = server.ask(CHAT, chat(max_tokens=3, stream=True, stream_options=options)).events()
    assert [event["usage"]["completion_tokens"] for event in events] == [0, 1, 2, 3, 3]
    prompt = events[0]["usage"]["prompt_tokens"]
    assert [event["usage"]["total_tokens"] - prompt for event in events] == [0, 1, 2, 3, 3]


def test_a_text_stream_has_no_role(server):
    events = server.ask(TEXT, {"prompt": "Once", "max_tokens": 2, "ignore_eos": True, "stream": True}).events()
    assert [event["choices"][0]["finish_reason"] for event in events] == [None, "length"]
    assert all(event["object"] == "text_completion" and event["choices"][0]["text"] for event in events)


def test_the_same_answer_with_and_without_a_stream(server):
    (choice,) = (whole := server.ask(CHAT, chat(max_completion_tokens=7)).json())["choices"]
    events = server.ask(CHAT, chat(max_completion_tokens=7, stream=True)).events()
    assert "".join(event["choices"][0]["delta"]["content"] for event in events) == choice["message"]["content"]
    assert choice["finish_reason"] == "length"
    assert whole["usage"]["completion_tokens"] == 7
    tokens = server.ask("/tokenize", {"prompt": choice["message"]["content"], "add_special_tokens": False}).json()
    assert tokens["count"] == 7


def test_a_single_token(server):
    events = server.ask(CHAT, chat(max_tokens=1, stream=True)).events()
    assert [event["choices"][0]["finish_reason"] for event in events] == [None, "length"]


def test_several_tokens_per_event_on_request(server):
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = chat(max_tokens=8, stream=True, stream_interval=3, stream_options=options)
    assert [event["usage"]["completion_tokens"] for event in server.ask(CHAT, body).events()] == [0, 1, 4, 7, 8, 8]


def test_an_answer_ends_early_unless_ignore_eos_is_set(server):
    def end(**more):
        answer = server.ask(CHAT, {"messages": HELLO["messages"], "max_tokens": 2000, **more}).json()
        return answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]

    natural = end()
    assert natural == end()
    assert natural[0] < 600
    assert natural[1] == "stop"
    assert end(max_tokens=natural[0] - 1) == (natural[0] - 1, "length")
    assert end(min_tokens=700) == (700, "stop")
    assert end(ignore_eos=True) == (2000, "length")


def test_prompts_are_counted_as_tokenize_counts_them(server):
    counted = server.ask("/tokenize", {"messages": HELLO["messages"]}).json()["count"]
    assert server.ask(CHAT, chat(max_tokens=1)).json()["usage"]["prompt_tokens"] == counted
    for prompt in ("Once upon a time", [7, 8, 9]):
        counted = 3 if isinstance(prompt, list) else server.ask("/tokenize", {"prompt": prompt}).json()["count"]
        answer = server.ask(TEXT, {"prompt": prompt, "max_tokens": 1, "ignore_eos": True}).json()
        assert answer["usage"]["prompt_tokens"] == counted


def test_tokenize_options(server):
    def count(**body):
        return server.ask("/tokenize", body).json()["count"]

    assert count(prompt="x") == 1 + count(prompt="x", add_special_tokens=False)
    assert (
        count(**HELLO) == 5 + count(**HELLO, add_generation_prompt=False) == count(**HELLO, add_special_tokens=True) - 1
    )


def test_detokenize_is_the_way_back(server):
    text = "Grüße, 日本 🎉\r\n"
    tokens = server.ask("/tokenize", {"prompt": text, "add_special_tokens": False}).json()["tokens"]
    assert server.ask("/detokenize", {"tokens": tokens}).json() == {"prompt": text}


def test_content_parts_count_as_one_text(server):
    parts = [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]
    body = {"messages": [{"role": "user", "content": parts}]}
    assert server.ask("/tokenize", body).json()["tokens"] == server.ask("/tokenize", HELLO).json()["tokens"]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        (CHAT, b"{", 400, None),
        (CHAT, b"[]", 400, None),
        (CHAT, b"\xff", 400, None),
        (CHAT, {}, 400, "messages"),
        (CHAT, {"messages": []}, 400, "messages"),
        (CHAT, {"messages": ["x"]}, 400, "messages"),
        (CHAT, {"messages": [{"role": "user", "content": 1}]}, 400, "messages"),
        (CHAT, chat(model="other"), 404, "model"),
        (CHAT, chat(max_tokens=0), 400, "max_tokens"),
        (CHAT, chat(max_tokens="9"), 400, "max_tokens"),
        (CHAT, chat(max_tokens=32768), 400, "input_tokens"),
        (CHAT, chat(n=2), 400, "n"),
        (TEXT, {"prompt": ""}, 400, "prompt"),
        (TEXT, {"prompt": [1, 2**20]}, 400, "prompt"),
        (TEXT, {"prompt": ["a", "b"]}, 400, "prompt"),
        ("/tokenize", {}, 400, "prompt"),
        ("/detokenize", {"tokens": "x"}, 400, "tokens"),
        ("/nowhere", {}, 404, None),
        (CHAT, None, 405, None),
        ("/health", {}, 405, None),
        (CHAT, chat(stream_options=3), 400, "stream_options"),
    ],
)
def test_bad_requests(server, path, body, status, param):
    answer = server.ask(path, body)
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["param"]) == (status, status, param)
    assert error["message"]
    assert error["type"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET /" + b"x" * 70000, 431),
    ],
)
def test_malformed_http_is_answered_and_closed(server, data, status):
    answer = parse(server.exchange(data))
    assert (answer.status, answer.headers["connection"]) == (status, "close")


def test_requests_follow_each_other_on_one_connection(server):
    two = message("/health") + message(CHAT, chat(max_tokens=2, stream=True)) + message("/version", connection="close")
    raw = server.exchange(two)
    assert raw.count(b"HTTP/1.1 200 OK") == 3
    assert raw.index(b"[DONE]") < raw.index(b'"simulated"')


def test_a_request_may_come_byte_by_byte(server):
    with server.connect() as sock:
        for byte in message("/tokenize", {"prompt": "x"}, connection="close"):
            sock.sendall(bytes([byte]))
        assert b'"count": 2' in sock.recv(65536)


def test_a_client_may_ask_before_it_sends_the_body(server):
    head, _, body = message("/tokenize", {"prompt": "x"}, expect="100-continue", connection="close").partition(
        b"\r\n\r\n"
    )
    with server.connect() as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert b'"count": 2' in sock.recv(65536)


def test_an_old_client_gets_a_stream_without_chunks(server):
    data = message(CHAT, chat(max_tokens=2, stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = parse(server.exchange(data))
    assert "transfer-encoding" not in answer.headers
    assert len(answer.events()) == 3


def test_head_has_no_body(server):
    raw = server.exchange(message("/v1/models", connection="close").replace(b"GET", b"HEAD"))
    assert raw.endswith(b"\r\n\r\n")


def test_the_first_token_comes_with_the_role(server):
    with server.connect() as sock:
        sock.sendall(message(CHAT, chat(max_tokens=50, stream=True)))
        data = sock.recv(65536)
        while b"\r\n\r\ndata" not in data and not data.endswith(b"\n\n\r\n"):
            data += sock.recv(65536)
        assert data.count(b"data: ") >= 2


def test_metrics_count_and_the_prefix_cache_works(start_server):
    server = start_server()
    body = {"prompt": list(range(100, 200)), "max_tokens": 10, "ignore_eos": True}
    for _ in range(2):
        server.ask(TEXT, body)
    metrics = server.metrics()
    assert metrics["vllm:prompt_tokens_total"] == 200
    assert metrics["vllm:generation_tokens_total"] == 20
    assert metrics["vllm:prefix_cache_queries_total"] == 200
    assert metrics["vllm:prefix_cache_hits_total"] == 96
    assert metrics["vllm:num_preemptions_total"] == 0
    assert 'vllm:request_success_total{engine="0",model_name="m",finished_reason="length"} 2.0' in (
        server.ask("/metrics").body.decode()
    )
    assert server.ask("/reset_prefix_cache", b"").json() == {"success": True}
    server.ask(TEXT, body)
    assert server.metrics()["vllm:prefix_cache_hits_total"] == 96


def test_without_a_prefix_cache_nothing_is_looked_up(start_server):
    server = start_server(prefix_caching=False)
    for _ in range(2):
        server.ask(TEXT, {"prompt": list(range(100, 200)), "max_tokens": 1, "ignore_eos": True})
    assert server.metrics()["vllm:prefix_cache_queries_total"] == 0


def test_a_client_that_leaves_frees_its_place(start_server):
    server = start_server(max_num_seqs=1)
    with server.connect() as sock:
        sock.sendall(message(CHAT, chat(max_tokens=30000, stream=True)))
        sock.recv(100)
        wait_for(lambda: server.metrics()["vllm:num_requests_running"] == 1)
    wait_for(lambda: server.metrics()["vllm:num_requests_running"] == 0)
    assert server.ask(CHAT, chat(max_tokens=2)).status == 200
    assert b'finished_reason="abort"} 1.0' in server.ask("/metrics").body


def test_requests_beyond_the_limit_wait(start_server):
    server = start_server(max_num_seqs=1)
    with server.connect() as one, server.connect() as two:
        for sock in (one, two):
            sock.sendall(message(CHAT, chat(max_tokens=30000, stream=True)))
        wait_for(lambda: server.metrics()["vllm:num_requests_waiting"] == 1)
        assert server.metrics()["vllm:num_requests_running"] == 1


def test_an_api_key_guards_v1_as_vllm_does(start_server, tmp_path):
    (tmp_path / "key").write_text("secret\n")
    server = start_server(api_key_file=str(tmp_path / "key"))
    assert server.ask("/health").status == server.ask("/tokenize", {"prompt": ""}).status == 200
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "secret"}):
        assert server.ask("/v1/models", **headers).status == 401
        assert server.ask(CHAT, chat(max_tokens=1), **headers).status == 401
    assert server.ask("/v1/models", authorization="Bearer secret").status == 200


def test_reasoning_comes_first(start_server):
    server = start_server(reasoning_tokens=2)
    events = server.ask(CHAT, chat(max_tokens=4, stream=True)).events()
    assert [sorted(event["choices"][0]["delta"]) for event in events[1:]] == [["reasoning"]] * 2 + [["content"]] * 2
    message = server.ask(CHAT, chat(max_tokens=4)).json()["choices"][0]["message"]
    assert len(message["reasoning"].split()) == len(message["content"].split()) == 2


def test_merged_tokens_are_counted(start_server):
    server = start_server(timing={"decode_base_ms": 1, "merge_every": 3})
    options = {"include_usage": True, "continuous_usage_stats": True}
    events = server.ask(CHAT, chat(max_tokens=8, stream=True, stream_options=options)).events()
    assert [event["usage"]["completion_tokens"] for event in events] == [0, 1, 2, 4, 5, 7, 8, 8]


def test_a_served_name_may_hold_anything(start_server):
    server = start_server(served_model_name='100 % "näme"')
    events = server.ask(CHAT, chat(max_tokens=2, stream=True, model='100 % "näme"')).events()
    assert {event["model"] for event in events} == {'100 % "näme"'}
    assert server.ask(CHAT, chat(model="m")).status == 404


def test_the_send_log_has_a_row_for_every_event(start_server, tmp_path):
    server = start_server(send_log=str(tmp_path / "log"))
    before = time.time_ns()
    answer = server.ask(
        CHAT, chat(max_tokens=5, stream=True, stream_options={"include_usage": True}), x_request_id="mine"
    )
    server.ask(CHAT, chat(max_tokens=5))
    after = time.time_ns()
    wait_for(lambda: (tmp_path / "log").read_text().count("\n") == 2)
    stream, whole = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert stream["id"] == answer.events()[0]["id"] == "chatcmpl-mine"
    assert (stream["kind"], stream["tokens"]) == ("rttttfud", [1, 1, 2, 3, 4, 5, 5, 5])
    assert (whole["kind"], whole["tokens"], whole["cached_tokens"]) == ("b", [5], 0)
    times = [time for pair in zip(stream["before_ns"], stream["after_ns"]) for time in pair]
    assert all(due <= sent for due, sent in zip(stream["due_ns"], stream["after_ns"]))
    assert before < stream["received_ns"] < times[0]
    assert max(times) < after
    assert stream["before_ns"] == sorted(stream["before_ns"])
