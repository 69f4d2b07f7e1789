# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.modules import host_fact

from tests.support.core import patch_module_args


def test_a_folder_of_another_user_is_reported_with_the_remedy(tmp_path, monkeypatch, capsys):
    def refuse(self, *_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)  # root, whom tests may run as, is refused nothing
    given = {"state_dir": str(tmp_path / "state"), "facts": {"llmfleet_server": {"a": 1}}}
    with patch_module_args(given), pytest.raises(SystemExit):
        host_fact.main()
    message = json.loads(capsys.readouterr().out.splitlines()[-1])["msg"]
    assert "sudo chown -R " in message and str(tmp_path / "state") in message
