# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import (
    hidden,
    hidden_argv,
    hidden_bytes,
    hidden_document,
    hidden_values,
    holds_secret,
    is_secret,
    is_secret_name,
    users_in_urls,
)
from hypothesis import given
from hypothesis import strategies as st

CANARY = "c4nary-Value"


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "VLLM_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "--api-key", "--admin-api-key",
        "--api_key", "--hf-token", "--ssl-keyfile-password", "x-api-key", "Authorization", "dbPassword", "X-Amz-Signature", "HF_TOKEN_2",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN_PATH", "api_key_file", "max_tokens", "AWS_ACCESS_KEY_ID", "--image-token-id", "TOKENIZERS_PARALLELISM", "--ssl-keyfile",
        "key", "VLLM_MAX_TOKENS_PER_EXPERT_FP4_MOE", "prefix_cache_queries", "monkey", "--max-num-batched-tokens",
    ],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("value", ["", "1", "true", "off", "0.5", 1, None, "(hidden)", "********"])
def test_a_switch_or_a_number_is_no_secret(value: object) -> None:
    assert not is_secret("HF_HUB_DISABLE_IMPLICIT_TOKEN", value)


@pytest.mark.parametrize(
    "text",
    [
        f"base_url is 'http://user:{CANARY}@host:8000/v1'",
        f"http://{CANARY}@host",
        f"http://user:a/{CANARY}@host",
        f"Authorization: Bearer {CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}'}}",
        f'{{"api_key": "{CANARY} two", "x": 1}}',
        f'{{\\"api_key\\": \\"{CANARY}\\"}}',
        f"docker run -e HF_TOKEN={CANARY} image",
        f"docker run -e 'HF_TOKEN={CANARY} two' image",
        f"vllm serve --api-key {CANARY} --port 1",
        f"['vllm', '--api-key', '{CANARY}']",
        f"--api-key={CANARY}",
        f"x-api-key: {CANARY}",
        f"https://host/x?X-Amz-Signature={CANARY}&z=1",
        f"password={CANARY}, next",
    ],
)
def test_a_text_shows_no_secret_that_its_name_gives_away(text: str) -> None:
    assert CANARY not in hidden(text)
    assert hidden(hidden(text)) == hidden(text)


@pytest.mark.parametrize(
    "token",
    [
        "hf_" + "a1" * 17,
        "sk-" + "a1" * 12,
        "ghp_" + "a1" * 18,
        "nvapi-" + "a1" * 20,
        "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
    ],
)
def test_a_well_known_token_is_hidden_wherever_it_stands(token: str) -> None:
    assert hidden(f"Incorrect API key provided: {token}. See") == "Incorrect API key provided: (hidden). See"


@pytest.mark.parametrize(
    "text",
    [
        "--api-key in inference_server_extra_args",
        "error: argument --api-key: expected one argument",
        "Unexpected token: hello",
        "max_tokens=512 is more than context_tokens: 32768",
        "see http://127.0.0.1:8000/path/a@b for token counts",
        "bearer authentication is asked for",
        "ssl-keyfile=/etc/key.pem token_file: /root/token",
    ],
)
def test_ordinary_sentences_stay(text: str) -> None:
    assert hidden(text) == text


@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60), st.text(), st.text()
)
def test_a_known_secret_is_hidden_in_each_of_its_forms(secret: str, before: str, after: str) -> None:
    for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
        assert secret not in hidden(before + form + after, secret)
        assert secret.encode() not in hidden_bytes((before + form + after).encode("utf-8", "surrogatepass"), secret)


def test_a_short_word_is_not_searched_for() -> None:
    assert hidden('{"data": []}', "data", None, "") == '{"data": []}'


def test_documents_are_cleaned_in_keys_values_and_members() -> None:
    document = {"a": [f"x{CANARY}", {CANARY: 1}], "hf_token": "short", "tokens": 5, "api_key_file": "/k"}
    assert hidden_document(document, CANARY) == {
        "a": ["x(hidden)", {"(hidden)": 1}],
        "hf_token": "(hidden)",
        "tokens": 5,
        "api_key_file": "/k",
    }


def test_arguments_are_cleaned_by_their_flags() -> None:
    argv = [
        "vllm",
        "--api-key",
        CANARY,
        "--hf-token=x1",
        "--port",
        "8000",
        "--api-key",
        "--enable-x",
        f"HF_TOKEN={CANARY}",
    ]
    assert hidden_argv(argv) == [
        "vllm", "--api-key", "(hidden)", "--hf-token=(hidden)", "--port", "8000", "--api-key", "--enable-x", "HF_TOKEN=(hidden)",
    ]  # fmt: skip


def test_what_holds_a_secret() -> None:
    assert (
        holds_secret({"a": {"HF_TOKEN": CANARY}})
        and holds_secret(["--api-key", CANARY])
        and holds_secret("http://a:b@c")
    )
    assert not holds_secret({"a": {"HF_TOKEN": 1}, "b": ["--port", "8000"], "c": None})


@pytest.mark.parametrize("lost", [1, 2, 8, 20])
def test_a_key_that_lost_its_middle_is_hidden_on_both_sides(lost: int) -> None:
    """As text that is cut to be shown loses its own."""
    key = "".join(f"{number:02x}" for number in range(32))
    begin = (len(key) - lost) // 2
    text = hidden_values(f"refused: {key[:begin]}…{key[begin + lost :]} is wrong", key)
    assert text == "refused: (hidden)…(hidden) is wrong"


def test_users_of_urls() -> None:
    assert set(users_in_urls({"a": ["http://u:p@h", "http://h"], "b": 1})) == {"u:p@"}
    assert set(users_in_urls("http://me:password1@h")) == {"me:password1@", "password1"}
    assert set(users_in_urls("git+https://a-long-token@h")) == {"a-long-token@", "a-long-token"}
    named = {"base_url": "me:p@h:80", "base_urls": ["q@h"], "image": "host:5000/name@sha256:1"}
    assert set(users_in_urls(named)) == {"me:p@", "q@"}
    assert list(users_in_urls({"base_url": "http://h:80/x", "env": {"https_proxy": "http://proxy"}})) == []


def test_an_error_is_shown_without_secrets() -> None:
    error = UserError(Problem(f"http://u:{CANARY}@h is refused", f"no HF_TOKEN={CANARY}", "x"))
    assert CANARY not in str(error) + str(error.problems) + str(Problem(f"http://u:{CANARY}@h"))


@pytest.mark.parametrize(
    "part", ["a", "a://b:", "bearer ", "--a ", "--a", "'a=", "a=b ", "://", "--api-key ", "'HF_TOKEN=", "-eyJa-", "sk-"]
)
def test_no_text_takes_long(part: str) -> None:
    began = time.process_time()
    hidden(part * (200_000 // len(part)))
    assert time.process_time() - began < 2
