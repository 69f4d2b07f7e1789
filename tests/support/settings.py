# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every variable of every role, given in its type, as text, as nothing and wrong.

`PYTHONPATH=playbooks/collections python -m tests.support.settings` prints what becomes of it as a table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._knobs import is_given, typed

ROLES = Path(__file__).resolve().parents[2] / "roles"


class Given(NamedTuple):
    """A value, what users write for it as text, what they get, and a value that is none of the type."""

    right: Any
    text: str
    becomes: Any
    wrong: Any


GIVEN = {
    "str": Given("a b", "a b", "a b", ["a"]),
    "path": Given("/srv/a b", "/srv/a b", "/srv/a b", 7),
    "int": Given(18000, " 18000 ", 18000, "8000x"),
    "float": Given(0.5, "0.5", 0.5, "half"),
    "bool": Given(True, "yes", True, "maybe"),
    "dict": Given({"a": "1"}, "a=1", {"a": "1"}, ["a"]),
    "list of str": Given(["--a=1", "--b", "c d"], "--a=1 --b 'c d'", ["--a=1", "--b", "c d"], {"a": 1}),
    "list of path": Given(["/a", "/b"], "/a /b", ["/a", "/b"], {"a": 1}),
    "list of int": Given([1, 2], "1, 2", [1, 2], ["x"]),
    "list of float": Given([50.0, 99.9], "50 99.9", [50.0, 99.9], ["x"]),
    "list of dict": Given([{"a": "1"}], '[{"a": "1"}]', [{"a": "1"}], "a"),
}


def options() -> dict[str, dict[str, Any]]:
    """Every variable with its specification."""
    return {
        name: option
        for file in sorted(ROLES.glob("*/meta/argument_specs.yml"))
        for entry in yaml.safe_load(file.read_text())["argument_specs"].values()
        for name, option in (entry.get("options") or {}).items()
    }


def kind_of(option: dict[str, Any]) -> str:
    """The type in words."""
    return f"list of {option['elements']}" if option["type"] == "list" else option["type"]


def given(option: dict[str, Any]) -> Given:
    """What fits the option: out of its choices, and with the keys that it knows."""
    if option.get("choices"):
        first, last = option["choices"][0], option["choices"][-1]
        return (
            Given([first, last], f"{first},{last}", [first, last], ["none of these"])
            if option["type"] == "list"
            else Given(last, last, last, "none of these")
        )
    if option.get("options"):
        entry = {name: given(inner).right for name, inner in option["options"].items()}
        several = option["type"] == "list"
        value = [entry] if several else entry
        return Given(value, json.dumps(value), value, [{"no_key": 1}] if several else {"no_key": 1})
    return GIVEN[kind_of(option)]


def outcome(name: str, option: dict[str, Any], value: Any) -> str:
    """What becomes of a value, for people. A default that is a template is not evaluated here."""
    if not is_given(name, value) and "{{" in str(option.get("default")):
        return "default"
    try:
        settings = typed({name: value}, {name: option})
    except UserError as error:
        return f"refused: {error.first.found}"
    if name not in settings:
        return "not set"
    return "default" if value in (None, "") and option.get("default") == settings[name] else repr(settings[name])


def main() -> None:
    print("| variable | type | right | text | null | empty text | wrong |\n|---|---|---|---|---|---|---|")
    for name, option in options().items():
        values = given(option)
        cells = [outcome(name, option, value) for value in (values.right, values.text, None, "", values.wrong)]
        print(f"| {name} | {kind_of(option)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
