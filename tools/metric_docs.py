#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the figures of a result into the documentation of the module bench_serve, from the rows of the metric table.

What stands between the two markers is replaced, what stands around them is kept.

    tools/metric_docs.py            write what is out of date (a part of `./run fix`)
    tools/metric_docs.py --check    say whether it is out of date, and if so end with status 1
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "playbooks" / "collections"))

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import METRICS, Metric  # noqa: E402

MODULE = ROOT / "plugins" / "modules" / "bench_serve.py"
BEGIN = "        # Made from module_utils/_metric_table.py by `./run fix`; what is written here by hand is lost."
END = "        # End of what is made."
INDENT = " " * 10  # of a figure's keys
WIDTH = 140


def description(meaning: str) -> str:
    """The figure's meaning on one line, or where that is too long as a list of one item over several lines."""
    line = f"{INDENT}description: {meaning}"
    if len(line) <= WIDTH:
        return line
    item = textwrap.fill(
        meaning,
        WIDTH,
        initial_indent=f"{INDENT}  - ",
        subsequent_indent=f"{INDENT}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{INDENT}description:\n{item}"


def entry(metric: Metric) -> str:
    """One figure, as a key of the returned dict."""
    return "\n".join(
        [
            f"        {metric.key}:",
            description(metric.meaning),
            f"{INDENT}type: {metric.type}",
            f"{INDENT}returned: always",
            f"{INDENT}sample: {json.dumps(metric.sample)}",
        ]
    )


def section() -> str:
    """What stands between the markers, markers included: the figures that have a meaning of their own."""
    return "\n".join([BEGIN, *(entry(metric) for metric in METRICS if metric.meaning), END])


def renewed(source: str) -> str:
    """The module's source with the made section in the place of its old one."""
    before, begin, rest = source.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the module lacks one of the markers {BEGIN.strip()!r} and {END.strip()!r}")
    return before + section() + after


def main(arguments: list[str] | None = None, module: Path = MODULE) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; end with status 1 where it is out of date")
    check = parser.parse_args(arguments).check
    source = module.read_text(encoding="utf-8")
    wanted = renewed(source)
    if wanted == source:
        return 0
    print(f"{module.name}: " + ("out of date, type ./run fix" if check else "written"))
    if not check:
        module.write_text(wanted, encoding="utf-8")
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
