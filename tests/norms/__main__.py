# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`./run sanity [CORE ...]`: Ansible's sanity tests on the cores of tests/matrix, or those named (`2.16 2.20`), and galaxy-importer."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.matrix import table
from tests.matrix.__main__ import lines
from tests.matrix.environment import ROOT, make
from tests.support.pythons import find_python

from . import artifact, importer
from .sanity import FAILED, NOT_RUN, PASSED, Outcome, Sanity

SIGNS = {PASSED: "ok", FAILED: "FAILED", NOT_RUN: "not run"}


@dataclass(frozen=True)
class Column:
    """What was run under one heading, such as a core."""

    heading: str
    outcomes: Sequence[Outcome]
    seconds: float


def main(argv: Sequence[str]) -> int:
    """Runs what is asked for; 1 where something failed."""
    parser = argparse.ArgumentParser(prog="./run sanity", description=__doc__)
    parser.add_argument("core", nargs="*", help="a series of ansible-core, such as 2.16")
    asked = parser.parse_args(argv)
    rows, packages = table.read(table.TABLE.read_text())
    try:
        choices = table.choose(rows, asked.core, False, find_python)
        columns = [run(choice, packages) for choice in choices if choice.program]
        columns.append(run_importer())
    except table.Refused as refusal:
        sys.exit(f"error: {refusal}")
    for choice in choices:
        if choice.program is None:
            print(f"ansible-core {choice.row.name}: not run: no {table.one_of(choice.row.pythons)} here")
    print("\n".join(summary(columns)))
    return int(any(outcome.word == FAILED for column in columns for outcome in column.outcomes))


def run(choice: table.Choice, packages: Sequence[str]) -> Column:
    """Ansible's sanity tests of one core."""
    started = time.monotonic()
    print(f"==> ansible-core {choice.row.core} on Python {choice.version}", flush=True)
    environment = make(choice, packages)
    folder = environment.scratch / "artifact"
    collection = artifact.install(environment, artifact.build(environment, ROOT, folder), folder)
    outcomes = list(told(Sanity(environment, collection, find_python).outcomes()))
    return Column(choice.row.name, outcomes, time.monotonic() - started)


def run_importer() -> Column:
    """galaxy-importer, on an artifact that its own ansible-core builds."""
    started = time.monotonic()
    program = find_python(importer.PYTHON)
    if program is None:
        return Column(
            "importer",
            [Outcome(f"galaxy-importer {importer.RELEASE}", NOT_RUN, (f"no Python {importer.PYTHON} here",))],
            0,
        )
    print(f"==> galaxy-importer {importer.RELEASE}", flush=True)
    environment = importer.make(program)
    built = artifact.build(environment, ROOT, environment.scratch / "artifact")
    outcomes = list(told([importer.outcome(environment, built)]))
    return Column("importer", outcomes, time.monotonic() - started)


def told(outcomes: Iterator[Outcome] | Sequence[Outcome]) -> Iterator[Outcome]:
    """The outcomes, each printed as it comes with what it says."""
    for outcome in outcomes:
        print("\n      ".join([f"    {outcome.name}: {outcome.word}", *outcome.said]), flush=True)
        yield outcome


def summary(columns: Sequence[Column]) -> list[str]:
    """A table: a line for each test, a column for each core; empty where a core does not have the test."""
    names = sorted({outcome.name for column in columns for outcome in column.outcomes})
    signs = [{outcome.name: SIGNS[outcome.word] for outcome in column.outcomes} for column in columns]
    body = [(name, *(column.get(name, "") for column in signs)) for name in names]
    seconds = ("seconds", *(str(round(column.seconds)) for column in columns))
    return lines([("test", *(column.heading for column in columns)), *body, seconds])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
