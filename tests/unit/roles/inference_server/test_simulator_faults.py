# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each fault puts on the wire."""

from __future__ import annotations

import json
import socket
import time

import pytest
from simulated_server import message, parse

PATH = "/v1/chat/completions"
BODY = {
    "messages": [{"role": "user", "content": "Hello"}],
    "max_tokens": 6,
    "ignore_eos": True,
    "stream": True,
    "stream_options": {"include_usage": True},
}


def strike(server, fault, **more):
    return server.raw(PATH, {**BODY, **more}, x_fault=fault)


def strike_parts(server, fault):
    """What comes back, as (seconds since the request, bytes), until the connection ends; and how it ends."""
    parts = []
    with server.connect() as sock:
        start = time.monotonic()
        sock.sendall(message(PATH, BODY, x_fault=fault, connection="close"))
        while True:
            try:
                data = sock.recv(65536)
            except ConnectionResetError:
                return parts, "reset"
            if not data:
                return parts, "closed"
            parts.append((time.monotonic() - start, data))


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        ("status", 500, None),
        ("status,503", 503, None),
        ("status,404", 404, None),
        ("status,499", 499, None),
        ("rate_limit", 429, "1"),
        ("rate_limit,30", 429, "30"),
    ],
)
def test_error_statuses(server, fault, status, header):
    answer = parse(strike(server, fault))
    assert (answer.status, answer.headers.get("retry-after")) == (status, header)
    assert answer.json()["error"]["code"] == status


@pytest.mark.parametrize("fault", ["nonsense", "reset,1", "truncate,1,2", "truncate,x", ""])
def test_a_fault_that_does_not_exist_is_refused(server, fault):
    assert parse(strike(server, fault)).status == (400 if fault else 200)


def test_reset_before_the_answer(server):
    assert strike_parts(server, "reset") == ([], "reset")


def test_reset_within_the_stream(server):
    parts, end = strike_parts(server, "reset_stream,2")
    assert end == "reset"
    assert b"".join(data for _, data in parts).count(b"data: ") == 2


def test_refused_connections(start_server):
    server = start_server()
    kept = server.connect()
    assert strike_parts(server, "refuse,0.5") == ([], "reset")
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    kept.sendall(message("/health"))
    assert b"200 OK" in kept.recv(1000)
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            assert server.ask("/health").status == 200
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    pytest.fail("the server did not come back")


def test_stall_before_the_stream(server):
    parts, _ = strike_parts(server, "stall,0.4")
    assert parts[0][0] >= 0.4
    assert parse(b"".join(data for _, data in parts)).body.endswith(b"[DONE]\n\n")


def test_a_client_that_leaves_during_a_stall_harms_nothing(server):
    with server.connect() as sock:
        sock.sendall(message(PATH, BODY, x_fault="stall,0.1"))
    time.sleep(0.2)
    assert server.ask("/health").status == 200


def test_stall_within_the_stream(server):
    parts, _ = strike_parts(server, "stall_stream,0.4,2")
    early = b"".join(data for seconds, data in parts if seconds < 0.3)
    assert early.count(b"data: ") == 2
    assert parts[-1][0] >= 0.4
    assert len(parse(b"".join(data for _, data in parts)).events()) == 8


def test_a_stream_that_ends_in_the_middle_of_a_chunk(server):
    parts, end = strike_parts(server, "truncate,2")
    raw = b"".join(data for _, data in parts)
    assert end == "closed"
    assert raw.count(b"data: ") == 3
    assert not raw.endswith(b"\r\n")


def test_no_done(server):
    answer = parse(strike(server, "no_done"))
    assert b"[DONE]" not in answer.body
    assert len(answer.events()) == 8


def test_an_error_event(server):
    answer = parse(strike(server, "error_event,2"))
    assert [sorted(event)[0] for event in answer.events()] == ["choices", "choices", "error"]
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_a_short_answer(server):
    *_, last, usage = parse(strike(server, "short_output,3")).events()
    assert (last["choices"][0]["finish_reason"], usage["usage"]["completion_tokens"]) == ("stop", 3)


def test_several_tokens_per_event(server):
    texts = [
        event["choices"][0]["delta"]["content"]
        for event in parse(strike(server, "several_tokens,2")).events()
        if event["choices"]
    ]
    assert [len(text.split()) for text in texts] == [0, 1, 2, 2, 1]


def test_empty_deltas(server):
    events = parse(strike(server, "empty_deltas")).events()
    assert {event["choices"][0]["delta"]["content"] for event in events if event["choices"]} == {""}
    assert events[-1]["usage"]["completion_tokens"] == 6


def test_malformed_chunking(server):
    assert b"\r\nzz\r\ndata: " in strike(server, "bad_chunking,2")


def test_invalid_json_in_an_event(server):
    lines = [line for line in parse(strike(server, "bad_json,2")).body.split(b"\n\n") if line][:-1]
    bad = []
    for number, line in enumerate(lines):
        try:
            json.loads(line[len("data: ") :])
        except ValueError:
            bad.append(number)
    assert bad == [2]


def test_a_character_in_two_segments(server):
    parts, _ = strike_parts(server, "split_utf8,0.1")
    assert any(data.endswith(b"\xc3") for _, data in parts)
    assert any(data.startswith(b"\xa9") for _, data in parts)
    events = parse(b"".join(data for _, data in parts)).events()
    assert all(event["choices"][0]["delta"]["content"].startswith("é") for event in events if event["choices"])


def test_crlf_line_ends(server):
    body = parse(strike(server, "crlf")).body
    assert body.count(b"\r\n\r\n") == body.count(b"data: ") == 9
    assert b"\n" not in body.replace(b"\r\n", b"")


def test_comments(server):
    body = parse(strike(server, "comments")).body
    assert body.count(b": keep-alive\n\n") == body.count(b"data: ")


def test_an_oversized_event(server):
    answer = parse(strike(server, "oversized,3000000,2"))
    assert [len(event.get("padding", "")) for event in answer.events()] == [0, 0, 3000000, 0, 0, 0, 0, 0]


def test_a_broken_stream_frees_its_place(start_server, tmp_path):
    server = start_server(max_num_seqs=1, send_log=str(tmp_path / "log"))
    strike_parts(server, "reset_stream")
    strike_parts(server, "truncate")
    assert server.ask(PATH, BODY).status == 200
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["kind"] for line in lines[:2]] == ["rtt", "rtt"]


def test_rules_of_the_configuration(start_server):
    faults = [{"kind": "status,503", "every": 3}, {"kind": "status,500", "path": "/health", "first": 2}]
    server = start_server(faults=faults)
    body = {**BODY, "max_tokens": 1}
    assert [server.ask(PATH, body).status for _ in range(7)] == [200, 200, 503, 200, 200, 503, 200]
    assert [server.ask("/health").status for _ in range(4)] == [500, 500, 200, 200]


def test_a_rule_stalls_a_request_once(start_server):
    server = start_server(faults=[{"kind": "stall,0.1"}])
    assert len(server.ask(PATH, BODY).events()) == 8


def test_a_fault_leaves_other_streams_alone(server):
    with server.connect() as sock:
        sock.sendall(message(PATH, {**BODY, "max_tokens": 200}, connection="close"))
        strike_parts(server, "reset_stream")
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
    assert len(parse(data).events()) == 202


def test_a_client_that_resets_harms_nothing(server):
    sock = server.connect()
    sock.sendall(message(PATH, {**BODY, "max_tokens": 5000}))
    sock.recv(100)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    assert server.ask("/health").status == 200
