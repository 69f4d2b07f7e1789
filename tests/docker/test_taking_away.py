# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What taking a server away, replacing it and going back do on a host that holds more than that server."""

from __future__ import annotations

import json

from tests.docker.conftest import Containers
from tests.docker.test_containers import served_names
from tests.support.docker_engine import docker


def compiled(fleet: Containers, name: str) -> str:
    """The volume of a host's container."""
    (mount,) = json.loads(docker("inspect", "--format", "{{json .Mounts}}", fleet.container(name)))
    return mount["Name"]


def volumes() -> list[str]:
    return docker("volume", "ls", "--quiet").split()


def test_a_purge_leaves_what_another_server_uses(fleet: Containers) -> None:
    fleet.serve("one")
    fleet.serve("two")
    assert fleet.play("deploy.yml").rc == 0
    volume = compiled(fleet, "one")
    assert volume == compiled(fleet, "two")
    kept = fleet.play("teardown.yml", limit="one", inference_server_purge=True)
    assert (kept.rc, volume in volumes()) == (0, True), kept.output
    assert served_names(fleet.port("two")) == ["lfm25_8b_a1b"]
    gone = fleet.play("teardown.yml", limit="two", inference_server_purge=True)
    assert (gone.rc, volume in volumes()) == (0, False), gone.output


def test_a_rollback_can_be_rehearsed(fleet: Containers) -> None:
    fleet.serve("one")
    assert fleet.play("deploy.yml").rc == 0
    assert fleet.play("deploy.yml", inference_server_extra_args=["--seed", "7"]).rc == 0
    born = fleet.started_at("one")
    rehearsed = fleet.play("rollback.yml", check=True)
    assert rehearsed.rc == 0, rehearsed.output
    assert rehearsed.changed("one") > 0
    assert fleet.started_at("one") == born


def test_a_process_takes_a_containers_place_and_the_container_is_back_by_rollback(fleet: Containers) -> None:
    fleet.serve("one")
    assert fleet.play("deploy.yml").rc == 0
    label = docker("inspect", "--format", '{{index .Config.Labels "org.llmfleet.image"}}', fleet.container("one"))
    assert label.strip() == fleet.image
    swapped = fleet.play("deploy.yml", inference_server_backend="simulator")
    assert swapped.rc == 0, swapped.output
    assert docker("ps", "--all", "--quiet", "--filter", f"name={fleet.container('one')}") == ""
    back = fleet.play("rollback.yml")
    assert back.rc == 0, back.output
    assert fleet.started_at("one")
