# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`./run demo` in a clone, as a stranger runs it; the environment is the tests' own, for making one takes minutes."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench import TOLERANT

from .conftest import ROOT
from .test_deploy import clone

__all__ = ["clone"]  # the fixture


def run(folder, *arguments):
    """A verb of the clone's `run`, with what pip would install taken from the tests' environment."""
    script = folder / "run"
    script.write_text(script.read_text().replace("need_user() {\n", "need_user() {\n  return\n"))
    paths = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        ["sh", str(script), *arguments],
        env={**os.environ, **paths},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def taken():
    """One of the ports that the demo's inventory names, held by another program."""
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", 18100))
            other.listen()
        except OSError:
            pass  # it is held already
        yield 18100


def test_a_taken_port_does_not_stop_the_demo_and_its_table_comes_once(clone, taken):
    smoke = ["-e", json.dumps({"benchmark_workload": "smoke", "benchmark_validity": TOLERANT})]
    try:
        shown = run(clone, "demo", *smoke)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert shown.stdout.count("Token throughput") == 1
        page = shown.stdout.splitlines()[-1].removeprefix("Report: ")
        assert page.endswith("/report.html") and Path(page).exists(), page
        assert "3 of 3 hosts with a valid result" in shown.stdout
    finally:
        run(clone, "teardown-demo")


@pytest.mark.parametrize(
    ("place", "folder"),
    [("checkout/inventory/demo", "{root}/checkout/.demo"), ("runner/inventory", "/tmp/llmfleet/.demo")],
)
def test_the_demo_keeps_its_state_in_the_checkout_and_in_a_job_of_awx_outside_of_it(tmp_path, place, folder):
    """A job of AWX has the hosts in a file of its own, from whose place nothing of the project can be found."""
    inventory = tmp_path / place / "hosts.yml"
    inventory.parent.mkdir(parents=True)
    inventory.write_text((ROOT / "inventory" / "demo" / "hosts.yml").read_text())
    command = [
        "ansible",
        "inference",
        "-i",
        inventory,
        "-m",
        "ansible.builtin.debug",
        "-a",
        "var=inference_server_state_dir",
    ]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folders = set(re.findall(r'"?inference_server_state_dir"?: "?([^"\n]+)', done.stdout))
    assert {str(Path(value).parent) for value in folders} == {folder.format(root=tmp_path)}
