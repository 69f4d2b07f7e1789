# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.toolkit_changes import (
    START_UNIT,
    cdi_is_stale,
    daemon_options,
    toolkit_changes,
)
from prepared_hosts import HOST, changed
from prepared_hosts import TOOLKIT_PACKAGES as FOUR

TOOLKIT = {
    "mode": "install",
    "version": "",
    "version_tested": "1.20.0",
    "version_min": "1.17.8",
    "hold": False,
    "access": "auto",
    "server_access": "auto",
    "packages": FOUR,
}

SPEC = {"path": "/etc/cdi/nvidia.yaml", "cdi_version": "0.5.0", "driver_versions": [], "changed_at_s": 1001.0}
OLD_SPEC = {**SPEC, "driver_versions": ["580.1"]}

EMPTY_TOOLKIT = [
    ("toolkit.version", None),
    ("toolkit.cdi_devices", []),
    ("toolkit.cdi_specs", []),
    ("toolkit.hook_changed_at_s", None),
    ("toolkit.guard_rule", None),
    ("packages.versions", {}),
]


def test_a_prepared_host_needs_nothing():
    assert not toolkit_changes(HOST, TOOLKIT)["changes"] and not toolkit_changes(HOST, TOOLKIT)["problems"]


def test_a_host_without_a_toolkit():
    plan = toolkit_changes(changed(*EMPTY_TOOLKIT), TOOLKIT)
    assert plan["install"] and plan["guard"] and plan["refresh_cdi"]
    assert plan["packages"] == [f"{name}=1.20.0-*" for name in FOUR]
    assert (plan["access"], plan["daemon_options"], plan["cdi_path"]) == ("cdi", {}, "/etc/cdi/nvidia.yaml")


@pytest.mark.parametrize(
    ("changes", "want", "expected"),
    [
        ([("toolkit.version", "1.16.2")], {}, {"install": True}),
        ([("toolkit.version", "1.18.2")], {}, {"install": False}),
        (
            [("toolkit.version", "1.18.2")],
            {"version": "1.19.1"},
            {"install": True, "downgrade": False, "packages": [f"{name}=1.19.1-*" for name in FOUR]},
        ),
        ([], {"version": "1.19.1"}, {"install": True, "downgrade": True}),
        ([], {"version": "1.20.0"}, {"install": False}),
        (
            [("packages.manager", "dnf"), ("packages.held", FOUR)],
            {"version": "1.21.0"},
            {"release": FOUR, "hold": FOUR},
        ),
        ([("packages.manager", "dnf")], {"hold": True}, {"release": [], "hold": FOUR}),
        ([("packages.manager", "dnf"), ("packages.held", FOUR)], {"hold": True}, {"changes": False}),
        ([("packages.versions", {FOUR[0]: "1.20.0-1", FOUR[1]: "1.18.2-1"})], {}, {"install": True}),
        (
            [("packages.manager", "dnf"), ("toolkit.version", None)],
            {},
            {"packages": [f"{name}-1.20.0" for name in FOUR]},
        ),
        ([], {"hold": True}, {"hold": FOUR}),
        ([("packages.held", FOUR)], {"hold": True}, {"hold": []}),
        ([("packages.held", FOUR), ("toolkit.version", "1.16.2")], {"hold": True}, {"install": True, "hold": FOUR}),
        ([("packages.held", FOUR[:1]), ("toolkit.version", "1.16.2")], {}, {"install": True, "hold": FOUR[:1]}),
        ([("docker.version", "26.1.5")], {}, {"config": True, "daemon_options": {"features": {"cdi": True}}}),
        ([("docker.version", "20.10.24+dfsg1")], {}, {"access": "runtime", "config": True, "refresh_cdi": False}),
        ([], {"access": "runtime"}, {"access": "runtime", "config": True, "restart": False}),
        ([("toolkit.hook_changed_at_s", 3000.0)], {"access": "runtime"}, {"restart": True}),
        ([("toolkit.hook_changed_at_s", 3000.0)], {}, {"restart": False, "refresh_cdi": True}),
        # A server that takes --gpus beside CDI: Docker must have started after the hook came.
        ([("toolkit.hook_changed_at_s", 3000.0)], {"server_access": "runtime"}, {"access": "cdi", "restart": True}),
        (
            [("toolkit.hook_changed_at_s", 3000.0), ("toolkit.version", "1.17.8")],
            {},
            {"access": "cdi", "restart": True},
        ),
        ([("toolkit.version", "1.17.8")], {}, {"access": "cdi", "restart": False}),
        ([("gpu.driver_version", "590.1")], {}, {"refresh_cdi": True, "cdi_path": "/var/run/cdi/nvidia.yaml"}),
        ([("toolkit.guard_rule", "old")], {}, {"guard": True}),
        # A Docker that knows no CDI device yet when it starts containers.
        ([("docker.version", "28.2.2")], {}, {"access": "cdi", "starter": False}),
        ([("docker.version", "28.1.1")], {}, {"access": "cdi", "starter": True, "changes": True}),
        ([("docker.version", "28.1.1"), ("toolkit.start_unit", START_UNIT)], {}, {"starter": False}),
        ([("docker.version", "28.1.1"), ("toolkit.start_unit", "old")], {}, {"starter": True}),
        ([("docker.version", "26.0.2")], {}, {"access": "runtime", "starter": False}),
        ([("docker.version", "28.1.1")], {"mode": "verify"}, {"starter": False}),
        # What the toolkit writes, Docker cannot read: --gpus.
        ([("docker.version", "26.0.2")], {}, {"access": "runtime", "refresh_cdi": False}),
        ([*EMPTY_TOOLKIT, ("docker.version", "25.0.5")], {}, {"access": "runtime", "install": True}),
        ([*EMPTY_TOOLKIT, ("docker.version", "25.0.5")], {"version": "1.18.2"}, {"access": "cdi", "refresh_cdi": True}),
        # What is on the host, it can, and the other way round.
        ([("docker.version", "26.0.2"), ("toolkit.cdi_specs", [SPEC])], {}, {"access": "cdi", "refresh_cdi": False}),
        (
            [("docker.version", "26.0.2"), ("toolkit.version", "1.18.2")],
            {},
            {"access": "cdi", "refresh_cdi": True, "cdi_path": "/var/run/cdi/nvidia.yaml"},
        ),
        (
            [("docker.version", "28.5.2"), ("toolkit.cdi_specs", [{**SPEC, "cdi_version": "1.1.0"}])],
            {},
            {"access": "cdi", "refresh_cdi": True, "cdi_path": "/etc/cdi/nvidia.yaml"},
        ),
        # Only what Docker reads has to be written again.
        (
            [
                ("docker.version", "26.0.2"),
                ("toolkit.version", "1.18.2"),
                ("gpu.driver_version", "590.1"),
                ("toolkit.cdi_specs", [{**SPEC, "cdi_version": "0.7.0", "path": "/etc/cdi/a.yaml"}, OLD_SPEC]),
            ],
            {},
            {"refresh_cdi": True, "cdi_path": OLD_SPEC["path"]},
        ),
        ([("toolkit.guard_rule", None)], {"mode": "verify"}, {"guard": False, "changes": False}),
    ],
)
def test_what_differs_in_the_toolkit(changes, want, expected):
    plan = toolkit_changes(changed(*changes), {**TOOLKIT, **want})
    assert {key: plan[key] for key in expected} == expected
    assert plan["problems"] == []


@pytest.mark.parametrize(
    ("changes", "want", "said"),
    [
        (EMPTY_TOOLKIT, {"mode": "verify"}, "nvidia_container_toolkit_mode: install"),
        ([("docker.version", "20.10.24")], {"access": "cdi"}, "nvidia_container_toolkit_access: auto"),
        (
            [("docker.version", "26.0.2")],
            {"access": "cdi"},
            "set docker_engine_version_min: '26.1' or nvidia_container_toolkit_version: 1.18.2",
        ),
        (
            [("docker.version", "25.0.5")],
            {"access": "cdi", "mode": "verify"},
            "reads CDI specifications up to version 0.6.0",
        ),
        (
            [("toolkit.version", "1.13.5")],
            {"access": "cdi", "mode": "verify", "version_min": "1.12"},
            "lack device nodes",
        ),
        ([], {"version": "1.21.0", "mode": "verify"}, "Expected: 1.21.0"),
        ([], {"version_min": "1.21.0"}, "set nvidia_container_toolkit_version "),
        ([], {"version": "1.17.0"}, "lower nvidia_container_toolkit_version_min"),
    ],
)
def test_a_toolkit_that_is_refused_has_its_remedy(changes, want, said):
    problems = toolkit_changes(changed(*changes), {**TOOLKIT, **want})["problems"]
    assert len(problems) == 1
    assert said in str(problems[0]) and problems[0].remedy


@pytest.mark.parametrize(("wanted", "access"), [("auto", "cdi"), ("cdi", "cdi"), ("runtime", "runtime")])
def test_access_is_what_is_asked_for(wanted, access):
    assert toolkit_changes(HOST, {**TOOLKIT, "access": wanted})["access"] == access


@pytest.mark.parametrize(
    ("access", "docker", "keys"),
    [("cdi", "28.2.2", []), ("cdi", "28.1.1", ["features"]), ("runtime", "20.10.24", ["runtimes"])],
)
def test_daemon_options(access, docker, keys):
    assert list(daemon_options(access, docker)) == keys


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ([], False),
        ([("toolkit.cdi_devices", [])], True),
        ([("gpu.driver_version", "590.1")], True),
        ([("gpu.count", 2)], True),
        ([("gpu.count", 2), ("gpu.cards", [{"mig_mode": True}])], False),
        ([("toolkit.cdi_specs", [SPEC])], False),
        ([("docker.version", "26.0.2")], True),
        ([("docker.version", "26.0.2"), ("toolkit.cdi_specs", [SPEC])], False),
        ([("toolkit.hook_changed_at_s", None)], False),
        ([("toolkit.hook_changed_at_s", 1500.0)], True),
        (
            [("toolkit.hook_changed_at_s", 1500.0), ("toolkit.cdi_specs", [SPEC, {**SPEC, "changed_at_s": 1600.0}])],
            False,
        ),
    ],
)
def test_a_stale_specification(changes, stale):
    assert cdi_is_stale(changed(*changes)) is stale
