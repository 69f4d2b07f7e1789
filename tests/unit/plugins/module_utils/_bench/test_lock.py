# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench import lock as module
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.lock import ServerLock
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

ADDRESS = (2, ("192.0.2.2", os.getpid()))


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home, so that the locks lie in the state folder."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(module.pwd, "getpwuid", unknown)


def taken(folder: Path) -> ServerLock:
    lock = ServerLock.acquire(ADDRESS, folder)
    assert lock is not None
    return lock


def test_a_server_is_locked_once(tmp_path: Path) -> None:
    first = taken(tmp_path)
    assert ServerLock.acquire(ADDRESS, tmp_path) is None and ServerLock.held(ADDRESS, tmp_path)
    first.release()
    assert not ServerLock.held(ADDRESS, tmp_path)
    taken(tmp_path).release()
    assert list(tmp_path.rglob("*.lock")) == []


def test_only_its_owner_can_hold_it(tmp_path: Path) -> None:
    lock = taken(tmp_path)
    modes = [path.stat().st_mode & 0o777 for path in (lock.path, lock.path.parent)]
    assert modes == [0o600, 0o700]
    lock.release()


def test_what_another_user_holds_does_not_count(tmp_path: Path) -> None:
    """Any user could bind the abstract socket that the lock once was."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(f"\0{ServerLock.name_for(ADDRESS)}")
        taken(tmp_path).release()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    lock = taken(tmp_path)
    lock.release()
    lock.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="cannot be opened"):
        ServerLock.held(ADDRESS, tmp_path)
    with pytest.raises(UserError, match="cannot be opened"):
        ServerLock.acquire(ADDRESS, tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_question_leaves_nothing(tmp_path: Path) -> None:
    assert not ServerLock.held(ADDRESS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_lives_as_long_as_a_process_that_was_forked_meanwhile(tmp_path: Path) -> None:
    lock, (reader, writer) = taken(tmp_path), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    lock.leave()
    assert ServerLock.held(ADDRESS, tmp_path)
    os.close(writer)
    os.waitpid(child, 0)
    os.close(reader)
    assert not ServerLock.held(ADDRESS, tmp_path)


def test_a_file_that_goes_while_it_is_opened_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, lock_file = taken(tmp_path), module._lock

    def late(holder: int) -> bool:
        monkeypatch.setattr(module, "_lock", lock_file)
        first.release()
        return lock_file(holder)

    monkeypatch.setattr(module, "_lock", late)
    second = taken(tmp_path)
    assert ServerLock.acquire(ADDRESS, tmp_path) is None
    second.release()


def test_the_home_of_the_user_has_it_whatever_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = module.pwd.struct_passwd(("me", "x", 0, 0, "", str(tmp_path), ""))
    monkeypatch.setattr(module.pwd, "getpwuid", lambda uid: user)
    lock = taken(tmp_path / "a")
    assert ServerLock.held(ADDRESS, tmp_path / "b")
    assert lock.path.parent == tmp_path / ".local/state/llmfleet/locks"
    lock.release()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "127.0.0.2"])
def test_the_addresses_of_this_host_are_one_server(host: str) -> None:
    assert ServerLock.name_for((2, (host, 8000))) == "llmfleet-bench-local-8000"


def test_another_host_is_locked_by_its_address() -> None:
    assert ServerLock.name_for((2, ("192.0.2.1", 8000))) == "llmfleet-bench-192.0.2.1-8000"
