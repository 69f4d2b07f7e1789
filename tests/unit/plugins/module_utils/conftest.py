# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host made of a folder: files under its root, and programs that print what a test says."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System

from tests.support import small_disk as support


class FakeHost(System):
    """A System over a temporary folder, with helpers that put things there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(root=str(folder / "root"), folders=[str(folder / "bin"), "/usr/bin", "/bin"])
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.root.mkdir()

    def file(self, name: str, text: str = "") -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def symlink(self, name: str, target: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def program_says(self, name: str, text: str = "", rc: int = 0) -> None:
        answer = self.bin / (name + ".answer")
        answer.write_text(text)
        script = self.bin / name
        script.write_text(f"#!/bin/sh\ncat '{answer}'\nexit {rc}\n")
        script.chmod(0o755)


@pytest.fixture
def fake_host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one MiB."""
    with support.small_disk(tmp_path / "small") as folder:
        if folder is None:
            pytest.skip("mounts a file system, which takes root")
        yield folder
