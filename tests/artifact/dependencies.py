# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies the collections that an artifact depends on, and what those depend on, from the installed `ansible` package.

dependencies.py ARTIFACT FOLDER: they go into FOLDER/ansible_collections.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import ansible_collections


def main(artifact: str, folder: str) -> None:
    """Copies each dependency once."""
    with tarfile.open(artifact) as archive:
        manifest = archive.extractfile("MANIFEST.json")
        assert manifest is not None
        wanted = _dependencies(manifest.read())
    target = Path(folder) / "ansible_collections"
    for name in wanted:  # grows while it is read
        source, place = _shipped(name), target / name.replace(".", "/")
        if not place.exists():
            shutil.copytree(source, place)
            wanted += _dependencies((source / "MANIFEST.json").read_bytes())


def _dependencies(manifest: bytes) -> list[str]:
    return list(json.loads(manifest)["collection_info"]["dependencies"])


def _shipped(name: str) -> Path:
    """The folder of a collection in the `ansible` package."""
    places: Iterable[Path] = (Path(folder) / name.replace(".", "/") for folder in ansible_collections.__path__)
    return next(place for place in places if (place / "MANIFEST.json").exists())


if __name__ == "__main__":
    main(*sys.argv[1:])
