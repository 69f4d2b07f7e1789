# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options for all modules at once, by the collection's action group."""

from __future__ import annotations

import os
import subprocess
import sys

from .conftest import ROOT

PLAY = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/llmfleet.serving.serving:
      fact_path: {facts}
      gather_subset: ["!all"]
  tasks:
    - llmfleet.serving.host_facts:
    - ansible.builtin.debug:
        msg: "{{{{ ansible_facts.ansible_local.colour.name }}}}"
"""


def test_an_option_is_set_for_every_module_by_the_action_group(tmp_path):
    facts = tmp_path / "facts"
    facts.mkdir()
    (facts / "colour.fact").write_text('{"name": "ultramarine"}')
    (tmp_path / "play.yml").write_text(PLAY.format(facts=facts))
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            "play.yml",
        ],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ultramarine" in done.stdout
