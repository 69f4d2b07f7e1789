# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ctrl-C in the middle of a start, a container that never started, and what an engine still does for a run that has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docker.conftest import Containers
from tests.docker.test_containers import served_names
from tests.integration.conftest import ROOT
from tests.support.docker_engine import docker
from tests.support.docker_proxy import docker_proxy

CONFLICT = 'Conflict. The container name "/x" is already in use by container "0". You have to remove that container.'


def state(name: str) -> str:
    return docker("ps", "--all", "--filter", f"name=^/{name}$", "--format", "{{.State}}")


def test_after_ctrl_c_in_the_middle_of_a_start_the_next_run_works_at_once(fleet: Containers) -> None:
    fleet.serve("one", "slow_start")
    fleet.write()
    playbook = (Path(sys.executable).parent / "ansible-playbook", "-i", fleet.inventory, ROOT / "playbooks/deploy.yml")
    with (fleet.folder / "first.log").open("wb") as log:
        first = subprocess.Popen(playbook, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 120
    while not state(fleet.container("one")):
        assert first.poll() is None and time.monotonic() < deadline, (fleet.folder / "first.log").read_text()
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGINT)
    first.wait(60)
    assert (fleet.folder / "state/one/lock.json").exists()
    again = fleet.play("deploy.yml", inference_server_lock_wait_s=0)
    assert again.rc == 0, again.output
    assert served_names(fleet.port("one")) == ["lfm25_8b_a1b"]
    assert fleet.play("deploy.yml").changed("one") == 0


def test_a_container_that_an_interrupted_run_only_created_is_started_and_counted(
    fleet: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.serve("one")

    def no_start(method: str, path: str) -> tuple[int, str] | None:
        return (500, "not now") if method == "POST" and path.partition("?")[0].endswith("/start") else None

    with docker_proxy(no_start) as address, monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", address)
        first = fleet.play("deploy.yml", inference_server_rollback=False)
    assert first.rc != 0
    assert state(fleet.container("one")) == "created"
    again = fleet.play("deploy.yml")
    assert (again.rc, again.changed("one")) == (0, 2), again.output  # the container and the facts
    assert state(fleet.container("one")) == "running"


def test_a_container_that_could_not_be_started_is_not_left_behind(fleet: Containers) -> None:
    fleet.serve("one", inference_server_user="nobody-has-this-name")
    refused = fleet.play("deploy.yml")
    assert (refused.rc != 0, refused.changed("one")) == (True, 0), refused.output
    assert "unable to find user" in refused.failures("one")
    assert state(fleet.container("one")) == ""


def test_a_name_that_is_in_use_for_a_moment_is_waited_for(fleet: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.serve("one")
    left = [CONFLICT] * 2

    def conflicts(method: str, path: str) -> tuple[int, str] | None:
        return (409, left.pop()) if left and method == "POST" and "/containers/create" in path else None

    with docker_proxy(conflicts) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        deployed = fleet.play("deploy.yml")
    assert (deployed.rc, deployed.changed("one"), left) == (0, 2, []), deployed.output


def test_what_failed_before_anything_was_stopped_is_not_called_a_rollback(fleet: Containers) -> None:
    fleet.serve("one")
    assert fleet.play("deploy.yml").rc == 0
    born = fleet.started_at("one")
    refused = fleet.play("deploy.yml", inference_server_image="llmfleet-test/not-here:1")
    assert refused.rc != 0
    assert "Nothing was stopped" in refused.failures("one") and "Rolled back" not in refused.failures("one")
    assert fleet.started_at("one") == born
