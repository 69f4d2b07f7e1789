# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders that a module run as root makes in the home of the user who logs in. Private to this collection."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """Makes a folder with its missing parents; root gives each of them to the owner of the nearest folder that was there.

    So a user's state and cache folders stay the user's, whichever module comes first.
    """
    missing = []
    there = path
    while not there.exists():
        missing.append(there)
        there = there.parent
    owner = there.stat()
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(folder, owner.st_uid, owner.st_gid)
