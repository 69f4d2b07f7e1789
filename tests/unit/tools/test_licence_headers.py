# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess

import pytest

from tools.licence_headers import HEADER, headed, main

GNU = "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
DOCSTRING = '"""What it does."""\n'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (DOCSTRING, f"{HEADER}\n{DOCSTRING}"),
        (f"#!/usr/bin/python\n{DOCSTRING}", f"#!/usr/bin/python\n{HEADER}\n{DOCSTRING}"),
        ("#!/bin/sh\n# What it does.\nset -eu\n", f"#!/bin/sh\n{HEADER}\n# What it does.\nset -eu\n"),
        (f"# Copyright (c) The llmfleet authors\n{GNU}{DOCSTRING}", f"{HEADER}\n{DOCSTRING}"),
        (f"# Copyright: (c) 2026, llmfleet contributors\n{GNU}\n{DOCSTRING}", f"{HEADER}\n{DOCSTRING}"),
        (f"# SPDX-License-Identifier: MIT\n\n\n{DOCSTRING}", f"{HEADER}\n{DOCSTRING}"),
    ],
    ids=["none", "shebang", "shell", "without year", "other form", "other licence"],
)
def test_a_file_gets_one_header(text, wanted):
    assert headed(text) == wanted
    assert headed(wanted) == wanted


def test_every_program_of_this_checkout_has_it():
    assert main(["--check"]) == 0, "type ./run fix, or python tools/licence_headers.py"


def test_a_later_mention_of_the_licence_is_no_header():
    text = f'{HEADER}\nTEXT = """\n# Copyright (c) another author\n"""\n'
    assert headed(text) == text


@pytest.fixture
def checkout(tmp_path):
    """A checkout of git with one file of each kind."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    for name, text in {
        ".gitignore": "/ignored.py\n",
        "a.py": DOCSTRING,
        "b.sh": "set -eu\n",
        "program": f"#!/usr/bin/env python3\n{DOCSTRING}",
        "empty.py": "",
        "data.yml": "---\na: 1\n",
        "notes": "# Copyright of nothing\n",
        "ignored.py": DOCSTRING,
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "link.py").symlink_to("a.py")
    return tmp_path


def test_programs_get_it_and_nothing_else_is_touched(checkout, capsys):
    before = {path.name: path.read_bytes() for path in checkout.iterdir() if path.is_file()}
    assert main(["--check"], checkout) == 1
    assert {path.name: path.read_bytes() for path in checkout.iterdir() if path.is_file()} == before
    assert main([], checkout) == 0
    changed = {name for name, content in before.items() if (checkout / name).read_bytes() != content}
    assert changed == {"a.py", "b.sh", "program", "link.py"}  # the link shows what it points to
    assert (checkout / "link.py").is_symlink()
    capsys.readouterr()
    assert main(["--check"], checkout) == 0
    assert not capsys.readouterr().out
