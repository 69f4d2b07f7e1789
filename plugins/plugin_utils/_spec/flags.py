# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine's command-line flags: parsed, merged, written back and checked against those the engine knows.

Pure functions.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Dict

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError

Flags = Dict[str, Any]


def parse_args(tokens: Sequence[Any]) -> Flags:
    """Command-line tokens as an ordered flag -> value mapping: `--a 1 --b --c=2` -> {--a: "1", --b: True, --c: "2"}.

    A flag with several values gets a list. Raises UserError for a token that belongs to no flag, and for a short flag.
    """
    flags: Flags = {}
    name = None
    for token in map(str, tokens):
        if token.startswith("--"):
            name, equals, value = token.partition("=")
            flags[name] = value if equals else True
        elif re.match(r"-[a-zA-Z]", token):
            raise UserError(
                Problem(f"inference_server_extra_args holds {token}", "flags in their long form, --...", "write it so")
            )
        elif name is None:
            raise UserError(
                Problem(
                    f"inference_server_extra_args starts with {token!r}",
                    "a flag such as --max-model-len",
                    "write the flag before its value",
                )
            )
        elif flags[name] is True:
            flags[name] = token
        else:
            flags[name] = [*(flags[name] if isinstance(flags[name], list) else [flags[name]]), token]
    return flags


def to_argv(flags: Mapping[str, Any]) -> list[str]:
    """The flags as tokens, in order: True is a bare flag, False, None and "" leave the flag out, a list repeats the value."""
    argv: list[str] = []
    for name, value in flags.items():
        if value is None or value is False or value == "":
            continue
        argv.append(name)
        if value is not True:
            argv.extend(str(item) for item in (value if isinstance(value, (list, tuple)) else [value]))
    return argv


def merge_flags(*layers: Mapping[str, Any]) -> Flags:
    """Later layers replace earlier ones; `--no-x` in one layer and `--x` in a later one do not stand side by side."""
    merged: Flags = {}
    for layer in layers:
        for name, value in layer.items():
            merged.pop(opposite(name), None)
            merged[name] = value
    return merged


def opposite(flag: str) -> str:
    """`--x` for `--no-x` and the other way round."""
    return "--" + flag[len("--no-") :] if flag.startswith("--no-") else "--no-" + flag[2:]


def flag_problems(flags: Mapping[str, Any], release: Mapping[str, Any]) -> list[Problem]:
    """What the engine would refuse: unknown names, values missing, too many or not allowed.

    `release` is a data file of files/flags/: `engine`, `version` and `flags`, each with `aliases`, `values` (none, one, optional
    or many) and perhaps `choices`. `--a.b` sets one entry of the flag `--a`, whose value is JSON.
    """
    entries = dict(release["flags"])
    entries.update({alias: entry for entry in release["flags"].values() for alias in entry["aliases"]})
    engine = f"{release['engine']} {release['version']}"
    problems = []
    for name, value in flags.items():
        base, dot, _key = name.partition(".")
        if base not in entries:
            problems.append(Problem(f"{name} is no flag of {engine}", remedy=_advice(name.replace("_", "-"), entries)))
        elif not dot:
            problems += _value_problems(name, value, entries[base], engine)
    return problems


def _value_problems(name: str, value: Any, entry: Mapping[str, Any], engine: str) -> list[Problem]:
    if entry["values"] == "none" and value is not True:
        return [Problem(f"{name} of {engine} has the value {value!r}", "no value", "take it out")]
    if entry["values"] == "one" and (value is True or isinstance(value, list)):
        return [Problem(f"{name} of {engine} has {'no value' if value is True else ' '.join(value)}", "one value")]
    choices = [str(choice) for choice in entry.get("choices", [])]
    if choices and isinstance(value, str) and value not in choices:
        return [Problem(f"{name} of {engine} does not accept {value!r}", remedy=_advice(value, choices))]
    return []


def _advice(word: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, sorted(names), n=1, cutoff=0.6)
    return f"write {near[0]}" if near else "take it out of inference_server_extra_args"
