# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endings import ENDINGS, FINISH_REASONS, ending_of
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.http1 import StreamError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.stream import (
    first_choice,
    has_text,
    read_message,
    usage_of,
)
from hypothesis import given
from hypothesis import strategies as st

ERRORS = {
    "OpenAI's": (b'{"error": {"message": "out of memory", "type": "ServerError", "code": 500}}', b"", "ServerError: out of memory"),
    "vLLM's older": (b'{"object": "error", "message": "out of memory", "type": "E", "code": 400}', b"", "E: out of memory"),
    "an event of that name": (b'{"message": "out of memory"}', b"error", "out of memory"),
    "an event of that name in plain text": (b"out of memory", b"error", "out of memory"),
    "Anthropic's": (b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', b"error", "Overloaded"),
    "FastAPI's": (b'{"detail": "out of memory"}', b"", "out of memory"),
    "FastAPI's list": (b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', b"", "field required"),
    "text beside choices": (b'{"error": "out of memory", "choices": [{"delta": {}}]}', b"", "out of memory"),
    "text alone": (b"Internal Server Error", b"", "Internal Server Error"),
    "JSON text": (b'"out of memory"', b"", "out of memory"),
    "an object without a message": (b'{"error": {"code": 7}}', b"", "7"),
    "true": (b'{"error": true, "message": "out of memory"}', b"", "out of memory"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "name", "said"), ERRORS.values(), ids=ERRORS)
def test_an_error_of_any_form_is_one_class_with_the_servers_words(data: bytes, name: bytes, said: str) -> None:
    with pytest.raises(StreamError) as error:
        read_message(data, name)
    assert (error.value.kind, said in error.value.detail) == ("stream_error", True)


def test_words_of_a_server_are_bounded_and_on_one_line() -> None:
    with pytest.raises(StreamError) as error:
        read_message(json.dumps({"error": {"message": "\x1b]0;x\x07a\nb\u2028" + "x" * 10_000}}).encode())
    assert error.value.detail.isprintable() and len(error.value.detail) <= 300


@pytest.mark.parametrize("data", [b"null", b"", b" ", b" null "])
def test_a_keep_alive_is_no_message(data: bytes) -> None:
    assert read_message(data) is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"choices": None, "usage": None, "error": None},
        {"choices": [{"delta": None, "finish_reason": None}]},
        {"choices": [{"delta": {"content": None, "tool_calls": None}, "text": None}]},
        {"choices": [], "usage": {}},
        {"usage": {"prompt_tokens": None, "completion_tokens": None, "prompt_tokens_details": None}},
        {"type": "ping"},
    ],
)
def test_members_that_are_null_say_nothing(message: dict[str, object]) -> None:
    read = read_message(json.dumps(message).encode())
    assert read == message
    choice = first_choice(read)
    assert choice is None or not has_text(choice)
    assert set(usage_of(read) or [None]) == {None}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["choices", "delta", "usage", "error", "message", "prompt_tokens", "completion_tokens", "content"]), inner
), max_leaves=12))  # fmt: skip
def test_any_document_is_read_or_named(document: object) -> None:
    try:
        message = read_message(json.dumps(document).encode())
        if message is not None:
            usage = usage_of(message)
            choice = first_choice(message)
            assert usage is None or all(count is None or 0 <= count < 10**9 for count in usage)
            assert choice is None or isinstance(has_text(choice), bool)
    except StreamError as error:
        assert error.kind in ENDINGS


def test_every_finish_reason_has_an_ending() -> None:
    assert {kind for kind in FINISH_REASONS.values() if kind} <= set(ENDINGS)
    assert (ending_of("stop"), ending_of("Length"), ending_of(""), ending_of("abort"), ending_of("bored")) == (
        *("", "", ""),
        *("aborted", "unknown_finish"),
    )
