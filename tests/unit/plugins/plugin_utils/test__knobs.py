# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as users write them, and what they become. That every variable of a role does is in tests/unit/roles/test_settings.py."""

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._knobs import coerced, environment, typed

WORDS, NUMBERS = {"type": "list", "elements": "str"}, {"type": "list", "elements": "int"}
ENTRIES = {"type": "list", "elements": "dict", "options": {"name": {"type": "str", "required": True}}}

TAKEN = [
    ({"type": "int"}, "8000.0", 8000),
    ({"type": "int"}, 8000.0, 8000),
    ({"type": "int"}, "-1", -1),
    ({"type": "float"}, "1e3", 1000.0),
    ({"type": "float"}, 4, 4.0),
    ({"type": "bool"}, "OFF", False),
    ({"type": "bool"}, 0, False),
    ({"type": "str"}, 28.2, "28.2"),
    ({"type": "str"}, "None", "None"),
    (WORDS, "--max-model-len=4096", ["--max-model-len=4096"]),
    (WORDS, "--seed 3 --name 'a b'", ["--seed", "3", "--name", "a b"]),
    (WORDS, "/a:/b:ro,z", ["/a:/b:ro,z"]),
    (WORDS, '["a", "b c"]', ["a", "b c"]),
    (WORDS, "- a\n- b c", ["a", "b c"]),
    (WORDS, "[]", []),
    (WORDS, ["--port", 8000, 0.9], ["--port", "8000", "0.9"]),
    (NUMBERS, "1,2 ,4", [1, 2, 4]),
    (NUMBERS, 3, [3]),
    (ENTRIES, "{name: a}", [{"name": "a"}]),
    ({"type": "dict"}, "A=1 B='x: y'", {"A": "1", "B": "x: y"}),
    ({"type": "dict"}, "tool_call: skip", {"tool_call": "skip"}),
    ({"type": "dict"}, "{}", {}),
]
REFUSED = [
    ({"type": "int"}, True),
    ({"type": "int"}, "8e3"),
    ({"type": "int"}, 0.5),
    ({"type": "int"}, float("nan")),
    ({"type": "float"}, 10**400),
    ({"type": "float"}, "inf"),
    ({"type": "bool"}, "2"),
    ({"type": "str"}, False),
    ({"type": "path"}, 7),
    (WORDS, "'a"),
    (WORDS, True),
    (WORDS, ["a", None]),
    (NUMBERS, "1,x"),
    (ENTRIES, "a"),
    (ENTRIES, [{}]),
    ({"type": "dict"}, "A=1 B"),
    ({"type": "dict"}, "a: [b"),
]


@pytest.mark.parametrize(("option", "value", "becomes"), TAKEN)
def test_a_value_becomes_what_its_type_makes_of_it(option, value, becomes):
    assert typed({"x": value}, {"x": option}) == {"x": becomes}


@pytest.mark.parametrize(("option", "value"), REFUSED)
def test_a_value_that_cannot_be_of_its_type_is_refused_by_name(option, value):
    with pytest.raises(UserError, match=r"^x"):
        typed({"x": value}, {"x": option})


def test_all_problems_come_at_once_and_no_secret_with_them():
    with pytest.raises(UserError) as raised:
        typed({"a": "x", "b": ["token"]}, {"a": {"type": "int"}, "b": {"type": "dict", "no_log": True}})
    assert [problem.found[0] for problem in raised.value.problems] == ["a", "b"]
    assert "token" not in str(raised.value)


def test_a_token_is_not_shown_in_part_where_a_wrong_value_is_shortened():
    with pytest.raises(UserError) as raised:
        typed({"env": "A=1 " + "x" * 60 + " hf_" + "secretpart" * 3 + " B"}, {"env": {"type": "dict"}})
    assert "secretpart" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "becomes"), [("~/a", "/home/me/a"), ("~", "/home/me"), ("~you/a", "~you/a"), ("/a/~", "/a/~"), ("", "")]
)
def test_the_home_takes_the_place_of_the_tilde(path, becomes):
    options = {"x": {"type": "path", "default": ""}}
    assert typed({"x": path}, options, "/home/me") == {"x": becomes}
    assert typed({"x": path}, options) == {"x": path}


def test_templates_see_defaults_in_place_of_nothing_and_no_empty_variable_of_another_role():
    variables = {"a_port": "", "b_port": None, "a_name": "n", "user": ""}
    options = {"a_port": {"default": 8000}, "a_name": {"default": "m"}}
    assert environment(variables, options, ["a_", "b_"]) == {"a_port": 8000, "a_name": "n", "user": ""}


def test_a_filter_types_the_keys_that_it_names():
    assert coerced({"count": "2", "rest": "2"}, {"count": {"type": "int"}, "none": {"type": "int"}}) == {
        "count": 2,
        "rest": "2",
    }
