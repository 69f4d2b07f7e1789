#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives every Python and shell file of the project the same licence header, below its shebang line.

Older forms of the header are replaced; empty files (`__init__.py`) and data, YAML and Markdown among them, have none: for those the file
LICENSE speaks.

    tools/licence_headers.py            write what is out of date (a part of `./run fix`)
    tools/licence_headers.py --check    name what is out of date and end with status 1
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Ansible's own check of modules (validate-modules) looks for the second line, other tools for the third.
HEADER = """\
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
OLDER = re.compile(r"(# (Copyright\b|GNU General Public License\b|SPDX-License-Identifier:).*\n|\n)*")
SHEBANG = re.compile(r"#!.*\n")
INTERPRETERS = re.compile(rb"#!.*\b(python[\d.]*|sh|bash)\b")


def headed(text: str) -> str:
    """The file's text with the header in its place: below the shebang line, an empty line after it."""
    shebang = SHEBANG.match(text)
    first = shebang[0] if shebang else ""
    rest = text[len(first) :]
    older = OLDER.match(rest)
    return first + HEADER + "\n" + rest[older.end() if older else 0 :]


def is_program(path: Path) -> bool:
    """Whether the file is Python or shell, by its suffix or its shebang line, and not empty."""
    if path.is_symlink() or not path.is_file() or not path.stat().st_size:
        return False
    if path.suffix in (".py", ".sh"):
        return True
    with path.open("rb") as file:
        return not path.suffix and bool(INTERPRETERS.match(file.readline()))


def files_of(checkout: Path) -> list[Path]:
    """The files of a git checkout that git does not ignore."""
    command = ["git", "-C", str(checkout), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [checkout / name for name in names.split("\0") if name]


def outdated(checkout: Path) -> Iterator[tuple[Path, str]]:
    """Each program whose header is missing or of another form, with the text that it should have."""
    for path in filter(is_program, files_of(checkout)):
        text = path.read_text(encoding="utf-8")
        wanted = headed(text)
        if wanted != text:
            yield path, wanted


def main(arguments: list[str] | None = None, checkout: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; end with status 1 where a header is missing"
    )
    check = parser.parse_args(arguments).check
    changed = list(outdated(checkout))
    for path, wanted in changed:
        print(
            f"{path.relative_to(checkout)}: "
            + ("no licence header, type ./run fix" if check else "licence header written")
        )
        if not check:
            path.write_text(wanted, encoding="utf-8")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
