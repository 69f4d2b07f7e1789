from __future__ import annotations

import json
import re

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.models import (
    Verdict,
    container_end,
    container_state,
    judge,
    with_health,
    with_key,
)


def models(*names):
    return json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()


@pytest.mark.parametrize(
    ("status", "body", "state", "told"),
    [
        (200, models("mine"), "ready", "mine"),
        (200, models("other", "mine"), "ready", "mine"),
        (200, models("other"), "wrong", "inference_server_served_model_name"),
        (200, models(), "wrong", "nothing"),
        (200, b"<html>", "wrong", "OpenAI"),
        (200, b"[]", "wrong", "OpenAI"),
        (200, b'{"data": [{"name": "mine"}]}', "wrong", "OpenAI"),
        (401, b"", "wrong", "inference_server_api_key_file"),
        (403, b"", "wrong", "inference_server_api_key_file"),
        (404, b"", "wrong", "404"),
        (503, b"", "waiting", "503"),
        (None, b"nothing answers", "waiting", "nothing answers"),
    ],
)
def test_each_answer_is_judged(status, body, state, told):
    verdict = judge(status, body, "mine")
    assert verdict.state == state
    assert told in verdict.reason


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
    ("printed", "told"),
    [
        ("running 0 0 false", None),
        ("running 0 2 false", None),
        ("created 0 0 false", None),
        ("running 0 3 false", r"started again by Docker \(restarts: 3\)"),
        ("exited 1 2 false", r"exit code 1 \(restarts: 2\)$"),
        ("restarting 137 3 false", r"exit code 137 .*memory.*VLLM_CPU_KVCACHE_SPACE"),
        ("exited 137 0 true", "was killed for memory$"),
    ],
)
def test_the_end_of_a_container_is_told(printed, told):
    end = container_end("mine", container_state(f"{printed} 2026-11-22T18:50:01.123456789Z\n"), restarts_before=2)
    if told is None:
        assert end is None
    else:
        assert end.startswith("container mine ")
        assert re.search(told, end)
