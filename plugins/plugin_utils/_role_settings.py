# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of a role, evaluated for a host and made of the types that its argument specs name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ansible.errors import AnsibleError
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import holds_secret, users_in_urls

from . import _knobs

try:
    from ansible.template import trust_as_template

    AS_TEMPLATES: dict[str, Any] = {"trusted_as_template": True}
except ImportError:  # before ansible-core 2.19 every text may be a template
    AS_TEMPLATES = {}

    def trust_as_template(value: str) -> str:
        """The text itself."""
        return value


ROLES = Path(__file__).resolve().parents[2] / "roles"


class Settings(NamedTuple):
    """A role's variables without its prefix, and whether one of them is a secret."""

    typed: dict[str, Any]
    secret: bool


def names() -> list[str]:
    """The roles of this collection."""
    return sorted(path.name for path in ROLES.iterdir() if path.is_dir())


def settings_of(role: str, task_vars: Mapping[str, Any], templar: Any, loader: Any, home: str = "") -> Settings:
    """What a role is to do on a host. `home` stands in the place of `~`. Raises UserError."""
    options = specified(role)
    variables = {**_own_variables(role, loader), **task_vars}
    prefixes = [f"{name}_" for name in names()]
    values = _evaluated(templar, _knobs.environment(variables, options, prefixes), options, ROLES / role)
    # A default is what it evaluates to, also where that is empty: never the text of its template.
    evaluated = {name: {**option, "default": values.get(name)} for name, option in options.items()}
    settings = _knobs.typed(values, evaluated, home)
    named = any(options[name].get("no_log") and value for name, value in settings.items())
    secret = named or holds_secret(settings) or any(users_in_urls(settings))
    return Settings({name.removeprefix(f"{role}_"): value for name, value in settings.items()}, secret)


def settings_of_all(
    roles: Sequence[str], task_vars: Mapping[str, Any], templar: Any, loader: Any, home: str = ""
) -> dict[str, Any]:
    """What a task returns of the settings of roles: `typed`, those of the first, and `also`, those of the others as `{role: {typed}}`.

    Raises UserError with the problems of all of them.
    """
    found: dict[str, Settings] = {}
    problems: list[Problem] = []
    for role in roles:
        try:
            found[role] = settings_of(role, task_vars, templar, loader, home)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*dict.fromkeys(problems))
    typed = [{"typed": settings.typed} for settings in found.values()]
    also = dict(zip(roles[1:], typed[1:]))
    secret = any(settings.secret for settings in found.values())
    return {**typed[0], **({"also": also} if also else {}), "_ansible_no_log": secret}


def _own_variables(role: str, loader: Any) -> dict[str, Any]:
    """A role's `vars/main.yml`, which its defaults name: Ansible has them only in plays that have the role."""
    file = ROLES / role / "vars" / "main.yml"
    return dict(loader.load_from_file(str(file), **AS_TEMPLATES)) if file.exists() else {}


def _evaluated(
    templar: Any, variables: dict[str, Any], options: Mapping[str, Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """The options' values without templates, also outside of the role: lookups find its files.

    A variable that turns out to be null or empty has its default. Raises UserError.
    """
    paths = [str(folder), *variables.get("ansible_search_path", [])]
    variables = {**variables, "role_path": str(folder), "ansible_search_path": paths}
    values, problems = {}, []
    with seen_by(templar, variables):
        for name, option in options.items():
            try:
                value = templar.template(variables.get(name))
                given = _knobs.is_given(name, value)
                values[name] = value if given else templar.template(option.get("default"))
            except AnsibleError as error:
                found = f"{name} cannot be evaluated: {error}"
                problems.append(Problem(found, remedy=f"correct {name} where it is set"))
    if problems:
        raise UserError(*problems)
    return values


@contextmanager
def seen_by(templar: Any, variables: dict[str, Any]) -> Iterator[None]:
    """Other variables for templates, and for the lookups in them: before ansible-core 2.19 a copy of a templar shares its lookups."""
    before = templar.available_variables
    templar.available_variables = variables
    try:
        yield
    finally:
        templar.available_variables = before


@lru_cache(maxsize=None)
def specified(role: str) -> dict[str, dict[str, Any]]:
    """The options of a role's entry point `main`, which its other entry points share, with the role's defaults; some are templates."""
    options = _read(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    file = ROLES / role / "defaults" / "main.yml"
    defaults = _read(file) if file.exists() else {}
    return {
        name: {**option, "default": trusted(defaults[name])} if name in defaults else option
        for name, option in options.items()
    }


def _read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def trusted(value: Any) -> Any:
    """A default of this collection with its texts marked as templates."""
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value
