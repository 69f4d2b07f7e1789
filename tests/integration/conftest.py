# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks run as a user or AWX runs them: through ansible-runner, on simulated hosts of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as server_process

from tests.support.bench import TOLERANT

ROOT = Path(__file__).resolve().parents[2]

# What runs on the controller, for no host or once for the whole fleet.
CONTROLLER_ONLY = {
    *(f"ansible.builtin.{name}" for name in ("assert", "debug", "fail", "include_role", "include_tasks")),
    *(f"ansible.builtin.{name}" for name in ("set_fact", "set_stats", "validate_argument_spec")),
    *(
        f"llmfleet.serving.{name}"
        for name in ("check_plan", "print_text", "report_upload", "report_write", "role_settings")
    ),
}


def free_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Outcome:
    """What a playbook run left behind."""

    rc: int
    stats: dict[str, dict[str, int]]
    output: str
    events: list[dict[str, Any]]

    def failures(self, host: str) -> str:
        """The messages of a host's failed tasks."""
        results = [
            event["event_data"].get("res", {})
            for event in self.events
            if event["event"] in ("runner_on_failed", "runner_item_on_failed", "runner_on_unreachable")
            and event["event_data"].get("host") == host
        ]
        # Of a loop the items have failed: that one of them did is no message.
        return " ".join(str(result.get("msg", "")) for result in results if "results" not in result)

    def tasks_of(self, host: str) -> list[str]:
        """The modules that ran on a host, one entry a call."""
        return [
            event["event_data"]["resolved_action"]
            for event in self.events
            if event["event"] == "runner_on_ok" and event["event_data"].get("host") == host
        ]

    def module_calls(self, host: str) -> list[str]:
        """The modules that ran on the host itself: what decides how long a fleet takes."""
        return [name for name in self.tasks_of(host) if name not in CONTROLLER_ONLY]

    def changed(self, host: str) -> int:
        return self.stats.get("changed", {}).get(host, 0)

    def failed_for_s(self) -> float:
        """Seconds from the first failed task to the end of the run."""
        failed, ended = (
            datetime.fromisoformat(next(event["created"] for event in self.events if event["event"] == name))
            for name in ("runner_on_failed", "playbook_on_stats")
        )
        return (ended - failed).total_seconds()


class Fleet:
    """A simulated fleet with ports and folders of its own; `hosts` maps a name to its variables and group."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = ROOT
        self.hosts: dict[str, tuple[str, dict[str, Any]]] = {}
        self.inventory = folder / "inventory.yml"
        self.reports = folder / "reports"

    def add(self, name: str, group: str = "h100", **variables: Any) -> None:
        """Adds a host; variables override the fleet's."""
        self.hosts[name] = (group, {"inference_server_port": free_port(), **variables})

    def write(self) -> None:
        groups: dict[str, dict[str, Any]] = {}
        for name, (group, variables) in self.hosts.items():
            groups.setdefault(group, {"hosts": {}})["hosts"][name] = variables
        fleet = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inference_server_backend": "simulator",
            "inference_server_state_dir": f"{self.folder}/state/{{{{ inventory_hostname }}}}",
            "benchmark_state_dir": "{{ inference_server_state_dir }}",
            "benchmark_workload": "smoke",
            "benchmark_validity": TOLERANT,
            "report_dir": str(self.reports),
        }
        self.inventory.write_text(yaml.safe_dump({"inference": {"children": groups, "vars": fleet}}))

    def play(
        self, playbook: str, *, limit: str | None = None, check: bool = False, options: str = "", **extravars: Any
    ) -> Outcome:
        """Runs a playbook of the project on this fleet, away from the project's folder; `options` are of the command line."""
        self.write()
        private = tempfile.mkdtemp(prefix="runner-", dir=self.folder)  # runner keeps options of a run in its folder
        run = ansible_runner.run(
            private_data_dir=private,
            playbook=str(self.root / "playbooks" / playbook),
            inventory=str(self.inventory),
            limit=limit,
            extravars=extravars or None,
            cmdline=" ".join(filter(None, ["--check" if check else "", options])) or None,
            envvars={"ANSIBLE_NOCOLOR": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            quiet=True,
        )
        stats = run.stats or {}
        return Outcome(run.rc, stats, run.stdout.read(), list(run.events))

    def report(self) -> dict[str, Any]:
        """The newest report."""
        return json.loads((self.reports / "latest" / "report.json").read_text())


@pytest.fixture
def fleet(tmp_path):
    """An empty fleet; whatever a test started is stopped at its end."""
    yield Fleet(tmp_path)
    for record in tmp_path.glob("state/**/process.json"):
        server_process.stop(record.parent, grace_s=5)
    left = subprocess.run(["pgrep", "-af", str(tmp_path)], capture_output=True, check=False, text=True)
    assert left.stdout == "", "the test left processes behind"
