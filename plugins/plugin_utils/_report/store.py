# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a report to disk so that a reader sees the whole of it or nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError


def write(directory: Path, name: str, files: dict[str, str]) -> Path:
    """Write `files` (name -> text) to a new folder `directory/name`, point `directory/latest` to it, return the folder.

    The folder appears complete or not at all; a name that is taken gets `-2`, `-3` ...
    Raises UserError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
        try:
            for file_name, text in files.items():
                (scratch / file_name).write_text(text, encoding="utf-8")
            scratch.chmod(0o755)
            folder = _rename(scratch, directory, name)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        _point(directory / "latest", folder.name)
    except OSError as error:
        raise UserError(
            Problem(
                f"cannot write the report under {directory}: {error.strerror or error}",
                remedy="make the folder writable, or choose another one with report_dir",
            )
        ) from error
    return folder


def read(path: Path) -> str:
    """The text of a file that may not exist yet. Raises UserError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise UserError(_history_problem("read the history in", path, error)) from error


def append(path: Path, line: str) -> None:
    """Add a line to a file in one write, on a line of its own even after a crash that cut the last one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            cut = file.read(1) not in (b"", b"\n")
            file.write((b"\n" if cut else b"") + line.encode() + b"\n")
    except OSError as error:
        raise UserError(_history_problem("add this run to the history in", path, error)) from error


def _history_problem(attempt: str, path: Path, error: OSError) -> Problem:
    return Problem(
        f"cannot {attempt} {path}: {error.strerror or error}", remedy="choose another file with report_history_file"
    )


def _rename(scratch: Path, directory: Path, name: str) -> Path:
    """Give `scratch` its final name; `rename` onto a folder that holds files fails, so no report replaces another."""
    for attempt in range(1, 1000):
        folder = directory / (name if attempt == 1 else f"{name}-{attempt}")
        with contextlib.suppress(OSError):
            scratch.rename(folder)
            return folder
        if not folder.exists():
            break
    scratch.rename(directory / name)
    return directory / name


def _point(link: Path, target: str) -> None:
    """Make `link` a relative symbolic link to `target`, in one step, so that a reader always finds a report."""
    fresh = link.with_name(f".{link.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
