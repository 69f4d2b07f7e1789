# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's variables as its argument specs want them: what a user gave as text, or left empty, becomes the type that is
written there, or is refused by name. Pure.
"""

from __future__ import annotations

import datetime
import math
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Any

import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from ..module_utils._errors import Problem, UserError
from ._plain import plain

Options = Mapping[str, Mapping[str, Any]]

# Text variables with a default that an empty text switches off, as their descriptions say.
EMPTY_IS_A_VALUE = frozenset(
    {
        "benchmark_api_key_file",
        "gpu_preflight_hub_url",
        "gpu_preflight_image",
        "inference_server_hf_cache_dir",
    }
)

_WORDS = {
    **dict.fromkeys(("yes", "on", "true", "1", "y", "t"), True),
    **dict.fromkeys(("no", "off", "false", "0", "n", "f"), False),
}
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_][\w.-]*=", re.ASCII)
_SHOWN = 80  # characters of a wrong value in a message


def is_given(name: str, value: Any) -> bool:
    """Whether a variable has a value: not null, and no empty text, unless that has a meaning of its own."""
    if isinstance(value, str) and not value.strip():
        return name in EMPTY_IS_A_VALUE
    return value is not None


def environment(variables: Mapping[str, Any], options: Options, prefixes: Collection[str]) -> dict[str, Any]:
    """`variables` as templates shall see them: those of `options` have their default where nothing was given.

    Of the other variables whose names begin with one of `prefixes` the empty ones are left out, so that the filter `default`
    does its work.
    """
    kept = {
        name: value
        for name, value in variables.items()
        if is_given(name, value) or not str(name).startswith(tuple(prefixes))
    }
    return {**{name: option["default"] for name, option in options.items() if "default" in option}, **kept}


def typed(values: Mapping[str, Any], options: Options, home: str = "") -> dict[str, Any]:
    """Each option's value as a built-in of its type; one without a value has its default, and is left out without one.

    `home` takes the place of `~` at the start of a path; where it is empty, the `~` stays. Raises UserError with every problem.
    """
    found, problems = {}, []
    for name, option in options.items():
        value = values.get(name)
        value = value if is_given(name, value) else option.get("default")
        try:
            if value is not None:
                found[name] = _value(name, value, option, home)
            elif option.get("required"):
                problems.append(Problem(f"{name} is not set", _expected(option), f"set {name}"))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return found


def coerced(values: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """A plain copy of `values` in which the keys that `options` names have their types. Raises UserError."""
    named = {name: option for name, option in options.items() if name in values}
    return {**plain(values), **typed(values, named)}


def _value(name: str, value: Any, option: Mapping[str, Any], home: str) -> Any:
    kind = option.get("type", "str")
    try:
        if kind == "list":
            return _list(name, value, option, home)
        if kind == "dict":
            return _dict(name, value, option, home)
        result = _expanded(_path(value), home) if kind == "path" else _SCALARS[kind](value)
    except (ValueError, OverflowError):
        raise _refused(name, value, option) from None
    if option.get("choices") and result not in option["choices"]:
        raise _refused(name, value, option)
    return result


def _list(name: str, value: Any, option: Mapping[str, Any], home: str) -> list[Any]:
    items = _items(value, option)
    element = {**option, "type": option.get("elements", "raw")}
    return [_value(f"{name}[{index}]", item, element, home) for index, item in enumerate(items)]


def _items(value: Any, option: Mapping[str, Any]) -> list[Any]:
    """The items of a list: a list's own, the words of a text as a shell splits it, or a number alone. Raises ValueError."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError
    text, elements = str(value).strip(), option.get("elements")
    if text.startswith(("[", "- ")) or elements == "dict":
        document = _document(text)
        if isinstance(document, list):
            return document
        if elements == "dict" and isinstance(document, dict):
            return [document]
    if elements == "dict":
        raise ValueError
    if elements in ("int", "float") or option.get("choices"):
        return re.split(r"[\s,]+", text)
    return shlex.split(text)


def _dict(name: str, value: Any, option: Mapping[str, Any], home: str) -> dict[str, Any]:
    entries = plain(value) if isinstance(value, Mapping) else _entries(value)
    inner = option.get("options")
    if not inner:
        return entries
    unknown = sorted(set(entries) - set(inner))
    if unknown:
        raise UserError(Problem(f"{name} has the key {unknown[0]}", f"keys out of {', '.join(inner)}", _remedy(name)))
    named = {f"{name}.{key}": each for key, each in inner.items()}
    result = typed({f"{name}.{key}": each for key, each in entries.items()}, named, home)
    return {key.removeprefix(f"{name}."): each for key, each in result.items()}


def _entries(value: Any) -> dict[str, Any]:
    """The entries of a text: words `key=value` as a shell splits them, or JSON or YAML. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError
    words = _words(value)
    if words and all(map(_ASSIGNMENT.match, words)):
        return dict(word.split("=", 1) for word in words)
    document = _document(value)
    if not isinstance(document, dict):
        raise ValueError
    return plain(document)


def _words(text: str) -> list[str]:
    """The words of a text as a shell splits them; none where a quote is not closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _document(text: str) -> Any:
    """A text as JSON or YAML; None where it is neither."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, datetime.date)):
        raise ValueError
    return plain(value) if isinstance(value, str) else str(value)


def _path(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return plain(value)


def _expanded(path: str, home: str) -> str:
    return home + path[1:] if home and (path == "~" or path.startswith("~/")) else path


def _whole(value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    if value != int(value):
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueError
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not math.isfinite(float(value)):
        raise ValueError
    return float(value)


def _truth(value: Any) -> bool:
    word = str(int(value)) if isinstance(value, float) and value in (0, 1) else str(value).strip().lower()
    if word not in _WORDS:
        raise ValueError
    return _WORDS[word]


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _truth,
    "raw": plain,
}

_EXPECTED = {
    "str": "a text",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list, or a text of words as a shell splits it",
    "dict": "a dictionary, or a text of words key=value",
}


def _expected(option: Mapping[str, Any]) -> str:
    if option.get("choices"):
        return f"{'some' if option.get('type') == 'list' else 'one'} of {', '.join(map(str, option['choices']))}"
    if option.get("type") == "list" and option.get("elements") == "dict":
        return "a list of dictionaries, or JSON"
    return _EXPECTED.get(option.get("type", "str"), "another value")


def _refused(name: str, value: Any, option: Mapping[str, Any]) -> UserError:
    shown = "not of its type" if option.get("no_log") else one_line(hidden(repr(plain(value))), _SHOWN)
    return UserError(Problem(f"{name} is {shown}", _expected(option), _remedy(name)))


def _remedy(name: str) -> str:
    variable = re.split(r"[.\[]", name, maxsplit=1)[0]
    return f"correct {variable} where it is set (inventory, survey or -e), or remove it there for its default"
