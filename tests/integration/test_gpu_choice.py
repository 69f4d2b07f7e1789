# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with GPUs that are not for serving, through the playbooks: who gets which GPU, what is left alone, and what is refused."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from tests.support.pretended_gpus import python_with_gpus, uuid

from .conftest import ROOT

A100 = ("NVIDIA A100-SXM4-80GB", 81920)
DISPLAY = ("NVIDIA DGX Display", 4096)
STATION = [DISPLAY, A100, A100, A100, A100]  # the display is GPU 0, as the driver counts
LEFT = "GPU 0 (NVIDIA DGX Display, 4 GiB): not of class a100"


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            base = first.getsockname()[1]
        sockets = [socket.socket() for _each in range(count)]
        try:
            for number, each in enumerate(sockets):
                each.bind(("127.0.0.1", base + number))
            return base
        except (OSError, OverflowError):
            continue
        finally:
            for each in sockets:
                each.close()


@pytest.fixture
def station(fleet, tmp_path):
    """One host with a display GPU and four A100, on which an engine that needs none is started as a process."""
    fleet.add(
        "station",
        "a100",
        ansible_python_interpreter=str(python_with_gpus(tmp_path / "gpus", STATION)),
        inference_server_backend="vllm",
        inference_server_runtime="process",
        inference_server_command=[sys.executable, str(ROOT / "tests/support/stand_in/vllm")],
        inference_server_become=False,
        inference_server_port=free_ports(4),
        gpu_preflight_become=False,
    )
    return fleet


def fact_of(fleet) -> dict:
    return json.loads((fleet.folder / "state" / "station" / "facts.d" / "llmfleet_server.fact").read_text())


def visible(folder: Path) -> list[str]:
    """The GPUs that each process was shown, in the order of the instances."""
    found = []
    for record in sorted(folder.glob("state/station/*/process.json")):
        environment = Path(f"/proc/{json.loads(record.read_text())['pid']}/environ").read_text()
        found += [entry.partition("=")[2] for entry in environment.split("\0") if entry.startswith("CUDA_VISIBLE")]
    return sorted(found)


def nothing_was_started(fleet) -> bool:
    """Whether neither a server nor a fact of one came to be."""
    return [*fleet.folder.glob("state/*/*/process.json"), *fleet.folder.glob("state/*/facts.d/*")] == []


def test_servers_go_to_the_class_and_the_display_is_left_alone_and_named(station):
    first = station.play("deploy.yml")
    assert first.rc == 0, first.output
    assert visible(station.folder) == [uuid(number) for number in (2, 3, 4, 5)]
    fact = fact_of(station)
    assert [instance["gpu_uuids"] for instance in fact["instances"]] == [[uuid(number)] for number in (2, 3, 4, 5)]
    assert (fact["gpu"]["count"], fact["gpu"]["name"], fact["gpu"]["left"]) == (4, A100[0], [LEFT])
    assert first.output.count(LEFT) == 1
    again = station.play("deploy.yml")
    assert (again.rc, again.changed("station")) == (0, 0), again.output


def test_gpus_that_are_named_are_taken_and_a_wrong_name_changes_nothing(station):
    refused = station.play("deploy.yml", inference_server_gpus=[0, "GPU-none", 2, uuid(3)])
    assert refused.rc != 0
    for words in (
        "names GPU-none, which the host has not",
        f"GPU 1 (NVIDIA A100-SXM4-80GB, 80 GiB) {uuid(2)}",
        "names GPU 2 (NVIDIA A100-SXM4-80GB, 80 GiB) twice",
        "names GPU 0 (NVIDIA DGX Display, 4 GiB), and it is not of class a100",
        "gpu_profile: {gpu_class: CLASS, name: NVIDIA DGX Display}",
    ):
        assert words in refused.failures("station")
    assert nothing_was_started(station)
    taken = station.play("deploy.yml", inference_server_gpus=f"4,{uuid(2)}")  # as `-e` has it
    assert taken.rc == 0, taken.output
    assert visible(station.folder) == [uuid(2), uuid(5)]


def test_what_the_message_says_to_type_serves_on_the_other_gpu(station):
    group, variables = station.hosts["station"]
    profile = {"gpu_class": "display", "name": "NVIDIA DGX Display"}
    named = {"inference_server_gpus": [0], "inference_server_model": "x/y", "inference_server_served_model_name": "y"}
    station.hosts["station"] = (group, {**variables, "gpu_profile": profile, **named})
    run = station.play("deploy.yml")
    assert run.rc == 0, run.output
    assert visible(station.folder) == [uuid(1)]
    assert fact_of(station)["gpu"]["class"] == "display"


def test_a_host_in_two_groups_of_classes_is_refused_with_both(station):
    both = station.folder / "both.yml"
    both.write_text("inference: {children: {b200: {hosts: {station: }}}}\n")
    run = station.play("deploy.yml", limit="station", options=f"-i {both}")
    assert run.rc != 0
    said = run.failures("station")
    assert "the host is in 2 groups of GPU classes: a100, b200" in said
    assert "take it out of b200 in the inventory" in said
    assert nothing_was_started(station)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ([], "left alone on station: " + LEFT),
        ([9], "gpu_choice: inference_server_gpus names 9, which the host has not"),
    ],
)
def test_the_check_up_names_what_is_left_alone_and_what_is_wrong(station, named, said):
    run = station.play(
        "prepare.yml",
        options="--tags preflight",
        inference_server_runtime="docker",
        inference_server_gpus=named,
        gpu_preflight_hub_url="",
    )
    assert said in run.output
    assert "4 x NVIDIA A100-SXM4-80GB" in run.output or named
    assert "gpu_matches_profile" not in run.output and "gpu_present" not in run.output
