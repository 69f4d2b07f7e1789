# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The internal role _packages refuses to be used directly, with one message, before it changes anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

PLAY = {"name": "Install directly", "hosts": "localhost", "gather_facts": False}
ROLE = "llmfleet.serving._packages"
WAYS = {
    "as a role": {"roles": [ROLE]},
    "with variables": {"roles": [{"role": ROLE, "_packages_install": ["curl"]}]},
    "from tasks": {"tasks": [{"name": "Include it", "ansible.builtin.include_role": {"name": ROLE}}]},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_direct_use_is_refused(tmp_path: Path, way: dict[str, object]) -> None:
    playbook = tmp_path / "direct.yml"
    playbook.write_text(json.dumps([{**PLAY, **way}]))
    argv = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", playbook]
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections")}
    played = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert played.returncode == 2
    words = " ".join((played.stdout + played.stderr).split())
    assert f"found the internal role {ROLE} used directly, expected" in words
    assert "Remedy: use the role llmfleet.serving.docker_engine" in words
