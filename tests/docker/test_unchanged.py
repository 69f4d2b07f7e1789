# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine reports a container in words of its own: whatever was asked of it, the second deploy finds the same and restarts nothing."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

from tests.docker.conftest import ONLY_THE_SERVER, Containers
from tests.support.docker_engine import docker
from tests.support.pretended_gpus import H100, python_with_gpus

# As much as this machine may lock: more is refused where Docker itself runs in a container. -1 is no limit, as for the engine.
ULIMITS = [f"memlock:{resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]}", "stack:8388608"]

# By host: the GPUs, and the choices whose options an engine may write in another form.
HOSTS: dict[str, tuple[int, dict[str, Any]]] = {
    "one": (1, {}),
    "two": (2, {"inference_server_instances": 2}),
    "eight": (8, {"inference_server_instances": 2, "inference_server_tensor_parallel_size": 4}),
    "part": (8, {"inference_server_instances": 1, "inference_server_bind_address": "localhost"}),
    "published": (2, {"inference_server_release": "published"}),
    "options": (
        2,
        {
            "inference_server_instances": 1,
            "inference_server_user": "1000:1000",
            "inference_server_ulimits": [*ULIMITS, "nofile:1024:2048", "core:0:0"],
            "inference_server_env": {"STAND_IN": "well", "EMPTY": "", "WITH": "a=b c", "NUMBER": 1, "PATH": "/bin:/usr/bin"},
        },
    ),
}  # fmt: skip


@pytest.fixture
def gpus(binds_gpus: None, fleet: Containers, tmp_path: Path) -> Containers:
    """A fleet of hosts with pretended GPUs, each seen through a Python of its own."""
    folders = [f"{tmp_path}/models/:/extra/", f"{tmp_path}/models:/read:ro", f"{tmp_path}//models:/both:ro,z"]
    for at, (name, (count, variables)) in enumerate(HOSTS.items()):  # one machine has a GPU once
        more = {"inference_server_volumes": folders} if name == "options" else {}
        python = str(python_with_gpus(tmp_path / name, [(H100, 81559)] * count, 10 * at + 1))
        limited = {"inference_server_ulimits": ULIMITS, **variables, **more}
        fleet.serve(name, ansible_python_interpreter=python, **limited)
        fleet.hosts[name] = ("h100", fleet.hosts[name][1])
    (tmp_path / "models").mkdir()
    return fleet


def containers(fleet: Containers) -> dict[str, str]:
    """The start of each container by its name and ID."""
    names = docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={fleet.container('')}").split()
    return {name: docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name) for name in names}


def test_an_unchanged_deploy_restarts_nothing_whatever_the_engine_was_asked(gpus: Containers) -> None:
    first = gpus.play("deploy.yml", options=ONLY_THE_SERVER)
    assert first.rc == 0, first.output
    started = containers(gpus)
    assert len(started) == len(HOSTS) + 2
    again = gpus.play("deploy.yml", options=ONLY_THE_SERVER)
    assert again.rc == 0, again.output
    assert {name: again.changed(name) for name in HOSTS} == dict.fromkeys(HOSTS, 0)
    assert containers(gpus) == started
