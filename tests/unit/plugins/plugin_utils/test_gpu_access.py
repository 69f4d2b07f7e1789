# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import date
from itertools import product
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._gpu_access import (
    access_of,
    cdi_is_on,
    docker_row,
    first_docker_that_reads,
    has_cdi,
    loses_gpus,
    newest_toolkit_for,
    none_readable,
    reads,
    settings_for_cdi,
    toolkit_row,
    unreadable,
)
from ansible_collections.llmfleet.serving.plugins.plugin_utils._version import version_key
from ansible_collections.llmfleet.serving.plugins.plugin_utils._version_floors import DOCKERS, DRIVERS, TOOLKITS

SPECIFICATIONS = ["0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"]
ENGINES = {
    None: 0,
    "20.10.24+dfsg1": 0,
    "24.0.9": 0,
    "25.0.0": 2,
    "25.0.16": 2,
    "25.0.17": 4,
    "26.0.2": 2,
    "26.1.0": 3,
    "5:26.1.5-1": 3,
    "27.3.1": 3,
    "27.4.0": 4,
    "28.0.4": 4,
    "28.1.1": 5,
    "28.5.2": 5,
    "29.1.5": 5,
    "29.2.0": 6,
    "31.0.0": 6,
}
WRITES = {
    None: None,
    "1.11.0": None,
    "1.13.5": "0.5.0",
    "1.17.8": "0.5.0",
    "1.18.2": "0.5.0",
    "1.19.0": "0.5.0",
    "1.19.1": "0.7.0",
    "1.20.0": "0.7.0",
    "1.21.0": "0.7.0",
}


def spec(version, path="/var/run/cdi/nvidia.yaml"):
    return {"path": path, "cdi_version": version}


@pytest.mark.parametrize("rows", [DOCKERS, TOOLKITS, DRIVERS], ids=["Docker", "toolkit", "driver"])
def test_every_row_has_its_source_and_the_day_it_was_read(rows):
    assert [version_key(row.since) for row in rows] == sorted({version_key(row.since) for row in rows})
    assert all(row.source and date.fromisoformat(row.read) for row in rows)


@pytest.mark.parametrize(("docker", "first"), ENGINES.items(), ids=str)
def test_an_engine_reads_every_specification_up_to_its_newest(docker, first):
    assert [version for version in SPECIFICATIONS if reads(docker, version)] == SPECIFICATIONS[:first]


@pytest.mark.parametrize(("toolkit", "version"), WRITES.items(), ids=str)
def test_what_a_toolkit_writes(toolkit, version):
    row = toolkit_row(toolkit)
    assert (row.writes if row else None) == version


@pytest.mark.parametrize(("docker", "toolkit"), list(product(ENGINES, WRITES)), ids=str)
def test_cdi_is_taken_exactly_where_the_engine_reads_what_the_toolkit_writes(docker, toolkit):
    writes = WRITES[toolkit] if toolkit != "1.13.5" else None  # lacks device nodes
    fits = writes is not None and writes in SPECIFICATIONS[: ENGINES[docker]]
    assert access_of(docker, toolkit) == ("cdi" if fits else "runtime")


@pytest.mark.parametrize(("docker", "version"), list(product(ENGINES, SPECIFICATIONS)), ids=str)
def test_what_is_really_on_the_host_counts_more_than_the_table(docker, version):
    readable = version in SPECIFICATIONS[: ENGINES[docker]]
    assert access_of(docker, "1.20.0", [spec(version)]) == ("cdi" if readable else "runtime")
    assert none_readable(docker, {"cdi_specs": [spec(version)]}) is not readable


@pytest.mark.parametrize(
    ("version", "docker"),
    list(zip(SPECIFICATIONS, ["25.0", "25.0", "26.1", "27.4", "28.1", "29.2"], strict=True)),
    ids=str,
)
def test_the_remedy_names_an_engine_that_reads_it_and_all_later_ones_do(version, docker):
    assert first_docker_that_reads(version) == docker
    assert all(reads(row.since, version) for row in DOCKERS if version_key(row.since) >= version_key(docker))
    assert f"docker_engine_version_min: '{docker}'" in settings_for_cdi("24.0.9", version)


def test_no_setting_is_named_that_does_not_help():
    assert first_docker_that_reads("1.2.0") is None
    assert settings_for_cdi("28.5.2", "1.2.0") == []
    assert settings_for_cdi("28.5.2", "1.1.0") == ["docker_engine_version_min: '29.2'"]


@pytest.mark.parametrize("docker", ENGINES, ids=str)
def test_the_remedy_names_a_toolkit_whose_specification_the_engine_reads(docker):
    toolkit = newest_toolkit_for(docker)
    if docker_row(docker).cdi == "none" or reads(docker, "0.7.0"):
        assert toolkit is None
    else:
        assert access_of(docker, toolkit) == "cdi"


def test_a_specification_without_a_version_is_left_to_the_engine():
    assert reads("25.0.0", None) and not reads("24.0.9", None)


def test_only_the_unreadable_are_named():
    toolkit = {"cdi_specs": [spec("0.5.0", "/etc/cdi/a.yaml"), spec("0.7.0")]}
    assert unreadable("26.0.1", toolkit) == [spec("0.7.0")] and not none_readable("26.0.1", toolkit)
    assert not none_readable("26.0.1", {"cdi_specs": []})


@pytest.mark.parametrize(
    ("docker", "on"),
    [
        ({"version": "28.5.2"}, True),
        ({"version": "28.5.2", "cdi_spec_dirs": ["/etc/cdi"]}, True),
        ({"version": "28.5.2", "cdi_spec_dirs": []}, False),  # features: {cdi: false}
        ({"version": "26.1.5"}, False),
        ({"version": "26.1.5", "cdi_spec_dirs": ["/etc/cdi"]}, True),
        ({"version": "20.10.24", "cdi_spec_dirs": ["/etc/cdi"]}, False),
        ({"version": None}, False),
    ],
)
def test_an_engine_says_itself_whether_cdi_is_on(docker, on):
    assert cdi_is_on(docker) is on


DEVICES = ["nvidia.com/gpu=all", "nvidia.com/gpu=GPU-1"]


@pytest.mark.parametrize(
    ("docker", "toolkit", "version", "offered"),
    [
        ("28.5.2", "1.20.0", "0.7.0", True),
        ("26.1.5", "1.20.0", "0.7.0", True),
        ("26.0.2", "1.20.0", "0.7.0", False),
        ("26.0.2", "1.20.0", "0.5.0", True),
        ("28.5.2", "1.17.8", "0.5.0", False),  # nothing writes it again when a driver comes
        ("28.5.2", "1.20.0", "1.1.0", False),
        ("29.2.1", "1.20.0", "1.1.0", True),
    ],
)
def test_a_server_takes_cdi_where_engine_toolkit_and_specification_agree(docker, toolkit, version, offered):
    engine = {"version": docker, "cdi_spec_dirs": ["/etc/cdi", "/var/run/cdi"]}
    section = {"version": toolkit, "cdi_devices": DEVICES, "cdi_specs": [spec(version)]}
    assert has_cdi(engine, section, ["GPU-1"]) is offered
    assert not has_cdi(engine, section, ["GPU-1", "GPU-2"])


LINKS = ["nvidia0", "nvidiactl"]


@pytest.mark.parametrize(
    ("driver", "docker", "runc", "links", "cdi", "lost"),
    [
        ("cgroupfs", "28.5.2", "1.1.5", LINKS, False, False),
        (None, "28.5.2", "1.1.5", LINKS, False, False),
        ("systemd", "28.5.2", "1.3.3", [], False, True),
        ("systemd", "28.5.2", "1.3.3", [], True, False),
        ("systemd", "28.5.2", "1.3.3", LINKS, True, False),
        ("systemd", "26.1.5", "1.1.5", LINKS, True, True),
        ("systemd", "26.1.5", "1.1.5", [], True, False),
        ("systemd", "26.1.5", "1.1.2", LINKS, True, False),
        ("systemd", "26.1.5", "1.1.7", LINKS, True, False),
        ("systemd", "26.1.5", None, LINKS, True, False),
        ("systemd", "29.2.0", "1.3.3", [], False, False),  # --gpus goes by CDI there
        ("systemd", "29.1.5", "1.3.3", [], False, True),
    ],
)
def test_who_loses_gpus_at_a_daemon_reload(driver, docker, runc, links, cdi, lost):
    engine = {"version": docker, "cgroup_driver": driver, "runc_version": runc}
    toolkit = {"version": "1.20.0", "device_links_missing": links, "cdi_devices": DEVICES, "cdi_specs": [spec("0.7.0")]}
    assert (loses_gpus(engine, toolkit, cdi) is not None) is lost


def test_an_engine_that_cannot_read_the_specification_falls_back_to_the_hook():
    engine = {"version": "29.2.0", "cgroup_driver": "systemd"}
    assert loses_gpus(engine, {"cdi_devices": DEVICES, "cdi_specs": [spec("1.2.0")]}, cdi=False)
    assert loses_gpus(engine, {"cdi_devices": [], "cdi_specs": []}, cdi=False)


def test_the_documented_tables_are_the_data():
    text = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
    dockers = [f"| {row.since} | {row.cdi} | {row.reads or '-'} | {row.gpus} |" for row in DOCKERS]
    toolkits = [f"| {row.since} | {row.writes} | {'yes' if row.refreshes else 'no'} |" for row in TOOLKITS]
    assert "\n".join(dockers) + "\n\n" in text and "\n".join(toolkits) + "\n\n" in text
    assert all(f"CUDA {row.cuda}" in text and row.since in text for row in DRIVERS)
