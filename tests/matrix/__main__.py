# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`./run test-matrix [CORE ...]`: the rows of the table, or those named (`2.16 2.21`), or with --ends those that CI runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.pythons import find_python

from . import table
from .checks import CHECKS, Runner
from .environment import FOLDER, make

AT_ONCE = 2
HEADINGS = ("ansible-core", "Python", "community.docker", "result", "seconds")


@dataclass
class Result:
    """What became of a row; `seconds` by check, with the environment's making."""

    choice: table.Choice
    faults: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def word(self) -> str:
        if self.choice.program is None:
            return f"skipped: no {table.one_of(self.choice.row.pythons)} here"
        return "failed" if self.faults else "passed"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the printed table."""
        row = self.choice.row
        seconds = str(round(sum(self.seconds.values())))
        return (row.core, self.choice.version or "-", row.community_docker, self.word, seconds)


def main(argv: Sequence[str]) -> int:
    """Runs what is asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="./run test-matrix", description=__doc__)
    parser.add_argument("core", nargs="*", help="a series of ansible-core, such as 2.16")
    parser.add_argument("--ends", action="store_true", help="the rows that CI runs")
    asked = parser.parse_args(argv)
    rows, packages = table.read(table.TABLE.read_text())
    try:
        choices = table.choose(rows, asked.core, asked.ends, find_python)
    except table.Refused as refusal:
        sys.exit(f"error: {refusal}")
    with ThreadPoolExecutor(AT_ONCE) as pool:  # half of a row's time is waiting
        results = list(pool.map(lambda choice: run(choice, packages), choices))
    write(FOLDER / "result.json", results)
    print("\n".join(lines([HEADINGS, *(result.cells for result in results)])))
    return 1 if any(result.faults for result in results) else 0


def run(choice: table.Choice, packages: Sequence[str]) -> Result:
    """Runs every check of one row, and prints faults as they come."""
    result = Result(choice)
    if choice.program is None:
        return result
    say(choice, f"on Python {choice.version}")
    started = time.monotonic()
    try:
        runner = Runner(make(choice, packages))
    except table.Refused as refusal:
        result.faults.append(str(refusal))
        say(choice, str(refusal))
        return result
    result.seconds["environment"] = time.monotonic() - started
    for name, check in CHECKS:
        started = time.monotonic()
        faults = list(check(runner))
        result.seconds[name] = time.monotonic() - started
        say(choice, f"{name}: {'failed' if faults else 'ok'}, {result.seconds[name]:.0f} s", *faults)
        result.faults += faults
    return result


def say(choice: table.Choice, line: str, *details: str) -> None:
    """Prints a line of a row, and details below it; in one piece, for rows are run side by side."""
    print("\n      ".join([f"==> ansible-core {choice.row.core}: {line}", *details]), flush=True)


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as the lines of a table."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def write(path: Path, results: Sequence[Result]) -> None:
    """The table as JSON, with the faults and the seconds of each check."""
    document = [
        {**dict(zip(HEADINGS, result.cells, strict=True)), "faults": result.faults, "seconds_by_check": result.seconds}
        for result in results
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
