# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.key import read_key


def test_the_key_is_what_the_file_holds(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    assert read_key(str(tmp_path / "key")) == "secret"
    assert read_key(None) is None and read_key("") is None


def test_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UserError, match=f"api_key_file {path} cannot be read"):
            read_key(str(path))


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"c4nary-Value\nX-Injected: 1", b"c4nary-Value two", "c4nary-Valué".encode(), b"\xff\xfe"]
)
def test_a_file_that_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UserError, match="api_key_file") as caught:
        read_key(str(tmp_path / "key"))
    assert "c4nary" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="reads as root in another user's folder, which takes root")
def test_root_follows_no_link_of_a_user_to_a_key(tmp_path: Path) -> None:
    (tmp_path / "roots-own").write_text("c4nary-Value")
    (tmp_path / "roots-own").chmod(0o600)
    home = tmp_path / "home"
    home.mkdir()
    (home / "key").symlink_to(tmp_path / "roots-own")
    for path in (home, home / "key"):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    with pytest.raises(UserError, match="cannot be read"):
        read_key(str(home / "key"))
