# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every variable of every role is taken in its type and as text, has its default when nothing is given, and is refused by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._knobs import EMPTY_IS_A_VALUE, typed

from tests.support.settings import given, options

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = options()


def settled(name: str, value: Any) -> Any:
    return typed({name: value}, {name: OPTIONS[name]})[name]


@pytest.mark.parametrize("name", OPTIONS)
def test_a_value_of_its_type_stays(name):
    assert settled(name, given(OPTIONS[name]).right) == given(OPTIONS[name]).right


@pytest.mark.parametrize("name", OPTIONS)
def test_a_text_becomes_what_it_stands_for(name):
    value = settled(name, given(OPTIONS[name]).text)
    assert value == given(OPTIONS[name]).becomes
    assert type(value) is type(given(OPTIONS[name]).becomes)


NOTHING = {
    "nothing is given": {},
    "all are null": dict.fromkeys(OPTIONS),
    "all are empty": {name: "" for name in OPTIONS if name not in EMPTY_IS_A_VALUE},
    "all are blank": {name: "  " for name in OPTIONS if name not in EMPTY_IS_A_VALUE},
}
EMPTY = {name: {name: ""} for name in sorted(EMPTY_IS_A_VALUE)}
# A default that is a template: of a variable that is set, and of one that is not.
IN_A_RUN = {
    f"{value!r} in a run": {"llmfleet_run": "nightly-27", "report_fleet_run": value, "benchmark_fleet_run": value}
    for value in (None, "", "  ")
}


@pytest.fixture(scope="module")
def evaluated() -> dict[str, dict[str, Any]]:
    """For each case the settings of every role."""
    cases = {**NOTHING, **EMPTY, **IN_A_RUN}
    script = [sys.executable, "-m", "tests.support.evaluated_settings"]
    done = subprocess.run(
        script, input=json.dumps(list(cases.values())), capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(cases, json.loads(done.stdout)))


@pytest.mark.parametrize("case", NOTHING)
def test_where_nothing_is_given_there_are_the_defaults(evaluated, case):
    """Defaults that are made of variables of other roles, which are empty too."""
    assert evaluated[case] == evaluated["nothing is given"]


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_text_with_a_meaning_stays(evaluated, name):
    role = next(role for role in evaluated[name] if name.startswith(f"{role}_"))
    assert evaluated[name][role][name.removeprefix(f"{role}_")] == ""


@pytest.mark.parametrize("name", OPTIONS)
def test_another_value_is_refused_by_name(name):
    with pytest.raises(UserError) as raised:
        settled(name, given(OPTIONS[name]).wrong)
    (problem,) = raised.value.problems
    assert problem.found.startswith(name)
    assert problem.expected
    assert name in problem.remedy


def test_an_empty_text_has_a_meaning_where_the_description_of_a_text_with_a_default_says_so():
    described = {
        name
        for name, option in OPTIONS.items()
        if option["type"] in ("str", "path") and option.get("default") and "empty" in str(option["description"]).lower()
    }
    assert described == EMPTY_IS_A_VALUE


# Read while the settings are made, by defaults that are templates.
READ_BY_DEFAULTS = {"inference_server_runtime", "gpu_preflight_gpu_profile", "gpu_preflight_model"}


def raw_names(role: Path) -> set[str]:
    """The variables of the role that an expression of its tasks, templates or private variables reads itself."""
    files = [*role.glob("tasks/*.yml"), *role.glob("templates/*"), *role.glob("vars/main.yml")]
    text = "\n".join(
        file.read_text() for file in files if file.name != "with_settings.yml"
    )  # it is given all of them, checked
    templates = re.findall(r"\{\{.*?\}\}|\{%.*?%\}", text, flags=re.DOTALL)
    expressions = " ".join([*templates, *re.findall(r"^ *(?:when|that|until): .*$", text, flags=re.MULTILINE)])
    return set(re.findall(r"(?<![\w.])[a-z_]+\b", expressions)) & set(OPTIONS)


@pytest.mark.parametrize("role", sorted((ROOT / "roles").iterdir()), ids=lambda role: role.name)
def test_a_role_reads_its_settings_and_no_variable_that_a_user_set(role):
    assert raw_names(role) - READ_BY_DEFAULTS == set()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_setting_is_no_method_of_a_dictionary(name):
    """`typed.items` would be that method."""
    role = next(path.name for path in (ROOT / "roles").iterdir() if name.startswith(f"{path.name}_"))
    assert not hasattr(dict, name.removeprefix(f"{role}_"))


@pytest.mark.parametrize("case", [*NOTHING, *EMPTY])
def test_a_default_that_turns_out_to_be_empty_is_empty_and_not_the_text_of_its_template(evaluated, case):
    texts = [str(value) for settings in evaluated[case].values() for value in settings.values()]
    assert [text for text in texts if "{{" in text] == []
    assert (evaluated[case]["report"]["fleet_run"], evaluated[case]["benchmark"]["fleet_run"]) == ("", "")


@pytest.mark.parametrize("case", IN_A_RUN)
def test_a_variable_that_is_null_or_empty_has_its_default_also_where_that_is_a_template(evaluated, case):
    assert evaluated[case]["report"]["fleet_run"] == "nightly-27"
    assert evaluated[case]["benchmark"]["fleet_run"] == "nightly-27"
