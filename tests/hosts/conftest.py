# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real hosts for the tests: Debian 12 and 13 with systemd and engines of their own, as containers, by molecule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_engine import docker_engine
from tests.support.progress import run_step

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = "hosts_prepare"
PROGRAMS = Path(sys.executable).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--forky", action="store_true", help="Debian forky too: Docker 28, Python 3.14 (a minute more for its image)"
    )


@dataclass
class Run:
    """How a playbook ended: its exit status, what it printed, and the module calls that each host cost."""

    rc: int
    output: str
    calls: dict[str, int]

    def changed(self, host: str) -> int:
        """The host's figure in the recap."""
        line = next(line for line in self.output.splitlines() if line.startswith(host + " ") and "changed=" in line)
        return int(line.partition("changed=")[2].split()[0])


class Fleet:
    """The hosts that molecule started, and prepare.yml on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, host: str, *arguments: str, **variables: Any) -> Run:
        """Run playbooks/prepare.yml on one host."""
        return self.play("prepare", host, *arguments, **variables)

    def play(self, playbook: str, host: str, *arguments: str, **variables: Any) -> Run:
        """Run one of the playbooks on one host, or on several with commas between them."""
        counted = self.folder / "calls.json"
        done = subprocess.run(
            [
                PROGRAMS / "ansible-playbook",
                *("-i", ROOT / "molecule" / SCENARIO / "inventory", "-i", Path(__file__).parent / "small.yml"),
                *("--limit", host, "--extra-vars", json.dumps(variables), *arguments),
                ROOT / "playbooks" / f"{playbook}.yml",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
                "ANSIBLE_CALLBACKS_ENABLED": "module_calls",
                "MODULE_CALLS_FILE": str(counted),
                "NO_COLOR": "1",
                "ANSIBLE_DISPLAY_OK_HOSTS": "1",
                "TZ": "UTC-9",  # what is compared with a host's clock must not be the controller's local time
            },
        )
        calls = json.loads(counted.read_text()) if counted.exists() else {}
        return Run(done.returncode, done.stdout + done.stderr, calls)

    def sh(self, host: str, script: str) -> str:
        """Run a script inside a host and return what it printed."""
        argv = ["docker", "exec", f"llmfleet-host-{host}", "sh", "-euc", script]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def fingerprint(self, host: str) -> str:
        """What changes when anything on the host does: settings by content, programs by name and time, packages, services."""
        return self.sh(
            host,
            "find /etc /var/lib/dpkg/status -xdev -type f -exec sha256sum {} + | sort -k 2;"
            "find /usr /opt -xdev -type f -printf '%p %s %T@ %m\\n' | grep -v __pycache__ | sort;"
            "systemctl list-unit-files --no-pager --no-legend | sort",
        )


def hosts_sh(*arguments: str) -> list[str]:
    return ["sh", str(Path(__file__).parent / "hosts.sh"), *arguments]


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts")


@pytest.fixture(scope="session")
def engine(work_dir: Path) -> Iterator[str]:
    with docker_engine(work_dir) as version:
        yield version


@pytest.fixture(scope="session")
def fleet(work_dir: Path, engine: str) -> Iterator[Fleet]:
    """Molecule takes the hosts through check, converge, idempotence, check and verify, and leaves them to the tests."""
    molecule = PROGRAMS / "molecule"
    scenario = ["--scenario-name", SCENARIO]
    where = {"env": {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "NO_COLOR": "1"}, "cwd": ROOT}
    destroy = [molecule, "destroy", *scenario]
    run_step("molecule: remove what an earlier run left", destroy, work_dir / "before.log", timeout_s=120, **where)
    try:
        run_step(
            "molecule: check, converge, idempotence, check, verify on three hosts (with their images, a few minutes)",
            [molecule, "test", *scenario, "--destroy", "never"],
            work_dir / "molecule.log",
            timeout_s=1800,
            **where,
        )
        yield Fleet(work_dir)
    finally:
        run_step("molecule: remove the hosts", destroy, work_dir / "after.log", timeout_s=120, **where)


@pytest.fixture(scope="session")
def small(fleet: Fleet, work_dir: Path) -> Iterator[str]:
    """A bare host with hardly any disk for Docker."""
    argv = hosts_sh("up", "small", "bookworm", "--tmpfs", "/var/lib/docker:size=64m")
    run_step("start a bare host with a small disk", argv, work_dir / "small.log", timeout_s=600)
    yield "small"
    subprocess.run(hosts_sh("down", "small"), check=False)


@pytest.fixture(scope="session")
def forky(request: pytest.FixtureRequest, work_dir: Path, engine: str) -> Iterator[Fleet]:
    """A Debian of the future: Docker 28 with CDI on and the cgroup driver systemd. It needs no other host."""
    if not request.config.getoption("--forky"):
        pytest.skip("only with --forky")
    fleet = Fleet(work_dir)
    argv = hosts_sh("up", "forky", "forky", "--volume", "/var/lib/docker", "--device-cgroup-rule", "c 10:* rwm")
    run_step("start a host of Debian forky (with its image, two minutes)", argv, work_dir / "forky.log", timeout_s=600)
    try:
        fleet.sh(
            "forky", "apt-get update -q && apt-get install -q -y --no-install-recommends docker.io docker-cli 2>&1"
        )
        yield fleet
    finally:
        subprocess.run(hosts_sh("down", "forky"), check=False)
