# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which pins are old, and what a newer release of an engine changes in the flags that are used here.

Pure; `tools/fresh.py` asks the world.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

# What becomes of a pin: `old` alone is something to do.
CURRENT, OLD, HELD, UNKNOWN = "current", "old", "held", "not known here"
Flags = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Pin:
    """What is pinned where. `wanted` is a version, or for a range (`>=4.8.0`) the range."""

    kind: str  # engine, core, tool, collection, toolkit
    name: str
    wanted: str
    where: str


@dataclass(frozen=True)
class Available:
    """What can be had: every version, and those that the Python of this checkout takes."""

    versions: Sequence[str] = ()
    here: Sequence[str] = ()
    source: str = ""


@dataclass(frozen=True)
class Row:
    """One pin judged."""

    kind: str
    name: str
    pinned: str
    newest: str
    state: str
    note: str


@dataclass(frozen=True)
class Release:
    """What a newer release of an engine changes."""

    engine: str
    pinned: str
    version: str
    used: list[str]  # sentences on flags that are used here
    new: list[str] = field(default_factory=list)  # names of flags
    gone: list[str] = field(default_factory=list)
    missing_phrases: list[str] = field(default_factory=list)
    file: str | None = None


# --- versions -----------------------------------------------------------------------------------------------------------


def newest_of(versions: Iterable[str]) -> str | None:
    """The newest release: a post release is newer than its release; candidates, betas and development releases are none."""
    known = []
    for text in versions:
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        if not version.is_prerelease:
            known.append(version)
    return str(max(known)) if known else None


def judge(pin: Pin, available: Available) -> Row:
    """Whether a pin is old. One that is the newest for the Python of this checkout is held; a range is old when it refuses the newest."""
    newest = newest_of(available.versions)
    if newest is None:
        return Row(pin.kind, pin.name, pin.wanted, "", UNKNOWN, available.source or "nothing that can be asked has it")
    here = newest_of(available.here)
    state, note = CURRENT, pin.where
    if re.match(r"[<>=~!]", pin.wanted):
        if not SpecifierSet(pin.wanted).contains(newest):
            state = OLD
    elif Version(pin.wanted) < Version(newest):
        held = here is not None and Version(pin.wanted) >= Version(here)
        state, note = (HELD, f"{pin.where}; newer ones need another Python") if held else (OLD, pin.where)
    return Row(pin.kind, pin.name, pin.wanted, newest, state, note)


def pinned_requirements(text: str, where: str, environment: Mapping[str, str]) -> list[Pin]:
    """The exact pins (`name==version`) of a requirements file that hold in an environment (`packaging.markers`)."""
    pins = []
    for line in text.splitlines():
        try:
            requirement = Requirement(line.partition(" #")[0].strip().rstrip("\\").strip())
        except InvalidRequirement:  # a comment, an option, a line of hashes
            continue
        exact = [clause.version for clause in requirement.specifier if clause.operator == "=="]
        if exact and (requirement.marker is None or requirement.marker.evaluate(dict(environment))):
            kind = "core" if requirement.name in ("ansible", "ansible-core") else "tool"
            pins.append(Pin(kind, requirement.name, exact[0], where))
    return pins


def index_versions(output: str) -> list[str]:
    """The versions in what `pip index versions` prints."""
    found = re.search(r"^Available versions: (.*)$", output, re.MULTILINE)
    return [version.strip() for version in found.group(1).split(",")] if found else []


def apt_candidate(output: str) -> list[str]:
    """The candidate in what `apt-cache policy` prints, without its packaging's own part; empty where apt knows none."""
    found = re.search(r"^  Candidate: (?:\d+:)?([^\s~+-]+)", output, re.MULTILINE)
    return [found.group(1)] if found and found.group(1)[0].isdigit() else []


# --- flags --------------------------------------------------------------------------------------------------------------


def flags_in_use(
    engine: Mapping[str, Any], recipes: Iterable[Mapping[str, Any]], name: str, more: Iterable[str]
) -> dict[str, list[Any]]:
    """The flags that this collection passes to an engine, each with the values that it gives."""
    layers = [engine.get("flags", {}), *engine.get("intents", {}).values()]
    layers += [recipe.get("flags", {}).get(name, {}) for recipe in recipes]
    used: dict[str, list[Any]] = {flag: [] for flag in more if flag}
    for layer in layers:
        for flag, value in layer.items():
            used.setdefault(flag, []).append(value)
    return used


def by_any_name(flags: Flags) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Each name of a flag, aliases too -> its own name and entry."""
    return {alias: (name, entry) for name, entry in flags.items() for alias in (name, *entry["aliases"])}


def flag_changes(used: Mapping[str, Sequence[Any]], old: Flags, new: Flags) -> list[str]:
    """A sentence for each change in a flag that is used: gone or renamed, other values, choices, default, deprecated."""
    before, after = by_any_name(old), by_any_name(new)
    sentences = []
    for flag, values in used.items():
        if flag not in after:
            near = difflib.get_close_matches(flag, sorted(set(after) - set(before)), n=1, cutoff=0.6)
            sentences.append(f"{flag} is gone" + (f"; {near[0]} is new" if near else ""))
        else:
            sentences += _entry_changes(flag, values, before.get(flag, ("", {}))[1], after[flag][1])
    return sentences


def _entry_changes(flag: str, values: Sequence[Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    if old.get("values", new["values"]) != new["values"]:
        found.append(f"{flag} takes {new['values']} value(s), before {old['values']}")
    if new.get("deprecated") and not old.get("deprecated"):
        found.append(f"{flag} is deprecated")
    choices, were = new.get("choices"), old.get("choices")
    found += [
        f"{flag} does not accept {value!r} any more, which is used here"
        for value in values
        if choices and isinstance(value, str) and "{" not in value and value not in map(str, choices)
    ]
    if choices and were:
        added, gone = _difference(choices, were), _difference(were, choices)
        found += [f"{flag} accepts {', '.join(added)} too"] if added else []
        found += [f"{flag} accepts {', '.join(gone)} no more"] if gone else []
    elif bool(choices) != bool(were) and old:
        found.append(f"{flag} {'accepts its choices alone' if choices else 'accepts any value'}")
    if "default" in old and "default" in new and old["default"] != new["default"]:
        found.append(f"{flag} is {new['default']!r} by default, before {old['default']!r}")
    return found


def _difference(some: Iterable[Any], others: Iterable[Any]) -> list[str]:
    return sorted(set(map(str, some)) - set(map(str, others)))


# --- forms --------------------------------------------------------------------------------------------------------------


def is_old(rows: Iterable[Row]) -> bool:
    return any(row.state == OLD for row in rows)


def as_document(rows: Sequence[Row], releases: Sequence[Release]) -> dict[str, Any]:
    """The answer for a program."""
    return {
        "schema_version": 1,
        "old": is_old(rows),
        "pins": [asdict(row) for row in rows],
        "engines": [asdict(release) for release in releases],
    }


def as_text(rows: Sequence[Row], releases: Sequence[Release]) -> str:
    """The answer for a person: a table, what is to do first, then what each newer engine changes."""
    order = [OLD, UNKNOWN, HELD, CURRENT]
    cells = [("what", "pinned", "newest", "state", "where")]
    for row in sorted(rows, key=lambda row: (order.index(row.state), row.kind, row.name)):
        cells.append((f"{row.kind} {row.name}", row.pinned or "-", row.newest or "-", row.state, row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    for release in releases:
        lines += ["", *_release_lines(release)]
    return "\n".join(lines) + "\n"


def _release_lines(release: Release) -> list[str]:
    lines = [f"{release.engine} {release.pinned} -> {release.version}"]
    lines += [f"  used here: {sentence}" for sentence in release.used or ["no flag changes"]]
    lines += [f"  new: {', '.join(release.new)}"] if release.new else []
    lines += [f"  gone: {', '.join(release.gone)}"] if release.gone else []
    lines += [f"  not in its sources any more: {phrase}" for phrase in release.missing_phrases]
    lines += [f"  written: {release.file}"] if release.file else []
    return lines
