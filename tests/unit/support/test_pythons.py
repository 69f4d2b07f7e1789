# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import pythons

OWN = "{}.{}".format(*sys.version_info)


def program(path: Path, says: str) -> Path:
    """A program that answers as a Python of that version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with nothing on PATH and no pyenv."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_a_program_on_path(machine):
    found = program(machine / "bin" / "python3.12", "echo 3.12")
    assert pythons.find_python("3.12") == str(found)


@pytest.mark.parametrize("says", ["exit 127", "echo 3.11"], ids=["a shim without a version", "another version"])
def test_what_does_not_answer_is_no_python(machine, says):
    program(machine / "bin" / "python3.12", says)
    assert pythons.find_python("3.12") is None
    kept = program(machine / "pyenv" / "versions" / "3.12.1" / "bin" / "python", "echo 3.12")
    assert pythons.find_python("3.12") == str(kept)


def test_the_newest_of_pyenv_counts_numbers_not_letters(machine):
    for patch in ("9", "13"):
        program(machine / "pyenv" / "versions" / f"3.10.{patch}" / "bin" / "python", "echo 3.10")
    assert "/3.10.13/" in pythons.find_python("3.10")


def test_this_python_is_what_it_says():
    assert pythons._says(sys.executable) == OWN
