# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.target import Target
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import Access, parse_base_url

from tests.support.http_server import http_server

MODELS = {"/v1/models": (200, json.dumps({"data": [{"id": "m", "max_model_len": 100}]}).encode())}


def target(url: str) -> Target:
    return Target(Access(parse_base_url(url), None, True, None), 5)


@pytest.mark.parametrize(
    ("path", "version"), [("/version", "0.33.0"), ("/server_info", "0.5.23"), ("/get_server_info", "0.4.1")]
)
def test_the_version_of_each_engine_is_known_and_a_change_is_seen(path: str, version: str) -> None:
    with http_server({**MODELS, path: (200, json.dumps({"version": version}).encode())}) as server:
        asked = target(server.url)
        assert asked.inspect(None, "openai-chat").version == version
        server.answers[path] = (200, b'{"version": "0.0.1"}')
        assert asked.version() == "0.0.1"
        asked.close()


@pytest.mark.parametrize(
    ("given", "context"),
    [("4096", 4096), (4096, 4096), (None, None), ("²", None), (-1, None), (0, None), (10**300, None), ([], None)],
)
def test_the_context_is_a_number_however_it_is_written(given: object, context: int | None) -> None:
    models = json.dumps({"data": [{"id": "m", "max_model_len": given}]}).encode()
    with http_server({"/v1/models": (200, models)}) as server:
        asked = target(server.url)
        assert asked.inspect(None, "openai-chat").max_model_len == context
        asked.close()


def test_a_long_answer_is_read_as_far_as_it_is_bounded_and_the_next_one_is_right() -> None:
    endless = b'{"version": "1", "x": "' + b"x" * 9_000_000 + b'"}'
    with http_server({**MODELS, "/server_info": (200, endless)}) as server:
        asked = target(server.url)
        assert asked.version() == ""
        assert asked.inspect(None, "openai-chat").max_model_len == 100
        asked.close()


def test_only_what_every_engine_takes_is_sent_to_tokenize() -> None:
    """SGLang 0.5.23 refuses `add_generation_prompt` without a Jinja template, and counts otherwise with it than a chat completion."""
    with http_server({**MODELS, "/tokenize": (200, b'{"count": 5}')}) as server:
        asked = target(server.url)
        assert asked.inspect(None, "openai-chat").has_tokenize
        asked.close()
    body = next(json.loads(body) for path, _headers, body in server.requests if path == "/tokenize")
    assert set(body) == {"model", "messages"}


@pytest.mark.parametrize(
    "refusal",
    [
        (500, b'{"error": {"message": "Internal server error during tokenization: Integer exceeds 64-bit range"}}'),
        (400, b'{"message": "Chat template tokenization requires a template manager."}'),
        (404, b"{}"),
    ],
)
def test_a_server_whose_tokenize_fails_is_counted_by_usage(refusal: tuple[int, bytes]) -> None:
    usage = (200, b'{"usage": {"prompt_tokens": 7}}')
    with http_server({**MODELS, "/tokenize": refusal, "/v1/chat/completions": usage}) as server:
        asked = target(server.url)
        info = asked.inspect(None, "openai-chat")
        assert not info.has_tokenize
        assert asked.counter(info, "openai-chat")("hello") == 7
        asked.close()
