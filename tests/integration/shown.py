# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of deploy.yml as an operator sees them, and how long they may be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from .conftest import ROOT, Fleet

# Lines of an unchanged deployment and of one that fails everywhere, by the configuration: the checkout's, and Ansible's own.
LIMITS = {"checkout": {"unchanged": 40, "failed": 60}, "defaults": {"unchanged": 80, "failed": 100}}


def environment(tmp_path: Path, configuration: str) -> dict[str, str]:
    """The checkout's ansible.cfg, or none with the collection installed: a link is all that installing leaves at its place."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    found = {**around, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "80", "ANSIBLE_HOME": str(tmp_path / "home")}
    if configuration == "checkout":
        return {**found, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    (tmp_path / "empty.cfg").write_text("")
    collections = ROOT / "playbooks" / "collections"
    return {**found, "ANSIBLE_CONFIG": str(tmp_path / "empty.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(collections)}


class Shown:
    """Runs of deploy.yml on a fleet, and what they print."""

    def __init__(
        self, fleet: Fleet, tmp_path: Path, configuration: str, limits: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self.fleet, self.limits = fleet, {**LIMITS[configuration], **limits}
        self.environment = environment(tmp_path, configuration)
        self.playbook = str(ROOT / "playbooks" / "deploy.yml")
        if configuration == "defaults":
            self.playbook = "llmfleet.serving.deploy"

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.fleet.write()
        program = str(Path(sys.executable).parent / "ansible-playbook")
        return subprocess.run(
            [program, "-i", str(self.fleet.inventory), self.playbook, *arguments],
            cwd=self.fleet.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self, output: str) -> dict[str, str]:
        """The table at the end, by host."""
        end = output[output.index("PLAY RECAP") :].splitlines()
        named = {line.split("  ")[0]: line for line in end if "unreachable=" not in line}
        return {host: named[host] for host in self.fleet.hosts if host in named}

    def is_short(self, output: str) -> None:
        """An unchanged deployment is within its limit, and nothing that was skipped shows."""
        assert len(output.splitlines()) < self.limits["unchanged"], output
        assert "skipping" not in output
        assert all(row.endswith("nothing") for row in self.rows(output).values()), output

    def fails_once(self, output: str, cause: str) -> None:
        """The cause stands once for each host, besides its row; nothing is skipped or printed twice by Ansible."""
        hosts = set(self.fleet.hosts)
        assert len(output.splitlines()) < self.limits["failed"], output
        assert "skipping" not in output and "[ERROR]" not in output
        above, table = output.split("PLAY RECAP")
        words = " ".join(above.replace("''", "'").split())
        assert words.count(cause) == len(hosts), output
        assert set(self.rows(output)) == hosts and table.count("FAILED: ") == len(hosts), output
