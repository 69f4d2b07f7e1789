# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hub's cache folder as huggingface_hub lays it out, and which files of a model it has.

A model counts as complete when the list of its files, written after they were checked, exists and each file has its size.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .._files import read_json, write_json

_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_hub_name(model: str) -> bool:
    """Whether this names a model on the hub (`owner/name`) and no folder."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model) is not None


def repository(cache_dir: Path, model: str) -> Path:
    """The model's folder in the cache."""
    return cache_dir / "hub" / ("models--" + model.replace("/", "--"))


def commit_of(folder: Path, revision: str) -> str | None:
    """The commit that a revision meant when it was fetched; None when it was not."""
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        return (folder / "refs" / revision).read_text().strip()
    except (OSError, ValueError):  # the second for bytes that are no text
        return None


def complete_commit(cache_dir: Path, model: str, revision: str) -> str | None:
    """The commit of a revision whose files are all in the cache; None when a file is missing."""
    folder = repository(cache_dir, model)
    commit = commit_of(folder, revision)
    if commit is None:
        return None
    try:
        files = read_json(_list_path(folder, commit))["files"]
        complete = all((folder / "snapshots" / commit / file["name"]).stat().st_size == file["size"] for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return commit if complete and files else None


def write_list(cache_dir: Path, model: str, commit: str, files: list[dict[str, Any]]) -> None:
    """Writes the list of checked files, by which a later run sees that they are complete."""
    path = _list_path(repository(cache_dir, model), commit)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The umask decides who may read it, as with the weights: users may share the cache.
    write_json(path, {"commit": commit, "files": files}, indent=2, mode=0o666)


def files_of(cache_dir: Path, model: str, commit: str) -> list[dict[str, Any]]:
    """The files of a snapshot that came by another way than the hub."""
    folder = repository(cache_dir, model) / "snapshots" / commit
    return [
        {"name": str(path.relative_to(folder)), "size": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _list_path(folder: Path, commit: str) -> Path:
    return folder / ".llmfleet" / f"{commit}.json"
