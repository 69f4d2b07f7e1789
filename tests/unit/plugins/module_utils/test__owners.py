# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root in another user's folders; with a whole module in tests/integration/test_model_cache.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._owners import (
    Owner,
    as_owner,
    open_as_owner,
    owner_of,
    root_alone_decides,
)

USER = 12345
root = pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to another user, which takes root")


def give(path: Path, make: str = "folder", target: str | Path = "") -> Path:
    """A folder or a link of the user."""
    path.symlink_to(target) if make == "link" else path.mkdir()
    os.chown(path, USER, USER, follow_symlinks=False)
    return path


@root
def test_the_first_user_on_the_way_who_is_not_root_is_the_owner(tmp_path: Path) -> None:
    home = give(tmp_path / "home")
    (home / "roots").mkdir()
    assert owner_of(home / "roots" / "not" / "there") == Owner(USER, USER, None, "/")
    assert owner_of(tmp_path / "not" / "there") is None


@root
def test_a_link_and_what_it_leads_to_count(tmp_path: Path) -> None:
    home = give(tmp_path / "home")
    (tmp_path / "roots").mkdir()
    give(home / "users", "link", tmp_path / "roots")
    (tmp_path / "to-home").symlink_to(home)
    for path in (home / "users" / "hub", tmp_path / "to-home" / "hub"):
        owner = owner_of(path)
        assert owner and owner.uid == USER
    assert not root_alone_decides(home / "users") and not root_alone_decides(tmp_path / "to-home")


@root
def test_a_link_of_a_user_behind_a_link_of_roots_counts(tmp_path: Path) -> None:
    home = give(tmp_path / "home")
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "key").write_text("of root's")
    give(home / "models", "link", tmp_path / "roots")
    (tmp_path / "data").symlink_to(home / "models")
    (tmp_path / "up").symlink_to(home / "models" / ".." / "roots")  # beside what the user's link leads to
    for path in (tmp_path / "data" / "key", tmp_path / "up" / "key"):
        owner = owner_of(path)
        assert owner and owner.uid == USER
        assert not root_alone_decides(path)
    (tmp_path / "roots").chmod(0o700)
    with pytest.raises(PermissionError):
        open_as_owner(owner_of(tmp_path / "data"), tmp_path / "data" / "key")


@root
def test_a_link_in_a_ring_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    assert owner_of(tmp_path / "ring" / "key") is None


@root
def test_root_alone_decides_in_its_own_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert root_alone_decides(tmp_path / "file")
    tmp_path.chmod(0o777)
    assert not root_alone_decides(tmp_path / "file")
    tmp_path.chmod(0o1777)
    assert root_alone_decides(tmp_path / "file")


@root
def test_work_is_done_as_the_owner_and_comes_back(tmp_path: Path) -> None:
    owner = Owner(USER, USER, None, "/")
    assert as_owner(owner, lambda: [os.geteuid(), os.getegid(), os.getgroups(), os.environ["HOME"]]) == [
        USER,
        USER,
        [],
        "/",
    ]
    assert os.geteuid() == 0


@root
@pytest.mark.parametrize("owner", [None, Owner(USER, USER, None, "/")])
def test_errors_come_back_as_what_they_are(owner: Owner | None, tmp_path: Path) -> None:
    def refuse() -> None:
        raise UserError(Problem("a", "b", "c"))

    with pytest.raises(UserError) as caught:
        as_owner(owner, refuse)
    assert caught.value.problems == (("a", "b", "c"),)
    with pytest.raises(FileNotFoundError):
        as_owner(owner, lambda: Path("/no/such/folder").mkdir())


@root
def test_a_file_is_opened_with_the_rights_of_the_owner(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    link = give(give(tmp_path / "home") / "link", "link", secret)
    owner = owner_of(link)
    with pytest.raises(PermissionError):
        open_as_owner(owner, link)
    with open_as_owner(owner, secret) as file:
        assert file.read() == b"x"


@root
def test_a_file_of_roots_in_the_users_folder_is_opened_unless_a_link_leads_there(tmp_path: Path) -> None:
    home = give(tmp_path / "home")
    for name in ("key", "linked"):
        (home / name).write_text("x")
        (home / name).chmod(0o600)
    (home / "linked-too").hardlink_to(home / "linked")
    give(home / "link", "link", home / "key")
    owner = owner_of(home / "key")
    with open_as_owner(owner, home / "key") as file:
        assert file.read() == b"x"
    for name in ("link", "linked"):
        with pytest.raises(PermissionError):
            open_as_owner(owner, home / name)
