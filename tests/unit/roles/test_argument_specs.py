# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every default has its line in argument_specs with the same value, and every public variable carries the role's name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = sorted(path.parent.parent for path in Path(__file__).resolve().parents[3].glob("roles/*/defaults/main.yml"))

NOT_TEXT = ("bool", "int", "float", "dict", "list")


def load(path):
    return yaml.safe_load(path.read_text()) or {}


def specified(role):
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for entry in specs.values() for name, option in entry.get("options", {}).items()}


def defaults(role):
    return load(role / "defaults" / "main.yml")


def is_computed(role, name):
    """Whether a default is a template of which something else than text is made: documentation takes no such default."""
    return str(defaults(role)[name]).startswith("{{") and specified(role)[name]["type"] in NOT_TEXT


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_and_argument_specs_say_the_same(role):
    with_default = {name: option["default"] for name, option in specified(role).items() if "default" in option}
    assert with_default == {name: value for name, value in defaults(role).items() if not is_computed(role, name)}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_computed_default_that_is_no_text_is_described(role):
    for name in filter(lambda name: is_computed(role, name), defaults(role)):
        assert "By default " in "".join(specified(role)[name]["description"]), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_option_is_named_after_its_role_and_described(role):
    for name, option in specified(role).items():
        assert name.startswith(role.name + "_")
        assert option["type"]
        assert option["description"]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_each_role_has_a_readme(role):
    assert "llmfleet.serving." + role.name in (role / "README.md").read_text()
