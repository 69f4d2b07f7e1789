# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several servers on a host: each by its name, with a state folder of its own; none touches another's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Fleet, free_port


@pytest.fixture
def host(fleet: Fleet) -> Fleet:
    """One host, whose state folders are where they are without a choice of the operator, in another home."""
    folder = "{{ inference_server_name | default('') | llmfleet.serving.server_state_dir | regex_replace('^~', HOME) }}"
    fleet.add("one", inference_server_state_dir=folder, HOME=f"{fleet.folder}/state/home")
    return fleet


def state(fleet: Fleet) -> Path:
    return fleet.folder / "state" / "home" / ".local" / "state" / "llmfleet"


def kept(folder: Path, name: str = "llmfleet_server") -> Any:
    return json.loads((folder / "facts.d" / f"{name}.fact").read_text())


def process(folder: Path, name: str) -> Any:
    return json.loads((folder / name / "process.json").read_text())


def test_a_second_server_lives_beside_the_first_and_goes_alone(host: Fleet) -> None:
    second: dict[str, Any] = {"inference_server_name": "second", "inference_server_port": free_port()}
    assert host.play("deploy.yml").rc == 0
    first = process(state(host), "llmfleet-server")
    added = host.play("deploy.yml", **second)
    assert added.rc == 0, added.output
    own = state(host) / "servers" / "second"
    assert (kept(own)["instances"][0]["name"], process(state(host), "llmfleet-server")) == ("second", first)
    for variables in ({}, second):
        again = host.play("deploy.yml", **variables)
        assert (again.rc, again.changed("one")) == (0, 0), again.output
    gone = host.play("teardown.yml", **second)
    assert gone.rc == 0, gone.output
    assert not (own / "second").exists() and not (own / "facts.d" / "llmfleet_server.fact").exists()
    assert process(state(host), "llmfleet-server") == first


def test_a_port_of_another_server_is_refused_also_while_it_is_stopped(host: Fleet) -> None:
    port = free_port()
    assert host.play("deploy.yml", inference_server_port=port).rc == 0
    before = kept(state(host))
    refused = host.play("deploy.yml", inference_server_name="second", inference_server_port=port)
    assert (refused.rc, refused.changed("one")) == (2, 0), refused.output
    assert f"port {port} is that of the server llmfleet-server" in refused.failures("one")
    assert kept(state(host)) == before
    assert not list((state(host) / "servers").rglob("*.fact"))


def test_a_server_of_another_name_that_was_deployed_before_each_had_a_folder_goes_on(host: Fleet) -> None:
    old: dict[str, Any] = {"inference_server_name": "old", "inference_server_port": free_port()}
    assert host.play("deploy.yml", **old, inference_server_state_dir=str(state(host))).rc == 0
    record = process(state(host), "old")
    again = host.play("deploy.yml", **old)
    assert (again.rc, again.changed("one")) == (0, 0), again.output
    assert process(state(host), "old") == record
    measured = host.play("bench.yml", **old)
    assert measured.rc == 0, measured.output
    beside = host.play("deploy.yml")  # the default server finds its folder taken
    assert beside.rc == 0, beside.output
    assert kept(state(host))["instances"][0]["name"] == "old"
    assert kept(state(host) / "servers" / "llmfleet-server")["instances"][0]["name"] == "llmfleet-server"
    gone = host.play("teardown.yml", **old)
    assert gone.rc == 0, gone.output
    assert not (state(host) / "old").exists()


def test_a_state_folder_of_another_server_is_refused(host: Fleet) -> None:
    folder = str(host.folder / "state" / "mine")
    assert host.play("deploy.yml", inference_server_state_dir=folder).rc == 0
    for playbook in ("deploy.yml", "teardown.yml"):
        refused = host.play(playbook, inference_server_state_dir=folder, inference_server_name="second")
        assert (refused.rc, refused.changed("one")) == (2, 0), refused.output
        assert f"the state folder {folder} is that of the server llmfleet-server" in refused.failures("one")
    assert kept(Path(folder))["instances"][0]["name"] == "llmfleet-server"


def test_two_inventory_names_of_one_server_are_refused_and_a_renamed_host_goes_on(host: Fleet) -> None:
    assert host.play("deploy.yml").rc == 0
    record = process(state(host), "llmfleet-server")
    host.hosts["new"] = host.hosts.pop("one")
    for playbook in ("deploy.yml", "rollback.yml", "teardown.yml"):
        refused = host.play(playbook)
        assert (refused.rc, refused.changed("new")) == (2, 0), refused.output
        said = refused.failures("new")
    assert "is deployed from the inventory as one" in said
    option = re.search(r"add -l new -e (\w+)=(\w+);", said)
    assert option, said
    renamed = host.play("deploy.yml", limit="new", **{option[1]: option[2]})
    assert renamed.rc == 0, renamed.output
    assert process(state(host), "llmfleet-server") == record
    again = host.play("deploy.yml")
    assert (again.rc, again.changed("new")) == (0, 0), again.output
