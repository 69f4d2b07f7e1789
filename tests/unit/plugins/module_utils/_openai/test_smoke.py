# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from functools import partial

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.smoke import (
    SmokeError,
    judge_chat,
    judge_context,
    judge_messages,
    judge_reasoning,
    judge_stream,
    judge_tool_call,
    refusal_of,
    smoke_tests,
)
from hypothesis import given
from hypothesis import strategies as st

JUDGES = [
    judge_chat,
    judge_stream,
    partial(judge_context, served_model_name="mine", context_tokens=100),
    judge_messages,
    judge_tool_call,
    judge_reasoning,
]


REFUSALS = {  # of `/v1/messages` by vLLM up to 0.32 and since 0.33, of the other paths, of something else
    b'{"type": "error", "error": {"type": "NotFoundError", "message": "no model x"}}': "NotFoundError: no model x",
    b'{"type": "error", "error": {"type": "not_found_error", "message": "no model x"}}': "not_found_error: no model x",
    b'{"error": {"message": "no model x", "type": "NotFoundError", "param": "model"}}': "NotFoundError: no model x",
    b'{"error": {"message": "stopped", "code": 500}}': "stopped",
    b'{"error": "Unauthorized"}': "Unauthorized",
    b'{"detail": "Not Found"}': "Not Found",
    b'{"object": "error", "message": "no model x", "type": "NotFoundError"}': "NotFoundError: no model x",
    b'{"error": {"code": 7}}': "{'code': 7}",
    b"out\x1b[31m of\n order": "out [31m of order",
    b"[]": "[]",
    b"out of order \xff": "out of order \ufffd",
}


@pytest.mark.parametrize(("answer", "words"), REFUSALS.items())
def test_a_refusal_is_shown_in_the_servers_words(answer, words):
    assert refusal_of(answer) == words


def chat(**message):
    return json.dumps({"choices": [{"message": message}]}).encode()


def stream(*deltas, end="[DONE]"):
    events = [json.dumps({"choices": [{"delta": delta}]}) for delta in deltas] + ([end] if end else [])
    return "".join(f"data: {event}\n\n" for event in events).encode()


def call(name="get_weather", arguments='{"city": "Paris"}'):
    return chat(content=None, tool_calls=[{"function": {"name": name, "arguments": arguments}}])


def models(**entry):
    return json.dumps({"data": [{"id": "other", "max_model_len": 1}, {"id": "mine", **entry}]}).encode()


@pytest.mark.parametrize(
    ("judge", "answer", "saw"),
    [
        (judge_chat, chat(content="Hello."), "6 characters"),
        (judge_chat, chat(content=None, reasoning="Hm."), "3 characters"),
        (judge_stream, stream({"role": "assistant"}, {"content": "Hel"}, {"content": "lo."}), "2 events"),
        (judge_stream, stream({"reasoning_content": "Hm."}), "1 events"),
        (
            judge_stream,
            stream({"content": "TEXT"}).replace(b"TEXT", "a\u2028b\u2029c\u0085d\v\fe".encode()),
            "1 events",
        ),
        (judge_stream, stream({"content": "a"}, end="[DONE]")[:-2], "1 events"),
        (judge_stream, stream({"content": "a"}, end="[DONE]")[:-1], "1 events"),
        (judge_stream, stream(None, {"content": "a"}), "1 events"),
        (judge_stream, b": ping\r\n\r\n" + stream({"content": "a"}).replace(b"\n", b"\r\n"), "1 events"),
        (judge_stream, stream({"content": "a"}).replace(b"data: ", b"data:"), "1 events"),
        (judge_stream, b'data: null\n\ndata:\n\ndata: {"choices": null}\n\n' + stream({"content": "a"}), "1 events"),
        (judge_stream, stream({"content": "a"}) + b": ping\n\n", "1 events"),
        (judge_tool_call, call(arguments={"city": "Paris"}), "get_weather"),
        (judge_messages, b'{"type": "message", "content": [{"type": "text"}]}', "1 content"),
        (judge_tool_call, call(), "get_weather"),
        (judge_reasoning, chat(content="42", reasoning="17 + 25"), "2 of answer"),
        (judge_reasoning, chat(content="42", reasoning_content="17 + 25"), "7 characters"),
    ],
)
def test_a_good_answer_passes(judge, answer, saw):
    assert saw in judge(answer)


@pytest.mark.parametrize(
    ("judge", "answer", "message"),
    [
        (judge_chat, chat(content=""), "empty"),
        (judge_chat, b'{"choices": []}', "no message"),
        (judge_chat, b"<html>", "no JSON"),
        (judge_chat, b"\xff", "no JSON"),
        (judge_chat, b"[]", "expected an object"),
        (judge_stream, b"", "nothing"),
        (judge_stream, stream({"content": "Hel"}, end=None), "expected [DONE]"),
        (judge_stream, stream({"role": "assistant"}), "none of them with text"),
        (judge_stream, b'data: {"error": {"message": "no memory", "type": "E"}}\n\ndata: [DONE]\n\n', "E: no memory"),
        (judge_stream, b'event: error\ndata: {"message": "no memory"}\n\ndata: [DONE]\n\n', "no memory"),
        (judge_stream, b"Internal Server Error", "Internal Server Error"),
        (
            judge_stream,
            stream({"content": "a"})
            .replace(b"}]}", b'}, {"finish_reason": "x"}]}')
            .replace(b'"a"}', b'"a"}, "finish_reason": "abort"'),
            "aborted",
        ),
        (judge_chat, b'{"choices": null}', "no message"),
        (judge_chat, b'{"choices": [null]}', "no message"),
        (judge_chat, b'{"choices": [{"message": null}]}', "no message"),
        (judge_chat, chat(content=["a"]), "empty"),
        (judge_tool_call, chat(content=None, tool_calls=[{"function": None}]), "expected get_weather"),
        (judge_tool_call, chat(content=None, tool_calls=[None]), "expected get_weather"),
        (judge_tool_call, chat(content=None, tool_calls={"a": 1}), "expected get_weather"),
        (judge_tool_call, call(arguments=None), "expected get_weather"),
        (judge_tool_call, call(arguments="[" * 100_000), "no JSON"),
        (judge_messages, b'{"type": "message", "content": 7}', "expected a message"),
        (judge_messages, b'{"type": "error"}', "expected a message"),
        (judge_messages, b'{"type": "message", "content": []}', "expected a message"),
        (judge_tool_call, chat(content="It is sunny."), "It is sunny."),
        (judge_tool_call, call(name="get_time"), "get_time"),
        (judge_tool_call, call(arguments="{}"), "expected get_weather with a city"),
        (judge_tool_call, call(arguments="Paris"), "no JSON"),
        (judge_reasoning, chat(content="<think>17</think>42"), "--reasoning-parser"),
        (judge_reasoning, chat(content="17</think>42", reasoning="Hm."), "without reasoning"),
        (judge_reasoning, chat(content=" ", reasoning="Hm."), "without reasoning"),
    ],
)
def test_a_bad_answer_is_reported_with_what_was_expected(judge, answer, message):
    with pytest.raises(SmokeError) as caught:
        judge(answer)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "asked", "saw"),
    [
        ({"max_model_len": 128}, 128, "128 tokens"),
        ({"max_model_len": 128}, None, "128 tokens"),
        ({"max_model_len": "128"}, 128, "128 tokens"),
        ({"max_model_len": "127"}, 128, None),
        ({"max_model_len": None}, 128, "does not give"),
        ({"max_model_len": "²"}, 128, "does not give"),
        ({"max_model_len": -1}, 128, "does not give"),
        ({"max_model_len": {"a": 1}}, 128, "does not give"),
        ({}, 128, "does not give"),
        ({"max_model_len": 127}, 128, None),
    ],
)
def test_the_context_is_as_long_as_asked(entry, asked, saw):
    if saw:
        assert saw in judge_context(models(**entry), "mine", asked)
    else:
        with pytest.raises(SmokeError, match="127 tokens, expected 128"):
            judge_context(models(**entry), "mine", asked)


@pytest.mark.parametrize("judge", JUDGES)
@given(answer=st.binary())
def test_any_answer_passes_or_is_reported(judge, answer):
    try:
        assert judge(answer)
    except SmokeError as error:
        assert str(error)


def test_each_test_asks_for_the_served_name():
    tests = smoke_tests("mine", 128)
    assert len({test.name for test in tests}) == len(tests)
    assert {test.body["model"] for test in tests if test.body} == {"mine"}
    assert [test.name for test in tests if test.body is None] == ["context"]
