# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every Python that a host may have is served and measured, an older one is refused. Interpreters that are not here are skipped."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.interpreter import lowest_of_core
from ansible_collections.llmfleet.serving.plugins.plugin_utils._version import at_least

from tests.support.bench import TOLERANT
from tests.support.pythons import find_python
from tests.support.simulator import simulator

from .conftest import Fleet

ROOT = Path(__file__).resolve().parents[2]
TOO_OLD = ("3.6", "3.7")
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
CODE = """
import json, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from tests.support.bench import benchmark
fact = benchmark(sys.argv[3], Path(sys.argv[4]), num_prompts=4, warmup=2, validity=json.loads(sys.argv[5]))
print(json.dumps({"reason": fact["reason"], "completed": fact["metrics"]["completed"], "client": fact["client"]}))
"""
PROXIES = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}  # would measure a proxy


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run(version: str, tmp_path: Path) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    with simulator(tmp_path) as server:
        paths = [str(ROOT), str(ROOT / "playbooks" / "collections"), server.url, str(tmp_path), json.dumps(TOLERANT)]
        command = [python, "-W", "error", "-c", CODE, *paths]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **PROXIES})
    assert ran.returncode == 0, ran.stderr
    assert '"reason": null' in ran.stdout
    assert '"clock": "kernel"' in ran.stdout


def hosts(fleet: Fleet, taken: bool) -> list[str]:
    """Adds a host for each Python that is here and that this ansible-core and the collection take, or do not take."""
    wanted = {
        version: version in VERSIONS and at_least(version, lowest_of_core(basic)) for version in TOO_OLD + VERSIONS
    }
    programs = {version: find_python(version) for version in wanted if wanted[version] is taken}
    for version, program in programs.items():
        if program:
            fleet.add(f"python-{version}", ansible_python_interpreter=program)
    return list(fleet.hosts)


def test_hosts_are_deployed_measured_and_reported(fleet: Fleet) -> None:
    names = hosts(fleet, taken=True)
    assert names
    for expected in (2, 0):
        deployed = fleet.play("deploy.yml")
        assert deployed.rc == 0, deployed.output
        assert {name: deployed.changed(name) for name in names} == dict.fromkeys(names, expected)
    for playbook in ("bench.yml", "report.yml"):
        played = fleet.play(playbook)
        assert played.rc == 0, played.output
        assert {row["host"]: row["status"] for row in fleet.report()["hosts"]} == dict.fromkeys(names, "ok")


@pytest.mark.parametrize("playbook", ["prepare.yml", "deploy.yml", "bench.yml"])
def test_a_host_with_an_older_python_is_refused_in_words(fleet: Fleet, playbook: str) -> None:
    names = hosts(fleet, taken=False)
    if not names:
        pytest.skip("no Python here that is too old")
    played = fleet.play(playbook)
    assert played.rc != 0
    assert "Traceback" not in played.output
    assert "SyntaxError" not in played.output
    for name in names:
        message = played.failures(name)
        for part in (
            f"is {name.removeprefix('python-')}.",
            "or newer",
            "apt-get install",
            "ansible_python_interpreter",
        ):
            assert part in message
    assert not (fleet.folder / "state").exists()
