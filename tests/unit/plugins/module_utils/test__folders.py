from __future__ import annotations

import os

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._folders import make_folder

OTHER = 12345


def test_a_folder_with_its_parents_and_again(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to another user, which takes root")
def test_root_gives_each_to_the_owner_of_the_folder_above(tmp_path):
    os.chown(tmp_path, OTHER, OTHER)
    (tmp_path / "roots").mkdir()
    make_folder(tmp_path / ".local" / "state" / "llmfleet")
    make_folder(tmp_path / "roots" / "below")
    owners = {str(path.relative_to(tmp_path)): path.stat().st_uid for path in tmp_path.rglob("*")}
    users = {".local": OTHER, ".local/state": OTHER, ".local/state/llmfleet": OTHER}
    assert owners == {**users, "roots": 0, "roots/below": 0}
