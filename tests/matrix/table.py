# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the table of versions; chooses rows and Pythons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomllib

TABLE = Path(__file__).parent / "table.toml"


class Refused(Exception):
    """What was asked for cannot be run here; the text says why."""


@dataclass(frozen=True)
class Row:
    """One version of ansible-core; the columns are explained in the table."""

    core: str
    pythons: tuple[str, ...]
    ansible: str
    community_docker: str
    ci: bool = False

    @property
    def name(self) -> str:
        """The series, such as `2.16`."""
        return ".".join(self.core.split(".")[:2])


@dataclass(frozen=True)
class Choice:
    """A row and the Python that it runs on, None where this machine has none that the row allows."""

    row: Row
    version: str | None
    program: str | None


def read(text: str) -> tuple[list[Row], list[str]]:
    """The rows, and the packages that every environment has beside ansible-core."""
    document = tomllib.loads(text)
    rows = [Row(**{**row, "pythons": tuple(row["pythons"])}) for row in document["row"]]
    return rows, document["environment"]["packages"]


def choose(rows: Sequence[Row], names: Sequence[str], ends: bool, find: Callable[[str], str | None]) -> list[Choice]:
    """The rows of these names, those of CI, or all of them, each with the first of its Pythons that is here.

    Raises Refused for a name that the table does not have, and for one whose Pythons are not here.
    """
    known = {row.name: row for row in rows}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(f"the matrix has no ansible-core {unknown[0]}; it has {', '.join(known)}")
    wanted = [known[name] for name in names] or [row for row in rows if row.ci or not ends]
    choices = [_with_python(row, find) for row in wanted]
    missing = [choice.row for choice in choices if choice.program is None]
    if names and missing:
        raise Refused(f"found no Python for ansible-core {missing[0].name}; install {one_of(missing[0].pythons)}")
    return choices


def one_of(pythons: Sequence[str]) -> str:
    """Words for a list of Pythons."""
    return "Python " + " or ".join(sorted(pythons, key=lambda version: int(version.split(".")[1])))


def _with_python(row: Row, find: Callable[[str], str | None]) -> Choice:
    found = ((version, find(version)) for version in row.pythons)
    version, program = next(((version, program) for version, program in found if program), (None, None))
    return Choice(row, version, program)
