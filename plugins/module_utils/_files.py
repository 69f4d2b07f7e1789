# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and folders of the host: JSON that a reader sees whole or not at all, ends of logs."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 16 * 1024 * 1024  # far more than any record of this collection
_TAIL_BYTES = 64 * 1024


def is_disk_full(error: OSError) -> bool:
    """Whether it says that there is no more space, on the disk or for the user."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_json(
    path: Path, document: Any, *, indent: int = 1, sort_keys: bool = False, mode: int = 0o600, in_room: bool = False
) -> None:
    """Writes `document` beside `path` and renames it into place. By default its owner alone may read it.

    Missing folders are made for the owner alone. `in_room`: into the space that `hold_room` took for it, where it did. Raises
    OSError, and then leaves what was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):  # of two jobs that write one file, the other may have taken it
        if in_room:
            _room(path).replace(fresh)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=indent, sort_keys=sort_keys)
            stream.write("\n")
            stream.truncate()
        fresh.replace(path)
    except BaseException:
        fresh.unlink()
        raise


def hold_room(path: Path, size_bytes: int) -> None:
    """Takes space beside `path` for a document of that size, so that a disk that fills up meanwhile cannot lose it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(_room(path), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError:
        free_room(path)
        raise
    finally:
        os.close(descriptor)


def check_room(folder: Path, size_bytes: int) -> None:
    """Raises OSError where the disk of a folder has less space left: why something else could not write there."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def free_room(path: Path) -> None:
    """Gives the space back that was not used."""
    with suppress(FileNotFoundError):
        _room(path).unlink()


def _room(path: Path) -> Path:
    return path.with_name(f".{path.name}.room")


def read_json(path: Path, at_most_bytes: int | None = MAX_JSON_BYTES) -> Any:
    """The document in the file; None when there is no file, it is not JSON, nested too deeply, or longer than `at_most_bytes`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(-1 if at_most_bytes is None else at_most_bytes + 1)
        if at_most_bytes is not None and len(content) > at_most_bytes:
            return None
        return json.loads(content)
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def log_tail(path: Path, lines: int = 20, at_most_bytes: int = _TAIL_BYTES) -> list[str]:
    """The last lines of a log, by default at most 64 KiB of it; empty without a log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - at_most_bytes))
            return log.read(at_most_bytes).decode("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def log_head(path: Path, at_most_bytes: int) -> list[str]:
    """The first lines of a log; empty without a log."""
    try:
        with path.open("rb") as log:
            return log.read(at_most_bytes).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def stat_fields(text: str | None) -> list[str]:
    """The fields of `/proc/PID/stat` after the command's name, which may hold spaces and parentheses; empty for no text."""
    return (text or "").rpartition(")")[2].split()
