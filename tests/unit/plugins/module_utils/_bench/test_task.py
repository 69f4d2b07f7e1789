# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shlex

from ansible_collections.llmfleet.serving.plugins.module_utils._bench.task import repeat_command


def test_the_repeating_call_is_one_line_for_a_shell_without_secrets() -> None:
    params = {
        "model": "it's; touch /tmp/x",
        "vllm_command": ["env", "HF_TOKEN=c4nary-Value", "vllm", "--api-key", "c4nary-Value"],
        "api_key_file": "/root/key",
        "input_tokens": 5,
    }
    words = shlex.split(repeat_command(params, "salt"))
    assert words[:5] == ["ansible", "HOST", "-m", "llmfleet.serving.bench_serve", "-a"]
    assert json.loads(words[5]) == {
        "model": "it's; touch /tmp/x",
        "vllm_command": ["env", "HF_TOKEN=(hidden)", "vllm", "--api-key", "(hidden)"],
        "input_tokens": 5,
        "salt": "salt",
    }
