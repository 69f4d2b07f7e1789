# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report folder appears complete or not at all, and `latest` follows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.store import write


def test_latest_follows_and_nothing_is_replaced(tmp_path: Path) -> None:
    home = tmp_path / "made" / "reports"
    folders = [write(home, "20261122T120000Z", {"report.md": str(number)}) for number in range(3)]
    assert [folder.name for folder in folders] == ["20261122T120000Z", "20261122T120000Z-2", "20261122T120000Z-3"]
    assert [(folder / "report.md").read_text() for folder in folders] == ["0", "1", "2"]
    assert (home / "latest").readlink() == Path("20261122T120000Z-3")
    assert sorted(entry.name for entry in home.iterdir()) == sorted(["latest", *(folder.name for folder in folders)])


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="report_dir"):
        write(tmp_path / "file", "x", {})


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        write(tmp_path, "x", {"good": "", "missing/folder": ""})
    assert list(tmp_path.iterdir()) == []
