# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a container is: those of others, and of other servers of the host, are neither replaced nor removed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.docker.conftest import ONLY_THE_SERVER, Containers
from tests.docker.test_containers import served_names
from tests.docker.test_unchanged import ULIMITS
from tests.support.docker_engine import docker
from tests.support.pretended_gpus import H100, python_with_gpus, uuid


def identity(name: str) -> str:
    return docker("inspect", "--format", "{{.Id}}", name)


def made_by_others(fleet: Containers, name: str) -> str:
    """A container of that name that has no label of ours; its ID."""
    return docker("create", "--name", name, "--entrypoint", "sleep", fleet.image, "1000")


def test_a_container_of_others_is_refused_and_the_printed_command_mends(fleet: Containers) -> None:
    fleet.serve("one")
    theirs = made_by_others(fleet, fleet.container("one"))
    refused = fleet.play("deploy.yml")
    assert (refused.rc, refused.changed("one")) == (2, 0), refused.output
    said = refused.failures("one")
    assert f"({fleet.image}, created) is of someone else" in said
    assert identity(fleet.container("one")) == theirs
    command = re.search(r"on the host: (docker rm --force \S+);", said)
    assert command, said
    subprocess.run(command[1].split(), check=True, timeout=60)
    mended = fleet.play("deploy.yml")
    assert mended.rc == 0, mended.output
    assert served_names(fleet.port("one")) == ["lfm25_8b_a1b"]


def test_a_rollback_and_a_teardown_leave_a_container_of_others(fleet: Containers) -> None:
    fleet.serve("one")
    assert fleet.play("deploy.yml").rc == 0
    assert fleet.play("deploy.yml", inference_server_extra_args=["--seed", "7"]).rc == 0
    docker("rm", "--force", fleet.container("one"))
    theirs = made_by_others(fleet, fleet.container("one"))
    refused = fleet.play("rollback.yml")
    assert refused.rc == 2, refused.output
    assert "is of someone else" in refused.failures("one")
    swapped = fleet.play("deploy.yml", inference_server_backend="simulator")  # whose containers are orphans then
    assert swapped.rc == 0, swapped.output
    assert fleet.play("teardown.yml", inference_server_backend="simulator").rc == 0
    assert identity(fleet.container("one")) == theirs


def test_a_second_server_on_the_engine_and_the_teardown_of_one(fleet: Containers) -> None:
    fleet.serve("one")
    fleet.serve("two")
    assert fleet.play("deploy.yml", limit="one").rc == 0
    docker("stop", fleet.container("one"))
    taken = fleet.play("deploy.yml", limit="two", inference_server_port=fleet.port("one"))
    assert (taken.rc, taken.changed("two")) == (2, 0), taken.output
    assert f"port {fleet.port('one')} is that of the server {fleet.container('one')}" in taken.failures("two")
    assert fleet.play("deploy.yml").rc == 0
    first = fleet.started_at("one")
    assert fleet.play("teardown.yml", limit="two").rc == 0
    assert fleet.started_at("one") == first
    assert served_names(fleet.port("one")) == ["lfm25_8b_a1b"]


def test_another_inventory_name_with_a_folder_of_its_own_does_not_take_a_container_over(fleet: Containers) -> None:
    fleet.serve("one")
    fleet.serve("two", inference_server_name=fleet.container("one"))
    assert fleet.play("deploy.yml", limit="one").rc == 0
    first = fleet.started_at("one")
    refused = fleet.play("deploy.yml", limit="two")
    assert (refused.rc, refused.changed("two")) == (2, 0), refused.output
    assert "is deployed from the inventory as one" in refused.failures("two")
    assert fleet.started_at("one") == first


def test_a_second_server_gets_the_free_gpu_or_is_refused_with_who_has_them(
    binds_gpus: None, fleet: Containers, tmp_path: Path
) -> None:
    python = str(python_with_gpus(tmp_path / "gpus", [(H100, 81559)] * 2))
    for name in ("one", "two"):
        fleet.serve(name, ansible_python_interpreter=python, inference_server_ulimits=ULIMITS)
        fleet.hosts[name] = ("h100", fleet.hosts[name][1])
    whole = fleet.play("deploy.yml", limit="one", options=ONLY_THE_SERVER, inference_server_instances=2)
    assert whole.rc == 0, whole.output
    refused = fleet.play("deploy.yml", limit="two", options=ONLY_THE_SERVER)
    assert (refused.rc, refused.changed("two")) == (2, 0), refused.output
    assert "no GPU is free: GPU 0" in refused.failures("two") and fleet.container("one") in refused.failures("two")
    assert fleet.play("deploy.yml", limit="one", options=ONLY_THE_SERVER, inference_server_instances=1).rc == 0
    both = fleet.play("deploy.yml", options=ONLY_THE_SERVER, inference_server_instances=1)
    assert both.rc == 0, both.output
    assert [gpus_of(fleet.container(name)) for name in ("one", "two")] == [[uuid(1)], [uuid(2)]]


def gpus_of(container: str) -> list[str]:
    """The GPUs that a container was given by name."""
    requests = json.loads(docker("inspect", "--format", "{{json .HostConfig.DeviceRequests}}", container))
    return [gpu for request in requests for gpu in request["DeviceIDs"]]
