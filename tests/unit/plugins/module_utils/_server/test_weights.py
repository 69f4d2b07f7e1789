# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server import weights as cache

MODEL = "owner/name"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "weights/part-1.safetensors": b"weights"}


@pytest.fixture
def folder(tmp_path):
    """A cache with one complete model."""
    model = cache.repository(tmp_path, MODEL)
    for name, content in FILES.items():
        path = model / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT + "\n")
    cache.write_list(tmp_path, MODEL, COMMIT, cache.files_of(tmp_path, MODEL, COMMIT))
    return tmp_path


@pytest.mark.parametrize(
    ("model", "on_the_hub"),
    [
        ("LiquidAI/LFM2.5-8B-A1B", True),
        ("a/b_c.d", True),
        ("gpt2", False),
        ("/models/LFM2.5-8B-A1B", False),
        ("./model", False),
        ("../model", False),
        ("a/b/c", False),
        ("a/b c", False),
        ("", False),
    ],
)
def test_a_name_on_the_hub_is_no_folder(model, on_the_hub):
    assert cache.is_hub_name(model) is on_the_hub


def test_the_folder_is_the_hubs_own(tmp_path):
    assert cache.repository(tmp_path, MODEL) == tmp_path / "hub" / "models--owner--name"


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_a_complete_model_is_found_by_branch_and_by_commit(folder, revision):
    assert cache.complete_commit(folder, MODEL, revision) == COMMIT


def test_a_branch_of_other_bytes_is_none(folder):
    (cache.repository(folder, MODEL) / "refs" / "main").write_bytes(b"\xff")
    assert cache.complete_commit(folder, MODEL, "main") is None


def remove_a_file(model):
    (model / "snapshots" / COMMIT / "config.json").unlink()


def cut_a_file(model):
    (model / "snapshots" / COMMIT / "weights/part-1.safetensors").write_bytes(b"weig")


def remove_the_list(model):
    (model / ".llmfleet" / f"{COMMIT}.json").unlink()


def spoil_the_list(model):
    (model / ".llmfleet" / f"{COMMIT}.json").write_text('{"files": [{"name": "config.json"}]}')


def empty_the_list(model):
    (model / ".llmfleet" / f"{COMMIT}.json").write_text('{"files": []}')


def move_the_branch(model):
    (model / "refs" / "main").write_text(COMMIT[::-1])


@pytest.mark.parametrize(
    "harm", [remove_a_file, cut_a_file, remove_the_list, spoil_the_list, empty_the_list, move_the_branch]
)
def test_an_incomplete_model_is_not_found(folder, harm):
    harm(cache.repository(folder, MODEL))
    assert cache.complete_commit(folder, MODEL, "main") is None


def test_a_revision_that_was_never_fetched_is_not_found(folder):
    assert cache.complete_commit(folder, MODEL, "v2") is None
    assert cache.complete_commit(folder, "another/name", "main") is None


def test_a_list_replaces_the_one_before_as_a_whole_and_all_may_read_it(folder):
    path = cache.repository(folder, MODEL) / ".llmfleet" / f"{COMMIT}.json"
    before = path.read_text()
    (folder / "as a reader has it open").hardlink_to(path)
    old_umask = os.umask(0o022)
    try:
        cache.write_list(folder, MODEL, COMMIT, [])
    finally:
        os.umask(old_umask)
    assert (folder / "as a reader has it open").read_text() == before
    assert json.loads(path.read_text()) == {"commit": COMMIT, "files": []}
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_files_are_listed_with_their_sizes(folder):
    assert cache.files_of(folder, MODEL, COMMIT) == [
        {"name": name, "size": len(content)} for name, content in FILES.items()
    ]
