# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that hang, over SSH with open connections: the others finish, and the report names those that do not, within a minute."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.bench import TOLERANT
from tests.support.progress import run_step, say

from .conftest import PROGRAMS, ROOT, hosts_sh

LIMIT_S = 60.0
CONTAINER = "llmfleet-host-"
WELL = "well"
# What hangs a host whose connection is open, and what ends it.
HANGS = {
    "stopped": ("busybox killall -STOP sshd", "busybox killall -CONT sshd"),
    "paused": (None, None),  # from outside
    "unrouted": ("ip route add blackhole $GATEWAY", "ip route del blackhole $GATEWAY"),
}
FULL = "full"
STUCK = "stuck"  # its sshd answers, and a file that is read does not, as on a network file system whose server is gone
STATE = "/state"
PIPE = f"{STATE}/facts.d/stuck.fact"
SMALL_DISK = f"mount -t tmpfs -o size=16m tmpfs {STATE}"
TIMED_OUT = "Timed out|time frame"  # as ansible-core says it from 2.19 on, and before
# A checkout has the limits in ansible.cfg; the installed collection has them in the inventory, as the example has.
WAYS = ("checkout", "installed")


@dataclass
class Ended:
    """How a run ended, and after how many seconds."""

    rc: int
    output: str
    elapsed_s: float


class SshFleet:
    """Hosts that are reached by SSH, each with a simulated server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "key"
        self.names = (WELL, *HANGS, FULL, STUCK)

    def up(self) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        public = self.key.with_suffix(".pub").read_text().strip()
        for name in self.names:
            run_step(f"start {name}", hosts_sh("up", name, "bookworm"), self.folder / f"{name}.log", timeout_s=600)
            self.sh(
                name, f"mkdir -p {STATE} /root/.ssh; echo '{public}' >/root/.ssh/authorized_keys; systemctl start ssh"
            )
        self.sh(FULL, SMALL_DISK)

    def sh(self, name: str, script: str) -> str:
        argv = ["docker", "exec", "--env", f"GATEWAY={self.gateway()}", CONTAINER + name, "sh", "-euc", script]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def gateway(self) -> str:
        """The address by which the hosts see the controller."""
        return _inspect(CONTAINER + WELL, "{{.NetworkSettings.Gateway}}")

    def hang(self) -> None:
        self.sh(FULL, f"dd if=/dev/zero of={STATE}/filler bs=64k 2>/dev/null || :")
        self.sh(STUCK, f"mkfifo {PIPE}")
        for name, (script, _end) in HANGS.items():
            self._to(name, script, "pause")

    def wake(self) -> None:
        for name, (_script, end) in HANGS.items():
            self._to(name, end, "unpause")
        self.sh(STUCK, f"rm -f {PIPE}")
        self.sh(FULL, f"rm -f {STATE}/filler")

    def _to(self, name: str, script: str | None, verb: str) -> None:
        if script is None:
            subprocess.run(["docker", verb, CONTAINER + name], check=True, capture_output=True)
        else:
            self.sh(name, script)

    def play(self, way: str, playbook: str) -> Ended:
        """Run a playbook from a checkout, or as the installed collection runs it: away from it, with Ansible's defaults."""
        began = time.monotonic()
        installed = way == "installed"
        done = subprocess.run(
            [
                *(PROGRAMS / "ansible-playbook", "-i", self._inventory(way)),
                f"llmfleet.serving.{playbook}" if installed else ROOT / "playbooks" / f"{playbook}.yml",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            cwd=self.folder if installed else ROOT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
                **({"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections")} if installed else {}),
                "ANSIBLE_HOME": str(self.folder / way),
                "ANSIBLE_HOST_KEY_CHECKING": "False",
                "NO_COLOR": "1",
            },
        )
        return Ended(done.returncode, done.stdout + done.stderr, time.monotonic() - began)

    def report(self, way: str) -> dict[str, dict[str, str]]:
        """The rows of the newest report, by host."""
        report = json.loads((self.folder / f"reports-{way}" / "latest" / "report.json").read_text())
        return {row["host"]: row for row in report["hosts"]}

    def _inventory(self, way: str) -> Path:
        example = yaml.safe_load((ROOT / "inventory" / "hosts.yml").read_text())["inference"].get("vars") or {}
        hosts = {
            name: {"ansible_host": _inspect(CONTAINER + name, "{{.NetworkSettings.IPAddress}}")} for name in self.names
        }
        variables = {
            **(example if way == "installed" else {}),
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_python_interpreter": "/usr/bin/python3",
            "inference_server_backend": "simulator",
            "inference_server_state_dir": STATE,
            "benchmark_state_dir": STATE,
            "benchmark_workload": "smoke",
            "benchmark_validity": TOLERANT,
            "report_dir": str(self.folder / f"reports-{way}"),
        }
        path = self.folder / f"{way}.yml"
        path.write_text(yaml.safe_dump({"inference": {"children": {"h100": {"hosts": hosts}}, "vars": variables}}))
        return path


def _inspect(container: str, form: str) -> str:
    argv = ["docker", "inspect", "--format", form, container]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def ssh_fleet(work_dir: Path, engine: str) -> Iterator[SshFleet]:
    folder = work_dir / "hung"
    folder.mkdir()
    fleet = SshFleet(folder)
    try:
        fleet.up()
        yield fleet
    finally:
        subprocess.run(hosts_sh("down", *fleet.names), check=False)


@pytest.mark.parametrize("way", WAYS)
def test_hosts_that_hang_hold_no_other_and_are_named_within_a_minute(ssh_fleet, way):
    deployed = ssh_fleet.play(way, "deploy")  # and leaves a connection open to each
    assert deployed.rc == 0, deployed.output
    ssh_fleet.hang()
    try:
        ended = ssh_fleet.play(way, "bench")
        say(f"{way}: bench with {len(HANGS) + 1} hosts that hang and a full disk took {ended.elapsed_s:.0f} s")
        again = ssh_fleet.play(way, "deploy")  # whose connections are new
        say(f"{way}: deploy with them took {again.elapsed_s:.0f} s")
    finally:
        ssh_fleet.wake()
    rows = ssh_fleet.report(way)
    assert rows[WELL]["status"] == "ok", ended.output
    assert rows[FULL]["status"] == "failed" and "space" in rows[FULL]["reason"], rows[FULL]
    assert rows[STUCK]["status"] == "failed" and re.search(TIMED_OUT, rows[STUCK]["reason"]), rows[STUCK]
    for name in HANGS:  # by the limit of SSH, or by that of the task where the controller is busy
        timed_out = re.search(TIMED_OUT, rows[name]["reason"])
        assert rows[name]["status"] == ("failed" if timed_out else "unreachable"), ended.output
    assert ended.rc != 0 and again.rc != 0
    lines = [line for line in again.output.splitlines() if line.split()[:1] and line.split()[0] in ssh_fleet.names]
    assert {line.split()[0] for line in lines} == set(ssh_fleet.names), again.output
    # What a busy machine takes for all hosts while they are well comes on top.
    assert max(ended.elapsed_s, again.elapsed_s) < LIMIT_S + deployed.elapsed_s
