# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds the artifact, and installs it where ansible-test looks for a collection: in a git repository of that path."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.matrix.environment import Environment

_GIT = ("git", "-c", "user.name=llmfleet", "-c", "user.email=llmfleet@localhost", "-c", "commit.gpgsign=false")


def build(environment: Environment, root: Path, folder: Path) -> Path:
    """The artifact of the collection in `root`, in an emptied folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    program = str(environment.programs / "ansible-galaxy")
    _run(environment, root, program, "collection", "build", "--output-path", str(folder))
    return next(folder.glob("*.tar.gz"))


def install(environment: Environment, artifact: Path, folder: Path) -> Path:
    """The installed collection, committed: ansible-test looks at what git knows."""
    program = str(environment.programs / "ansible-galaxy")
    _run(
        environment,
        folder,
        program,
        "collection",
        "install",
        "--offline",
        "--no-deps",
        "-p",
        str(folder),
        str(artifact),
    )
    collection = folder / "ansible_collections" / "llmfleet" / "serving"
    for command in (("init", "--quiet"), ("add", "--all", "--force"), ("commit", "--quiet", "--message", "artifact")):
        _run(environment, collection, *_GIT, *command)
    return collection


def _run(environment: Environment, folder: Path, *command: str) -> None:
    # Without the checkout among the collections: there the one that is to be installed is already.
    variables = {**environment.variables(os.environ), "ANSIBLE_COLLECTIONS_PATH": str(folder)}
    subprocess.run(command, cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
