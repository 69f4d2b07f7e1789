# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Doors and secrets, by the specification of servers that would have them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

from .test_spec import make, only

CANARY = "c4nary-Value"
PROCESS = {"runtime": "process", "hf_cache_dir": ""}
SIMULATOR = {"backend": "simulator"}


def refused(**choices: Any) -> str:
    with pytest.raises(UserError) as caught:
        make(**choices)
    return str(caught.value)


@pytest.mark.parametrize(
    "choices",
    [
        {"bind_address": "0.0.0.0"},
        {"bind_address": "::"},
        {**PROCESS, "bind_address": "192.0.2.1"},
        {**SIMULATOR, "bind_address": "0.0.0.0"},
        {**SIMULATOR, "simulator": {"host": "0.0.0.0"}},
        {**SIMULATOR, "simulator": {"host": ""}},
        {**SIMULATOR, "simulator": {"host": "192.0.2.1"}},
        {**PROCESS, "extra_args": ["--host", "0.0.0.0"]},
        {**PROCESS, "extra_args": ["--host=0.0.0.0"]},
        {**PROCESS, "extra_args": ["--ho", "0.0.0.0"]},
        {**PROCESS, "extra_args": ["--host="]},
        {**PROCESS, "extra_args": ["--host"]},
        {**PROCESS, "backend": "sglang", "extra_args": ["--host", "::"]},
        {**PROCESS, "release": "published", "extra_args": ["--host", "0.0.0.0"]},
    ],
)
def test_no_door_opens_without_a_key(choices: dict[str, Any]) -> None:
    assert "without a key" in refused(**choices)


@pytest.mark.parametrize(
    "choices",
    [
        {"bind_address": "localhost"},
        {"extra_args": ["--host", "0.0.0.0"]},  # inside the container; Docker publishes on loopback
        {**PROCESS, "extra_args": ["--host", "127.0.0.1"]},
        {**PROCESS, "extra_args": ["--hf-overrides", "{}"]},
        {**SIMULATOR, "simulator": {"host": "::1"}},
        {"bind_address": "0.0.0.0", "api_key_file": "/etc/key"},
        {**SIMULATOR, "simulator": {"host": "0.0.0.0"}, "api_key_file": "/etc/key"},
    ],
)
def test_loopback_or_a_key_is_enough(choices: dict[str, Any]) -> None:
    assert only(**choices)["base_url"]


SECRETS = [
    ({"env": {"HF_TOKEN": CANARY}}, "keys.yml"),
    ({"env": {"HUGGING_FACE_HUB_TOKEN": CANARY}}, "keys.yml"),
    ({"env": {"VLLM_API_KEY": CANARY}}, "inference_server_api_key_file"),
    ({"env": {"AWS_SECRET_ACCESS_KEY": CANARY}}, "inference_server_volumes"),
    ({"env": {"https_proxy": f"http://me:{CANARY}@proxy:3128"}}, "https_proxy"),
    ({"extra_args": ["--api-key", CANARY]}, "inference_server_api_key_file"),
    ({"extra_args": [f"--api-key={CANARY}"]}, "inference_server_api_key_file"),
    ({"extra_args": ["--api-ke", CANARY]}, "inference_server_api_key_file"),
    ({"extra_args": ["--api_key", CANARY]}, "inference_server_api_key_file"),
    ({"extra_args": ["--hf-token", CANARY]}, "keys.yml"),
    ({"extra_args": ["--ssl-keyfile-password", CANARY], "backend": "sglang"}, "--ssl-keyfile-password"),
    (
        {"extra_args": ["--model-loader-extra-config", json.dumps({"secret_key": CANARY})]},
        "--model-loader-extra-config",
    ),
    ({"command": ["env", f"HF_TOKEN={CANARY}", "vllm", "serve"], **PROCESS}, "HF_TOKEN"),
    ({"extra_args": ["--api-key", CANARY], **PROCESS}, "inference_server_api_key_file"),
    ({"extra_args": [f"--api-key {CANARY}"]}, "inference_server_api_key_file"),
    ({"extra_args": ["--hf-token secretword"]}, "keys.yml"),
    ({"extra_args": ["--token", CANARY, "hf_" + "a1" * 17]}, "--token"),
    ({"env": {"HF_TOKEN": CANARY}, **SIMULATOR}, "keys.yml"),
]


@pytest.mark.parametrize(("choices", "remedy"), SECRETS)
def test_a_secret_is_refused_by_its_name(choices: dict[str, Any], remedy: str) -> None:
    message = refused(**choices)
    assert remedy in message
    assert CANARY not in message


@pytest.mark.parametrize(
    "choices",
    [
        {
            "env": {
                "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
                "TOKENIZERS_PARALLELISM": "false",
                "HF_TOKEN_PATH": "/run/secrets/hub",
            }
        },
        {"extra_args": ["--max-num-batched-tokens", "8192"]},
        {"extra_args": ["--allow-credentials"]},
        {"env": {"https_proxy": "http://proxy:3128"}},
    ],
)
def test_what_is_no_secret_is_served(choices: dict[str, Any]) -> None:
    assert only(**choices)["argv"]
