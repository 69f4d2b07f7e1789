# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both roles that prepare a host, in check mode with a host that is described and not read: every step of theirs is predicted."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import ROOT

PLAY = """
- hosts: one
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        gpu_preflight_read: {host: "{{ lookup('ansible.builtin.file', 'host.json') | from_json }}"}
    - ansible.builtin.import_role: {name: llmfleet.serving.docker_engine, rolespec_validate: false}
    - ansible.builtin.import_role: {name: llmfleet.serving.nvidia_container_toolkit, rolespec_validate: false}
"""
OF_BOTH = {
    "os": {"family": "debian", "distribution": "ubuntu", "version": "24.04", "codename": "noble"},
    "gpu": {"state": "present"},
    "docker": {"swarm_active": False},
}


def described(**changes: dict[str, Any]) -> dict[str, Any]:
    """The host that the unit tests call prepared, with these sections changed."""
    spec = importlib.util.spec_from_file_location("prepared_hosts", ROOT / "tests/unit/fixtures/prepared_hosts.py")
    assert spec and spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    host = copy.deepcopy(module.HOST)
    for sections in (OF_BOTH, changes):
        for name, values in sections.items():
            host[name].update(values)
    return host


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"docker": {"state": "absent", "version": None}, "toolkit": {"version": None, "guard_rule": None}},
            ["Would install docker-ce", "Would install or hold nvidia-container-toolkit", "Write daemon.json"],
        ),
        ({"toolkit": {"version": None}}, ["Would install or hold nvidia-container-toolkit"]),
    ],
    ids=["bare", "without the toolkit"],
)
def test_a_check_predicts_every_step_on_a_host_that_differs(tmp_path: Path, changes: Any, said: list[str]) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "host.json").write_text(json.dumps(described(**changes)))
    around = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "docker_engine_become": False,
        "nvidia_container_toolkit_become": False,
    }
    argv = ["-i", "one,", "-e", json.dumps(variables), "--check", "play.yml"]
    played = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *argv],
        cwd=tmp_path,
        env={**around, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert all(words in played.stdout for words in said), played.stdout
