# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/keys.yml: secrets come to the hosts as files, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from .conftest import ROOT

KEY = "key-of-the-clients-0123456789"


@pytest.fixture
def play(tmp_path):
    (tmp_path / "key").write_text(KEY + "\n")
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "inference_server_api_key_file": f"{tmp_path}/host/keys/api_key",
        "inference_server_hf_cache_dir": f"{tmp_path}/host/huggingface",
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"inference": {"hosts": {"one": None}, "vars": variables}}))

    def run(*arguments, **environment):
        done = subprocess.run(
            ["ansible-playbook", "-i", tmp_path / "hosts.json", ROOT / "playbooks" / "keys.yml", *arguments],
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert KEY not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


def test_keys_become_files_that_only_their_owner_reads(play, tmp_path):
    files = {"LLMFLEET_API_KEY_FILE": str(tmp_path / "key"), "LLMFLEET_HUB_TOKEN_FILE": str(tmp_path / "key")}
    rc, output = play("-vvv", "--diff", **files)
    assert rc == 0, output
    for path in (tmp_path / "host" / "keys" / "api_key", tmp_path / "host" / "huggingface" / "token"):
        assert path.read_text().strip() == KEY
        assert path.stat().st_mode & 0o777 == 0o600
    rc, output = play(**files)
    assert rc == 0
    assert "changed=0" in output


def test_no_key_is_an_error_with_a_remedy(play):
    rc, output = play()
    assert rc != 0
    assert "LLMFLEET_API_KEY_FILE" in output
