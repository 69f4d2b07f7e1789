# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The internal role _packages: what the roles that include it hand over becomes the right repository, with apt and with dnf."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils import _knobs

from tests.support.core import load_templates, render

ROLES = Path(__file__).resolve().parents[3] / "roles"
OMIT = "omitted"
OS = {
    "apt": {"family": "debian", "distribution": "ubuntu", "codename": "noble", "version": "24.04"},
    "dnf": {"family": "rhel", "distribution": "rocky", "codename": "", "version": "9"},
}
PLAN = {
    "install": True,
    "packages": ["p"],
    "needs": ["n"],
    "conflicts": ["c"],
    "release": ["r"],
    "hold": ["h"],
}


def load(path: str) -> Any:
    return load_templates(ROLES / path)


def tasks(path: str) -> list[dict[str, Any]]:
    """The tasks of a file, those of its blocks too."""
    entries = load(path)
    return [task for entry in entries for task in entry.get("block", [entry])]


def given(role: str, manager: str, **variables: Any) -> dict[str, Any]:
    """The variables that a role gives to _packages, with those that they are made of."""
    include = {"name": "llmfleet.serving._packages", "rolespec_validate": False}
    (calling,) = [
        task for task in tasks(f"{role}/tasks/install.yml") if task.get("ansible.builtin.include_role") == include
    ]
    defaults = load(
        f"{role}/defaults/main.yml"
    )  # but for lookups: before core 2.19 a template of settings evaluates all of them
    settings = {**{name: value for name, value in defaults.items() if "lookup(" not in str(value)}, **variables}
    known = {
        "omit": OMIT,
        "gpu_preflight_read": {"host": {"os": OS[manager], "packages": {"manager": manager}}},
        f"__{role}_planned": {"plan": PLAN},
        f"__{role}_settings": {"typed": {name.removeprefix(f"{role}_"): value for name, value in settings.items()}},
        **load(f"{role}/vars/main.yml"),
        **variables,
    }
    handed = {name: render(value, known) for name, value in calling["vars"].items()}
    return {**known, "__packages_settings": {"typed": typed(handed)}}


def typed(handed: dict[str, Any]) -> dict[str, Any]:
    """What the role makes of the variables."""
    options = load("_packages/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return {name.removeprefix("_packages_"): value for name, value in _knobs.typed(handed, options).items()}


def arguments(manager: str, action: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the only task of the manager's file that uses `action`, without those that are left out."""
    (task,) = [task for task in tasks(f"_packages/tasks/{manager}.yml") if action in task]
    return {name: value for name, value in render(task[action], variables).items() if value != OMIT}


REPOSITORIES = {
    ("docker_engine", "apt"): {
        "name": "docker",
        "uris": "https://download.docker.com/linux/ubuntu",
        "suites": "noble",
        "components": "stable",
        "signed_by": "https://download.docker.com/linux/ubuntu/gpg",
    },
    ("docker_engine", "dnf"): {
        "name": "docker-ce-stable",
        "description": "Docker CE Stable",
        "baseurl": "https://download.docker.com/linux/rhel/$releasever/$basearch/stable",
        "gpgcheck": True,
        "gpgkey": "https://download.docker.com/linux/rhel/gpg",
    },
    ("nvidia_container_toolkit", "apt"): {
        "name": "nvidia-container-toolkit",
        "uris": "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)",
        "suites": "/",
        "signed_by": "https://nvidia.github.io/libnvidia-container/gpgkey",
    },
    ("nvidia_container_toolkit", "dnf"): {
        "name": "nvidia-container-toolkit",
        "description": "NVIDIA container toolkit",
        "baseurl": "https://nvidia.github.io/libnvidia-container/stable/rpm/$basearch",
        "gpgcheck": False,
        "repo_gpgcheck": True,
        "gpgkey": "https://nvidia.github.io/libnvidia-container/gpgkey",
    },
}
ACTIONS = {"apt": "ansible.builtin.deb822_repository", "dnf": "ansible.builtin.yum_repository"}


UNSIGNED = {"apt": {"trusted": True}, "dnf": {"gpgcheck": False}}


@pytest.mark.parametrize(("role", "manager"), REPOSITORIES)
def test_a_repository_is_named_with_its_key(role, manager):
    assert arguments(manager, ACTIONS[manager], given(role, manager)) == REPOSITORIES[role, manager]


@pytest.mark.parametrize(("role", "manager"), REPOSITORIES)
def test_a_trusted_repository_needs_no_key(role, manager):
    variables = given(role, manager, **{f"{role}_repository_trusted": True})
    signed = REPOSITORIES[role, manager]
    kept = {name: value for name, value in signed.items() if name not in ("signed_by", "gpgkey")}
    both = {"repo_gpgcheck": False} if "repo_gpgcheck" in signed else {}
    assert arguments(manager, ACTIONS[manager], variables) == {**kept, **UNSIGNED[manager], **both}


@pytest.mark.parametrize(
    ("role", "variables"),
    [
        ("docker_engine", {"docker_engine_source": "distribution"}),
        ("docker_engine", {"__docker_engine_plan": {**PLAN, "install": False}}),
        ("nvidia_container_toolkit", {"__nvidia_container_toolkit_plan": {**PLAN, "install": False}}),
    ],
)
@pytest.mark.parametrize("manager", ACTIONS)
def test_no_repository_is_added_where_none_is_needed(role, variables, manager):
    variables = given(role, manager, **variables)
    assert variables["__packages_settings"]["typed"]["add_repository"] is False


@pytest.mark.parametrize(
    ("role", "uri", "same"),
    [
        ("docker_engine", "https://download.docker.com/linux/ubuntu noble stable", True),
        ("docker_engine", "https://download.docker.com/linux/ubuntu/ noble stable", True),
        ("docker_engine", "https://download.docker.com/linux/debian bookworm stable", False),
        ("nvidia_container_toolkit", "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /", True),
        ("nvidia_container_toolkit", "https://nvidia.github.io/other/deb/amd64 /", False),
    ],
)
@pytest.mark.parametrize("options", ["", "[arch=amd64 signed-by=/etc/apt/keyrings/a.asc] "])
def test_older_lines_of_the_same_repository_are_known(role, uri, same, options):
    (remove,) = [task for task in tasks("_packages/tasks/apt.yml") if "__packages_entry" in task.get("vars", {})]
    pattern = render(remove["vars"]["__packages_entry"], given(role, "apt"))
    assert bool(re.match(pattern, f"deb {options}{uri}")) is same


@pytest.mark.parametrize("manager", ACTIONS)
def test_the_packages_and_what_docker_needs_come_in_one_call(manager):
    variables = given("docker_engine", manager, docker_engine_version="28.2")
    installed = [
        render(task[action], variables)
        for action in [f"ansible.builtin.{manager}"]
        for task in tasks(f"_packages/tasks/{manager}.yml")
        if action in task and task[action].get("allow_downgrade")
    ]
    assert [(call["name"], call["allow_downgrade"], int(call["lock_timeout"])) for call in installed] == [
        (["p", "n"], True, 600)
    ]
