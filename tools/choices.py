#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the names of engines and of benchmark clients, each a file of its own, where a list of them must be written out.

Ansible ships to a host what is imported by name, and documentation and argument specs are read as text, so these lists cannot be computed
where they stand. Names that are listed keep their order, new ones follow.

    tools/choices.py            write what is out of date (a part of `./run fix`)
    tools/choices.py --check    say what is out of date, and if so end with status 1
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[a-z]\w*")


class List(NamedTuple):
    """A list that is written out: its file, a pattern whose group is the list, and an entry of it with `{}` for the name."""

    path: str
    pattern: str
    entry: str = "{}"
    in_order_of_letters: bool = False


class Kind(NamedTuple):
    """What has a file each, and where its names are listed."""

    folder: str
    but: tuple[str, ...]  # files of the folder that are none of it
    lists: tuple[List, ...]


_IMPORT = r"^from \. import ([\w, ]+)$"
KINDS = (
    Kind(
        "plugins/module_utils/_engines",
        ("__init__", "table"),
        (
            List("plugins/module_utils/_engines/table.py", _IMPORT, in_order_of_letters=True),
            List("plugins/module_utils/_engines/table.py", r"for entry in \(([^)]*)\)", "{}.ENGINE"),
            List(
                "roles/inference_server/meta/argument_specs.yml",
                r"^      inference_server_backend:\n(?:        .*\n)*?        choices: \[(.*)\]$",
            ),
        ),
    ),
    Kind(
        "plugins/module_utils/_bench/clients",
        ("__init__", "base", "table"),
        (
            List("plugins/module_utils/_bench/clients/table.py", _IMPORT, in_order_of_letters=True),
            List("plugins/module_utils/_bench/clients/table.py", r" = \{([^}]*)\}$", '"{0}": {0}.make'),
            List(
                "plugins/module_utils/_bench/options.py", r'"client": \{"type": "str", "choices": \[([^\]]*)\]', '"{}"'
            ),
            List("plugins/modules/bench_serve.py", r"^  client:\n(?:    .*\n)*?    choices: \[(.*)\]$"),
            List(
                "roles/benchmark/meta/argument_specs.yml",
                r"^      benchmark_client:\n(?:        .*\n)*?        choices: \[(.*)\]$",
            ),
        ),
    ),
)


def listed(old: str, names: list[str], entry: str, in_order_of_letters: bool) -> str:
    """The list with exactly these names: those that it had in their order, new ones after them; untouched where they are right."""
    had = [name for part in old.split(",") for name in NAME.findall(part)[:1]]
    kept = [name for name in had if name in names]
    ordered = sorted(names) if in_order_of_letters else [*kept, *(name for name in names if name not in kept)]
    return (
        old if ordered == had else ", ".join(entry.format(name) for name in ordered)
    )  # ruff may have broken its lines


def renewed(text: str, place: List, names: list[str]) -> str:
    """A file's text with the list as it must be. Raises ValueError where the file has no such list, or more than one."""
    lists = list(re.finditer(place.pattern, text, re.MULTILINE))
    if len(lists) != 1:
        raise ValueError(f"{place.path} has {len(lists)} lists that look like {place.pattern!r}, expected one")
    start, end = lists[0].span(1)
    return text[:start] + listed(lists[0][1], names, place.entry, place.in_order_of_letters) + text[end:]


def outdated(root: Path = ROOT) -> dict[Path, str]:
    """The files that are out of date, and what they must hold."""
    texts: dict[Path, str] = {}
    for kind in KINDS:
        names = sorted(path.stem for path in (root / kind.folder).glob("*.py") if path.stem not in kind.but)
        for place in kind.lists:
            path = root / place.path
            texts[path] = renewed(texts.get(path) or path.read_text(encoding="utf-8"), place, names)
    return {path: text for path, text in texts.items() if text != path.read_text(encoding="utf-8")}


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; end with status 1 where a list is out of date"
    )
    check = parser.parse_args(arguments).check
    old = outdated(root)
    for path, text in old.items():
        print(f"{path.relative_to(root)}: " + ("out of date, type ./run fix" if check else "written"))
        if not check:
            path.write_text(text, encoding="utf-8")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
