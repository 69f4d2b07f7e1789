# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The built collection serves someone who has nothing else: installed, called by its full names, from a folder of one's own.

`tests/artifact.sh` builds and installs it, and names the folder of the collections in LLMFLEET_COLLECTIONS.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import TOLERANT, free_port

COLLECTIONS = Path(os.environ["LLMFLEET_COLLECTIONS"])
COLLECTION = COLLECTIONS / "ansible_collections" / "llmfleet" / "serving"
ROLE_ALONE = """
- hosts: inference
  gather_facts: false
  roles: [llmfleet.serving.inference_server]
"""


def fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of every entry below a folder; of a link its target.

    Compiled copies that Python puts beside the files it loads (`__pycache__`, where it may write) are left out: they
    follow from the files, and a collection that root installed for everyone gets none.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        if path.is_symlink():
            content = str(path.readlink())
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


class User:
    """A user with a home, an inventory and a folder to work in, and no checkout of this project."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.inventory = folder, folder / "work", folder / "fleet" / "hosts.yml"
        for made in (self.work, self.inventory.parent, folder / "home"):
            made.mkdir()

    def write_inventory(self, group: str) -> None:
        """One simulated host in a group below `inference`."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inference_server_backend": "simulator",
            "inference_server_port": free_port(),
            "inference_server_state_dir": str(self.folder / "state"),
            "benchmark_workload": "smoke",
            "benchmark_validity": TOLERANT,
        }
        hosts = {"children": {group: {"hosts": {"gpu-01": None}}}, "vars": variables}
        self.inventory.write_text(yaml.safe_dump({"inference": hosts}))

    def attempt(self, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Runs a playbook; only the installed collections can be found."""
        return subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", self.inventory, playbook, *options],
            cwd=self.work,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder / "home"),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def play(self, playbook: str, *options: str) -> str:
        """Runs a playbook to its good end; returns what it printed."""
        played = self.attempt(playbook, *options)
        assert played.returncode == 0, played.stdout + played.stderr
        return played.stdout

    def served_class(self) -> str | None:
        """The GPU class in the fact that the host keeps of its server."""
        fact: dict[str, Any] = json.loads((self.folder / "state" / "facts.d" / "llmfleet_server.fact").read_text())
        return fact["gpu"]["class"]


@pytest.fixture
def user(tmp_path):
    made = User(tmp_path)
    yield made
    for record in tmp_path.glob("state/*/process.json"):  # of a test that failed before its teardown
        with suppress(ProcessLookupError):
            os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)


@pytest.fixture(autouse=True)
def _untouched():
    """Whatever is played, the installed collections stay as they were."""
    before = fingerprint(COLLECTIONS)
    yield
    assert fingerprint(COLLECTIONS) == before


def test_the_playbooks_serve_measure_and_report_where_the_user_works(user):
    user.write_inventory("h100")
    user.play("llmfleet.serving.deploy")
    assert user.served_class() == "h100"
    assert "changed=0 " in user.play("llmfleet.serving.deploy")
    user.play("llmfleet.serving.bench")
    first = (user.work / "reports" / "latest").resolve()
    user.play("llmfleet.serving.report")
    latest = user.work / "reports" / "latest"
    assert latest.resolve() != first
    [row] = json.loads((latest / "report.json").read_text())["hosts"]
    assert (row["status"], row["gpu"], row["published_key"]) == ("ok", "h100", "h100")
    user.play("llmfleet.serving.teardown")
    assert {path.name for path in user.work.iterdir()} == {"reports"}


def test_the_role_alone_knows_the_class_too(user):
    user.write_inventory("h100")
    playbook = user.folder / "serve.yml"
    playbook.write_text(ROLE_ALONE)
    user.play(str(playbook))
    assert user.served_class() == "h100"
    assert "timing" in json.loads((user.folder / "state" / "llmfleet-server" / "simulator.json").read_text())
    user.play("llmfleet.serving.teardown")
    assert list(user.work.iterdir()) == []


def test_a_group_without_a_class_is_refused_with_a_remedy_that_helps(user):
    user.write_inventory("l40s")
    refused = user.attempt("llmfleet.serving.deploy")
    assert refused.returncode != 0
    remedy = re.search(r"write (?P<file>group_vars/\S+) beside the inventory: `(?P<line>[^`]+)`", refused.stdout)
    assert remedy, refused.stdout
    assert not (user.folder / "state").exists()
    settings = user.inventory.parent / remedy["file"]
    settings.parent.mkdir()
    settings.write_text(remedy["line"] + "\n")
    user.play("llmfleet.serving.deploy")
    assert user.served_class() == "l40s"
    user.play("llmfleet.serving.teardown")
