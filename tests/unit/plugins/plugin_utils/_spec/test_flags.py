# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec import flags as flags_of


@pytest.mark.parametrize(
    ("tokens", "flags"),
    [
        ([], {}),
        (["--a", "1"], {"--a": "1"}),
        (["--a=1", "--b"], {"--a": "1", "--b": True}),
        (["--a", "1", "2", "3"], {"--a": ["1", "2", "3"]}),
        (["--a", -1], {"--a": "-1"}),
        (["--json", '{"x": 1}'], {"--json": '{"x": 1}'}),
    ],
)
def test_arguments_are_parsed_and_written_back(tokens, flags):
    assert flags_of.parse_args(tokens) == flags
    assert flags_of.parse_args(flags_of.to_argv(flags)) == flags


def test_a_value_without_a_flag_is_refused():
    with pytest.raises(UserError, match="16384"):
        flags_of.parse_args(["16384"])


@pytest.mark.parametrize(
    ("layers", "merged"),
    [
        ([{"--a": 1}, {"--b": 2}], ["--a", "1", "--b", "2"]),
        ([{"--a": 1}, {"--a": 2}], ["--a", "2"]),
        ([{"--no-x": True}, {"--x": True}], ["--x"]),
        ([{"--x": True}, {"--no-x": True}], ["--no-x"]),
        ([{"--a": True, "--b": None, "--c": False, "--d": ""}], ["--a"]),
    ],
)
def test_later_layers_replace_earlier_ones(layers, merged):
    assert flags_of.to_argv(flags_of.merge_flags(*layers)) == merged


KNOWN = {
    "engine": "vllm",
    "version": "0.32.0",
    "flags": {
        "--max-model-len": {"aliases": [], "values": "one"},
        "--enable-prefix-caching": {"aliases": ["--no-enable-prefix-caching"], "values": "none"},
        "--compilation-config": {"aliases": ["-cc"], "values": "one"},
        "--middleware": {"aliases": [], "values": "many"},
        "--reasoning-parser": {"aliases": [], "values": "one", "choices": ["qwen3", "gemma4"]},
    },
}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"--max-model-len": "5", "--no-enable-prefix-caching": True, "--middleware": ["a", "b"]}, None),
        ({"--compilation-config.mode": "3"}, None),
        ({"--reasoning-parser": "qwen3"}, None),
        ({"--max-model-length": "5"}, "is no flag of vllm 0.32.0. Remedy: write --max-model-len."),
        ({"--max_model_len": "5"}, "write --max-model-len"),
        ({"--zzz": True}, "take it out"),
        ({"--enable-prefix-caching": "true"}, "no value"),
        ({"--max-model-len": True}, "one value"),
        ({"--max-model-len": ["1", "2"]}, "has 1 2"),
        ({"--reasoning-parser": "qwen33"}, "write qwen3"),
    ],
)
def test_what_the_engine_would_refuse_is_reported_with_the_nearest(flags, expected):
    problems = flags_of.flag_problems(flags, KNOWN)
    assert (expected is None) == (problems == [])
    assert expected is None or expected in str(problems[0])


def test_a_short_flag_is_refused():
    with pytest.raises(UserError, match="long form"):
        flags_of.parse_args(["-tp", "2"])
