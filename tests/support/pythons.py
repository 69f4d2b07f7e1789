# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the Pythons of this machine: on PATH, among pyenv's and among uv's. Needs nothing beside the standard library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

_WHICH = "import sys; print('%d.%d' % sys.version_info[:2])"


def find_python(version: str) -> str | None:
    """The program of a Python such as `3.12` that runs and has that version, None where there is none."""
    candidates = [shutil.which(f"python{version}"), *_of_pyenv(version), _of_uv(version)]
    return next((str(path) for path in candidates if path and _says(str(path)) == version), None)


def newest_first(folders: list[Path]) -> list[Path]:
    """Folders whose names are versions, the newest first."""
    return sorted(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.name)], reverse=True)


def _of_pyenv(version: str) -> list[Path]:
    """pyenv's own programs: its `pythonX.Y` on PATH runs only where that version has been chosen."""
    root = os.environ.get("PYENV_ROOT") or _output("pyenv", "root") or str(Path.home() / ".pyenv")
    if not os.access(root, os.R_OK | os.X_OK):  # not there, or another user's, whose variable outlived `su`
        return []
    return [folder / "bin" / "python" for folder in newest_first([*Path(root).glob(f"versions/{version}.*")])]


def _of_uv(version: str) -> str:
    return _output("uv", "python", "find", "--no-python-downloads", version)


def _says(python: str) -> str:
    return _output(python, "-c", _WHICH)


def _output(*command: str) -> str:
    """What a program prints, nothing where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
