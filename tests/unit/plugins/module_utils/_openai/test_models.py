# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.models import (
    Identity,
    Models,
    Verdict,
    identity_of,
    judge,
    models_of,
    with_health,
    with_key,
)


def models(*names):
    return json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()


@pytest.mark.parametrize(
    ("status", "body", "state", "reason"),
    [
        (200, models("mine"), "ready", "mine"),
        (200, models("other", "mine"), "ready", "mine"),
        (200, models("other"), "wrong", "inference_server_served_model_name"),
        (200, models(), "waiting", "nothing"),
        (200, b"<html>", "wrong", "OpenAI"),
        (200, b"[]", "wrong", "OpenAI"),
        (200, b'{"data": [{"name": "mine"}]}', "wrong", "OpenAI"),
        (401, b"", "wrong", "inference_server_api_key_file"),
        (403, b"", "wrong", "inference_server_api_key_file"),
        (404, b"", "wrong", "404"),
        *((status, b"", "waiting", str(status)) for status in (408, 425, 429, 502, 503, 504, 520, 522)),
        (200, b'{"object": "list", "data": null}', "waiting", "nothing"),
        (500, b"", "wrong", "500"),
        (None, b"nothing answers", "waiting", "nothing answers"),
    ],
)
def test_each_answer_is_judged(status, body, state, reason):
    verdict = judge(status, body, "mine")
    assert verdict.state == state
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "ready"), (204, "ready"), (404, "ready"), (503, "waiting"), (500, "waiting"), (None, "waiting")],
)
def test_a_listed_model_counts_when_health_has_nothing_against_it(status, state):
    assert with_health(Verdict("ready", "m is served", ["m"]), status).state == state


@pytest.mark.parametrize(
    ("before", "status", "state"),
    [("ready", 401, "ready"), ("ready", 403, "ready"), ("ready", 200, "wrong"), ("waiting", 200, "waiting")],
)
def test_a_server_with_a_key_must_ask_for_it(before, status, state):
    assert with_key(Verdict(before, "", ["m"]), status).state == state


@pytest.mark.parametrize(
    ("status", "body", "kind", "names"),
    [
        (200, models("a", "b"), "listed", ["a", "b"]),
        (200, models(), "listed", []),
        (200, b'{"data": ["x", {"id": "a"}, {}]}', "listed", ["a"]),
        (200, b'{"data": [{"name": "a"}]}', "foreign", []),
        (200, b'{"data": {"id": "a"}}', "foreign", []),
        (200, b"\xff", "foreign", []),
        (500, models("a"), "foreign", []),
        (401, b"", "refused", []),
        (403, b"", "refused", []),
        (503, b"", "loading", []),
    ],
)
def test_what_an_answer_lists(status, body, kind, names):
    answer = models_of(status, body)
    assert (answer.kind, list(answer.entries)) == (kind, names)


def test_an_entry_keeps_what_else_it_says():
    body = b'{"data": [{"id": "a", "max_model_len": 32768}]}'
    assert models_of(200, body) == Models("listed", {"a": {"id": "a", "max_model_len": 32768}})


@pytest.mark.parametrize(
    ("status", "body", "header", "identity"),
    [
        (200, b'{"version": "0.32.0"}', "uvicorn", Identity("0.32.0", None, False)),
        (200, b'{"version": "1.0", "engine": "sglang", "simulated": true}', "", Identity("1.0", "sglang", True)),
        (200, b'{"version": null, "simulated": "no"}', "", Identity(None, None, False)),
        (404, b'{"detail": "Not Found"}', "uvicorn", Identity(None, None, False)),
        (404, b"", "llmfleet-simulator/0.1.0", Identity(None, None, True)),
        (200, b"[]", "", Identity(None, None, False)),
        (200, b"<html>", "", Identity(None, None, False)),
        (200, b'{"version": " 0.5.17\\n\\u001b[31m", "api_key": "k"}', "", Identity("0.5.1731m", None, False)),
        (200, b'{"version": {"a": 1}}', "", Identity(None, None, False)),
        (200, b'{"version": "' + b"9" * 1000 + b'"}', "", Identity("9" * 64, None, False)),
    ],
)
def test_what_a_server_says_it_is(status, body, header, identity):
    assert identity_of(status, body, header) == identity


@pytest.mark.parametrize(
    ("names", "state", "words"),
    [(["mine", "de", "fr"], "ready", "mine is served"), (["mine", "de"], "wrong", "expected the adapters fr too")],
)
def test_adapters_must_be_listed_besides(names, state, words):
    body = json.dumps({"data": [{"id": name} for name in names]}).encode()
    verdict = judge(200, body, "mine", ["de", "fr"])
    assert verdict.state == state and words in verdict.reason
