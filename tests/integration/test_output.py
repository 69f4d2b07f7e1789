# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment of three hosts prints: how much, each thing once, and what is served where at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Fleet

HOSTS = {"gpu-01": "h100", "gpu-02": "a100", "gpu-03": "b200"}
BROKEN = '{"inference_server_simulator": {"no_such_option": 1}}'
CAUSE = "error: unknown option 'no_such_option'"
# Lines of an unchanged deployment and of one that fails everywhere, by the configuration: the checkout's, and Ansible's own.
LIMITS = {"checkout": (40, 60), "defaults": (80, 100)}


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

    def __init__(self, fleet: Fleet, tmp_path: Path, configuration: str) -> None:
        self.fleet, self.configuration = fleet, configuration
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


@pytest.fixture(params=LIMITS)
def shown(request: Any, fleet: Fleet, tmp_path: Path) -> Shown:
    for name, group in HOSTS.items():
        fleet.add(name, group)
    return Shown(fleet, tmp_path, request.param)


def rows(output: str) -> dict[str, str]:
    """The table at the end, by host."""
    end = output[output.index("PLAY RECAP") :].splitlines()
    return {line.split()[0]: line for line in end if line.split("  ")[0] in HOSTS and "unreachable=" not in line}


def test_what_is_printed_is_short_each_thing_once_and_a_table_ends_it(shown: Shown) -> None:
    unchanged, failed = LIMITS[shown.configuration]
    first = shown.deploy()
    assert first.returncode == 0, first.stdout + first.stderr
    again = shown.deploy()
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(again.stdout.splitlines()) < unchanged, again.stdout
    assert "skipping" not in again.stdout
    for host, group in HOSTS.items():
        port = shown.fleet.hosts[host][1]["inference_server_port"]
        for words in (group, "vllm SIMULATED", "LiquidAI/LFM2.5-8B-A1B", f"http://127.0.0.1:{port}"):
            assert words in rows(first.stdout)[host], first.stdout
        assert rows(first.stdout)[host].endswith("server") and rows(again.stdout)[host].endswith("nothing")
    back = shown.deploy("-e", BROKEN)
    assert back.returncode != 0
    fails_once(back.stdout, failed)
    assert all("; rolled back" in row for row in rows(back.stdout).values())
    assert back.stdout.count("answers again") == len(HOSTS)


def test_a_first_deployment_that_fails_says_so_once(shown: Shown) -> None:
    refused = shown.deploy("-e", BROKEN)
    assert refused.returncode != 0
    fails_once(refused.stdout, LIMITS[shown.configuration][1])
    assert refused.stdout.count("nothing to go back to") == len(HOSTS)


def fails_once(output: str, limit: int) -> None:
    """The cause stands once for each host, besides its row; nothing is skipped or printed twice by Ansible."""
    assert len(output.splitlines()) < limit, output
    assert "skipping" not in output and "[ERROR]" not in output
    above, table = output.split("PLAY RECAP")
    words = " ".join(above.replace("''", "'").split())
    assert words.count(CAUSE) == len(HOSTS), output
    assert set(rows(output)) == set(HOSTS) and table.count("FAILED: ") == len(HOSTS), output


def test_a_port_that_is_taken_is_said_once(fleet: Fleet, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fleet.add("gpu-01", inference_server_port=taken.getsockname()[1])
        refused = Shown(fleet, tmp_path, "defaults").deploy()
    assert refused.returncode != 0
    above = refused.stdout.split("PLAY RECAP")[0]
    assert above.count(f"(pid {os.getpid()})") == 1, refused.stdout
    assert f"(pid {os.getpid()})" in rows(refused.stdout)["gpu-01"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ('{"inference_server_port": 0}', "inference_server_port is 0"),
        ('{"inference_server_ready_timeout_s": "soon"}', "inference_server_ready_timeout_s is"),
        ('{"inference_server_smoke": {"tool_call": "required"}, "inference_server_served_model_name": "x"}', "tool_call at http"),
    ],
)  # fmt: skip
def test_every_refusal_is_said_once(fleet: Fleet, tmp_path: Path, choice: str, words: str) -> None:
    fleet.add("gpu-01")
    refused = Shown(fleet, tmp_path, "defaults").deploy("-e", choice)
    assert refused.returncode != 0
    above = refused.stdout.split("PLAY RECAP")[0]
    assert above.count(words) == 1, refused.stdout
    assert "[ERROR]" not in above and words in rows(refused.stdout)["gpu-01"]


def test_the_table_comes_once_with_batches_and_names_hosts_that_had_no_turn(fleet: Fleet, tmp_path: Path) -> None:
    for name, group in HOSTS.items():
        fleet.add(name, group)
    fleet.hosts["gpu-01"][1].update(
        ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1, ansible_ssh_timeout=2
    )
    shown = Shown(fleet, tmp_path, "checkout")
    stopped = shown.deploy("-e", '{"inference_server_serial": 1, "inference_server_max_fail_percentage": 0}')
    assert stopped.returncode != 0
    reached = [host for host, row in rows(stopped.stdout).items() if "not reached" not in row]
    assert "FAILED: unreachable: " in rows(stopped.stdout)["gpu-01"], stopped.stdout
    assert set(rows(stopped.stdout)) == set(HOSTS) and "gpu-01" in reached
    whole = shown.deploy("-e", '{"inference_server_serial": 2}', "-l", "!gpu-01")
    assert whole.returncode == 0 and set(rows(whole.stdout)) == {"gpu-02", "gpu-03"}
    assert whole.stdout.count("Endpoint") == 1


def test_a_check_says_what_it_would_change(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("gpu-01")
    planned = Shown(fleet, tmp_path, "checkout").deploy("--check")
    assert planned.returncode == 0, planned.stdout
    assert rows(planned.stdout)["gpu-01"].endswith("would change: server")
    shutil.rmtree(fleet.folder / "state", ignore_errors=True)
