# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The border that a document of a host crosses on the controller: its size first, then its shape. Pure; nothing here raises.

What is behind it is plain: dicts with text keys, lists, printable text, finite numbers, true, false, None. A shape is data
(`Record`, `Figures`, `Items`, `Text`, `Number`, `Flag`, `Loose`); every part of it may be missing or None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ansible_collections.llmfleet.serving.plugins.module_utils._text import WORDS, one_line, printable, shortened

from ._plain import LARGEST

UNREAD = "llmfleet_unread_facts"  # what action host_facts says of the facts of a host that it leaves out: name -> why
AT_MOST_BYTES = 256 * 1024  # a fact has at most 32 KiB
_DEEPEST = 24
_LONGEST_TEXT = 16 * 1024
_LONGEST_KEY = 200
_SHOWN = 40  # characters of a value in a message
_MOST_PROBLEMS = 3
_PLAIN = (float, int, bool, type(None))
_ODD = object()  # what has no place in a document


class Crossed(NamedTuple):
    """What came over the border: the document without what is wrong in it, and in words what that is, empty when nothing is."""

    value: dict[str, Any]
    fault: str


class Shape(Protocol):
    """What a part of a document has to be. `read` gives its plain value, and adds to `problems` what is wrong at `path`."""

    def read(self, value: Any, path: str, problems: list[str]) -> Any: ...


@dataclass(frozen=True)
class Text:
    """Text; what is longer than `longest` characters loses its middle. `pattern`: what all of it has to match."""

    pattern: str = ""
    longest: int = _LONGEST_TEXT

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        if not isinstance(value, str) or not re.fullmatch(self.pattern or "(?s:.*)", value):
            return refused(value, path, f"text like {self.pattern}" if self.pattern else "text", problems)
        return shortened(value, self.longest)


@dataclass(frozen=True)
class Number:
    """A number from `least` to `most`; `smallest` is the least that is not zero."""

    least: float = -LARGEST
    most: float = LARGEST
    smallest: float = 0.0

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and self.least <= value <= self.most
        if not fits or 0 < abs(value) < self.smallest:
            return refused(value, path, self._expected(), problems)
        return value

    def _expected(self) -> str:
        zero = f", and 0 or at least {self.smallest:g}" if self.smallest else ""
        return f"a number from {self.least:g} to {self.most:g}{zero}"


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        return value if isinstance(value, bool) else refused(value, path, "true or false", problems)


@dataclass(frozen=True)
class Either:
    """The first of several shapes that fits."""

    shapes: tuple[Shape, ...]

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        found: list[str] = []
        for shape in self.shapes:
            found = []
            read = shape.read(value, path, found)
            if not found:
                return read
        problems += found
        return None


@dataclass(frozen=True)
class Loose:
    """Anything: a part that is handed on and never computed with. What has no place in a document is None there."""

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        if isinstance(value, dict):
            return {key: self.read(item, path, problems) for key, item in value.items()}
        if isinstance(value, list):
            return [self.read(item, path, problems) for item in value]
        if isinstance(value, str):
            return shortened(value, _LONGEST_TEXT)
        if isinstance(value, bool):
            return value
        return value if isinstance(value, (int, float)) and -LARGEST <= value <= LARGEST else None


@dataclass(frozen=True)
class Items:
    """A list of at most `most` parts of one shape."""

    item: Shape
    most: int = 4096

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        if not isinstance(value, list) or len(value) > self.most:
            return refused(value, path, f"a list of at most {self.most:,} items", problems)
        return [_part(self.item, item, f"{path}[{at}]", problems) for at, item in enumerate(value)]


@dataclass(frozen=True)
class Record:
    """A dictionary with these keys; others are left out."""

    fields: Mapping[str, Shape]

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        if not isinstance(value, dict):
            return refused(value, path, "a dictionary", problems)
        dot = f"{path}." if path else ""
        known = [key for key in value if key in self.fields]
        return {key: _part(self.fields[key], value[key], f"{dot}{key}", problems) for key in known}


@dataclass(frozen=True)
class Figures:
    """A dictionary of figures under names of their own; `known` are the shapes of those that have one, `other` of the rest."""

    known: Mapping[str, Shape] = field(default_factory=dict)
    other: Shape = Number()

    def read(self, value: Any, path: str, problems: list[str]) -> Any:
        if not isinstance(value, dict):
            return refused(value, path, "a dictionary", problems)
        odd = [key for key in value if not re.fullmatch(r"[\w.]{1,64}", key, re.ASCII)]
        if odd:
            refused(odd[0], f"a name in {path}", "letters, digits, _ and .", problems)
        return {
            key: _part(self.known.get(key, self.other), item, f"{path}.{key}", problems)
            for key, item in value.items()
            if key not in odd
        }


def cross(value: Any, shape: Shape) -> Crossed:
    """A document of a host as `shape` wants it."""
    copy, fault = bounded(value)
    if fault:
        return Crossed({}, fault)
    problems: list[str] = []
    read = shape.read(copy, "", problems)
    more = len(problems) - _MOST_PROBLEMS
    words = "; ".join(problems[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
    return Crossed(read if isinstance(read, dict) else {}, words)


def bounded(value: Any, at_most_bytes: int = AT_MOST_BYTES) -> tuple[dict[str, Any], str]:
    """A plain copy of a dictionary, and an empty text; or an empty one, and in words why it is none, too large or too deep, or why
    a part of it cannot be evaluated.

    A number that is not finite, or an object that no document holds, is kept for the shape to refuse. Looks at no more
    than `at_most_bytes` of it.
    """
    if not isinstance(value, Mapping):
        return {}, f"it is {described(value)}, expected a dictionary"
    copier = _Copier(at_most_bytes)
    try:
        copy = copier.copy(value, _DEEPEST)
    except Exception as error:  # of Ansible or of Jinja, for a template in it
        return {}, f"it cannot be evaluated: {one_line(error, WORDS)}"
    return (copy, "") if not copier.fault else ({}, copier.fault)


class _Copier:
    """Copies a document within a budget of bytes; `fault` says why it could not."""

    def __init__(self, at_most_bytes: int) -> None:
        self._limit = self._left = at_most_bytes
        self.fault = ""

    def copy(self, value: Any, depth: int) -> Any:
        if type(value) in _PLAIN and self._left >= 4:  # most of a document
            self._left -= 4
            return value
        if not depth:
            self.fault = f"it is nested more than {_DEEPEST} deep"
        if self.fault:
            return None
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple)):
            return self._list(value, depth)
        self._spend(len(value) if isinstance(value, str) else 4)
        return None if self.fault else _scalar(value)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        copy = {}
        for key, item in value.items():
            if not isinstance(key, str) or len(key) > _LONGEST_KEY:
                self.fault = f"one of its keys is {described(key)}, expected text of at most {_LONGEST_KEY} characters"
                break
            self._spend(len(key) + 6)
            copy[printable(key)] = self.copy(item, depth - 1)
            if self.fault:
                break
        return copy

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        copy = []
        for item in value:
            self._spend(2)
            copy.append(self.copy(item, depth - 1))
            if self.fault:
                break
        return copy

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            self.fault = f"it has more than {self._limit // 1024} KiB"


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else _ODD


def _part(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    return None if value is None else shape.read(value, path, problems)


def refused(value: Any, path: str, expected: str, problems: list[str]) -> None:
    """Adds a problem: what was found at `path`, and what was expected."""
    problems.append(f"{path or 'it'} is {described(value)}, expected {expected}")


def described(value: Any) -> str:
    """A value in a few words: `'fast'`, `a list`, `a number of 401 digits`, `NaN`."""
    if isinstance(value, str):
        return repr(one_line(value, _SHOWN))
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value):,}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        digits = int(value.bit_length() * 0.30103) + 1
        return str(int(value)) if digits < _SHOWN else f"a number of some {digits:,} digits"
    return repr(float(value)).replace("nan", "NaN") if isinstance(value, float) else "no value of a document"
