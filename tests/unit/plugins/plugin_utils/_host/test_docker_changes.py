# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.docker_changes import docker_changes
from prepared_hosts import HOST, changed

DOCKER = {
    "mode": "install",
    "source": "docker",
    "version": "",
    "version_min": "20.10",
    "hold": False,
    "defaults": {},
    "options": {"live-restore": True},
    "packages": {"docker": ["docker-ce", "docker-ce-cli", "containerd.io"], "distribution": ["docker.io"]},
    "conflicts": {
        "docker": ["docker.io", "podman-docker", "containerd", "runc"],
        "distribution": ["docker-ce", "docker-ce-cli", "podman-docker"],
    },
    "needs": {"python3-requests": "requests"},
}

BARE = [
    ("docker.state", "absent"),
    ("docker.version", None),
    ("docker.enabled", None),
    ("docker.daemon_config.content", {}),
    ("packages.versions", {}),
    ("packages.python_modules.requests", False),
]


def test_a_prepared_host_needs_nothing():
    assert not docker_changes(HOST, DOCKER)["changes"] and not docker_changes(HOST, DOCKER)["problems"]


def test_a_bare_host():
    plan = docker_changes(changed(*BARE), DOCKER)
    assert plan["install"] and plan["config"] and plan["start"] and plan["changes"]
    assert plan["packages"] == ["docker-ce", "docker-ce-cli", "containerd.io"]
    assert plan["needs"] == ["python3-requests"]
    assert plan["problems"] == []


@pytest.mark.parametrize(
    ("changes", "want", "expected"),
    [
        ([], {"version": "28.2"}, {"install": False}),
        (
            [],
            {"version": "29.0.1"},
            {"install": True, "packages": ["docker-ce=*29.0.1*", "docker-ce-cli=*29.0.1*", "containerd.io"]},
        ),
        (
            [("packages.manager", "dnf")],
            {"version": "29.0.1"},
            {"packages": ["docker-ce-29.0.1*", "docker-ce-cli-29.0.1*", "containerd.io"]},
        ),
        ([], {"version_min": "29"}, {"install": True}),
        ([], {"source": "distribution"}, {"install": False, "conflicts": []}),
        (
            [
                ("packages.versions", {"docker.io": "19", "containerd": "1.6", "runc": "1.1"}),
                ("docker.version", "19.03"),
            ],
            {},
            {"conflicts": ["docker.io", "containerd", "runc"]},
        ),
        ([], {"source": "distribution", "version_min": "29"}, {"conflicts": ["docker-ce", "docker-ce-cli"]}),
        ([("packages.held", ["docker-ce"])], {"hold": True}, {"hold": ["docker-ce-cli", "containerd.io"]}),
        ([("packages.held", ["docker-ce"]), ("docker.version", "19.03")], {}, {"install": True, "hold": ["docker-ce"]}),
        ([("packages.manager", "dnf"), ("packages.held", ["docker-ce"])], {}, {"release": [], "hold": []}),
        (
            [("packages.manager", "dnf"), ("packages.held", ["docker-ce"]), ("docker.version", "19.03")],
            {"hold": True},
            {"release": ["docker-ce"], "hold": ["docker-ce", "docker-ce-cli", "containerd.io"]},
        ),
        ([("docker.state", "stopped")], {}, {"start": True}),
        ([("docker.enabled", False)], {}, {"start": True}),
        ([("docker.enabled", None)], {}, {"start": False}),
        ([], {"options": {"debug": True}}, {"config": True}),
        ([], {"proxy": {}}, {"config": False, "drop_in": "", "changes": False}),
        ([], {"proxy": {"https_proxy": "http://proxy:3128"}}, {"config": True, "drop_in": "", "changes": True}),
        ([], {"mode": "verify", "proxy": {"https_proxy": "http://proxy:3128"}}, {"config": False, "changes": False}),
        ([("cloud_init.status", "running")], {}, {"wait_for_first_boot": True}),
        ([("docker.daemon_config.content", {})], {"mode": "verify"}, {"config": False, "changes": False}),
    ],
)
def test_what_differs_in_docker(changes, want, expected):
    plan = docker_changes(changed(*changes), {**DOCKER, **want})
    assert {key: plan[key] for key in expected} == expected
    assert plan["problems"] == []


@pytest.mark.parametrize(
    ("changes", "want", "said"),
    [
        ([("docker.daemon_config.error", "not JSON: line 1")], {}, "not touched"),
        ([], {"options": {"hosts": ["fd://"]}}, "command line"),
        ([], {"options": {"live-restore": "yes"}}, "true or false"),
        (BARE, {"packages": {}}, "docker_engine_source"),
        (
            [
                ("packages.versions", {"docker.io": "20.10.24"}),
                ("docker.version", "20.10.24"),
                ("docker.containers", [{"name": "llm", "state": "running"}, {"name": "old", "state": "exited"}]),
            ],
            {"version_min": "28"},
            "would stop llm",
        ),
        ([*BARE, ("packages.versions", {"podman-docker": "4.3.1"})], {}, "sudo apt-get remove --yes podman-docker;"),
        (
            [*BARE, ("packages.versions", {"podman-docker": "4.3.1"})],
            {"source": "distribution"},
            "podman-docker is installed",
        ),
        (
            [*BARE, ("packages.versions", {"containerd": "1.6"}), ("packages.manager", "dnf")],
            {},
            "sudo dnf remove --yes containerd;",
        ),
        ([("docker.state", "no_answer"), ("docker.message", "permission denied")], {}, "does not answer"),
        ([*BARE, ("os.service_manager", None)], {}, "no systemd"),
        ([("os.service_manager", None)], {"options": {"debug": True}}, "no systemd"),
        (BARE, {"mode": "verify"}, "docker_engine_mode: install"),
        ([], {"mode": "verify", "version_min": "29"}, "29 or newer"),
    ],
)
def test_what_is_refused_has_its_remedy(changes, want, said):
    problems = docker_changes(changed(*changes), {**DOCKER, **want})["problems"]
    assert len(problems) == 1
    assert said in str(problems[0]) and problems[0].remedy
