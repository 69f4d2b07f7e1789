# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge between the probes and a host: files, folders and programs, each of which may be missing."""

# By subprocess: run_command has no limit of time, and nvidia-smi may hang.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Sequence

# Programs of the driver and of Docker live outside a restricted PATH (sudo, cron, cloud images) often enough.
PROGRAM_FOLDERS = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/nvidia/bin",
)


class Output(NamedTuple):
    """Exit status and output of a program. `rc` is None when it was still running at its time limit."""

    rc: int | None
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both streams, as a person would have seen them."""
        return "\n".join(part.strip() for part in (self.stdout, self.stderr) if part.strip())


class System:
    """Reads one host. Nothing here raises because something is absent: it returns None or an empty list.

    `root` stands before every absolute path and `folders` is searched for programs, so that a test can hand in a
    host of its own.
    """

    def __init__(self, root: str = "/", folders: Sequence[str] | None = None) -> None:
        self.root = Path(root)
        self.folders = list(folders) if folders is not None else [*os.get_exec_path(), *PROGRAM_FOLDERS]

    def path(self, name: str) -> Path:
        """An absolute path of the host, as this process reaches it."""
        return self.root / name.lstrip("/")

    def read(self, name: str, limit: int = -1) -> str | None:
        """A file's text, at most `limit` characters of it, or None when it is absent or unreadable."""
        try:
            with self.path(name).open(encoding="utf-8", errors="replace") as file:
                return file.read(limit)
        except OSError:
            return None

    def read_bytes(self, name: str) -> bytes | None:
        """A file's content, or None when it is absent or unreadable."""
        try:
            return self.path(name).read_bytes()
        except OSError:
            return None

    def listing(self, name: str) -> list[str]:
        """Names in a folder, sorted; empty when it is absent or unreadable."""
        try:
            return sorted(entry.name for entry in self.path(name).iterdir())
        except OSError:
            return []

    def link(self, name: str) -> str | None:
        """What a symbolic link points to, or None."""
        try:
            return os.readlink(str(self.path(name)))
        except OSError:
            return None

    def program(self, name: str) -> str | None:
        """The full path of a program, or None."""
        return shutil.which(name, path=os.pathsep.join(self.folders))

    def run(self, argv: Sequence[str], timeout_s: float = 20.0) -> Output | None:
        """Run a program without a shell. None when there is no such program.

        A program that hangs in the kernel (nvidia-smi on a GPU that fell off the bus does) cannot be reaped, so at
        the limit it is killed and left, not waited for.
        """
        program = self.program(argv[0])
        if program is None:
            return None
        environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C"}
        try:
            process = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            return Output(126, "", str(error))
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return Output(None, "", f"no answer from {argv[0]} within {timeout_s:g} s")
        return Output(process.returncode, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"))
