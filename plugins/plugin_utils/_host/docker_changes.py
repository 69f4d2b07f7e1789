# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between a host and what the role docker_engine wants of it. Pure."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ansible_collections.llmfleet.serving.plugins.module_utils._docker_config import config_problems, merge_config
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

from .. import _proxies
from .._version import at_least, matches

Host = Mapping[str, Any]
Want = Mapping[str, Any]
Changes = Dict[str, Any]


def docker_changes(host: Host, want: Want) -> Changes:
    """What to do about Docker; a host without a difference costs no module call.

    `host`: the return of `llmfleet.serving.host_info`.
    `want`: `mode` (`install` or `verify`), `source` (`docker` or `distribution`), `version`, `version_min`,
        `hold`, `defaults` and `options` of daemon.json, `packages` and `conflicts` by source, `proxy`.
    Returns `problems` (with remedies; nothing may be changed when there are any), `install`, `packages`,
        `conflicts`, `needs`, `release`, `hold`, `config`, `drop_in` (the text of one of Docker's unit), `start`, `changes` (any of
        these), `wait_for_first_boot` and `options`, those of daemon.json with the proxy.
    """
    docker, packages = host["docker"], host["packages"]
    proxy = _proxies.of_docker(docker, want.get("proxy") or {})
    options = {**want["options"], **proxy["options"]}
    present = docker["state"] != "absent"
    enough = present and version_is_enough(docker["version"], want)
    verify = want["mode"] == "verify"
    offered = list(want["packages"].get(want["source"], []))
    conflicts = [name for name in want["conflicts"].get(want["source"], []) if name in packages["versions"]]
    install = not enough and not verify
    config = merge_config(docker["daemon_config"]["content"], want["defaults"], options)
    missing = [name for name in want["needs"] if not packages["python_modules"].get(want["needs"][name])]
    changes = {
        "install": install,
        "packages": [_pinned(packages["manager"], name, want["version"]) for name in offered] if install else [],
        "conflicts": conflicts if install else [],
        "needs": [] if verify else missing,
        **holds(packages, offered, want["hold"], install, verify),
        "config": not verify and config != docker["daemon_config"]["content"],
        "drop_in": "" if verify else proxy["drop_in"],
        "start": not verify and (docker["state"] != "running" or docker["enabled"] is False),
    }
    problems = _verify_problems(docker, want) if verify else _install_problems(host, want, changes, config)
    return {
        **changes,
        "options": options,
        "changes": any(changes.values()),
        "problems": [*problems, *_proxies.problems("docker_engine_proxy", want.get("proxy") or {})],
        "wait_for_first_boot": not verify and host["cloud_init"]["status"] == "running",
    }


def version_is_enough(version: str | None, want: Want) -> bool:
    """Whether a version (None when there is none) is what `version`, and at least what `version_min`, of `want` asks for."""
    return at_least(version, want["version_min"]) and (not want["version"] or matches(version, want["version"]))


def _pinned(manager: str | None, package: str, version: str) -> str:
    """A package's name with its version, as apt or dnf take it; Docker's version is not that of its companions."""
    if not version or package not in ("docker-ce", "docker-ce-cli", "docker.io", "docker-cli"):
        return package
    return f"{package}=*{version}*" if manager == "apt" else f"{package}-{version}*"


def holds(
    packages: Mapping[str, Any], offered: list[str], wanted: bool, install: bool, verify: bool
) -> dict[str, list[str]]:
    """`release`: the packages whose hold must end before an install, which apt does on its own. `hold`: those to hold, after an
    install also what was held before.

    `offered` are the packages that it is about, `wanted` says whether they are to be held.
    """
    held = [name for name in offered if name in packages["held"]]
    kept = offered if wanted else held
    return {
        "release": held if install and packages["manager"] == "dnf" else [],
        "hold": [] if verify else [name for name in kept if install or name not in held],
    }


def _verify_problems(docker: Mapping[str, Any], want: Want) -> list[Problem]:
    problems = []
    if docker["state"] != "running":
        problems.append(
            Problem(
                f"Docker is {docker['state'].replace('_', ' ')} and docker_engine_mode is verify",
                remedy="start it (systemctl enable --now docker), or set docker_engine_mode: install",
            )
        )
    if docker["version"] is not None and not version_is_enough(docker["version"], want):
        problems.append(
            Problem(
                f"Docker is {docker['version']} and docker_engine_mode is verify",
                want["version"] or f"{want['version_min']} or newer",
                "upgrade it, or set docker_engine_mode: install",
            )
        )
    return problems


def _install_problems(host: Host, want: Want, changes: Changes, config: Mapping[str, Any]) -> list[Problem]:
    docker = host["docker"]
    problems = _config_problems(docker, config) + (_package_problems(host, want, changes) if changes["install"] else [])
    if docker["state"] == "no_answer":
        problems.append(
            Problem(
                f"Docker runs and does not answer ({docker['message']})",
                remedy="systemctl status docker; journalctl -u docker",
            )
        )
    acts = changes["install"] or changes["config"] or changes["start"]
    if acts and host["os"]["service_manager"] != "systemd":
        problems.append(
            Problem(
                "the host runs no systemd",
                remedy="install and start Docker yourself and set docker_engine_mode: verify",
            )
        )
    return problems


def _config_problems(docker: Mapping[str, Any], config: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with daemon.json, as it is or as it would be."""
    current = docker["daemon_config"]
    problems = [
        Problem(f"{current['path']}: {problem}", remedy="correct docker_engine_daemon_options or the file")
        for problem in config_problems(config, docker["daemon_flags"])
    ]
    if current["error"] is None:
        return problems
    remedy = f"correct it (python3 -m json.tool {current['path']} shows the place) or move it away"
    return [Problem(f"{current['path']}: {current['error']}. The file was not touched", remedy=remedy), *problems]


def _package_problems(host: Host, want: Want, changes: Changes) -> list[Problem]:
    """Why the packages cannot be installed."""
    conflicts = changes["conflicts"]
    others, problems = of_others(conflicts), []
    running = [item["name"] for item in host["docker"]["containers"] if item["state"] == "running"]
    if not want["packages"].get(want["source"]):
        problems.append(
            Problem(
                f"{host['os']['pretty_name']} offers no Docker from source {want['source']}",
                remedy="set docker_engine_source: docker",
            )
        )
    if others:
        names = " ".join(others)
        tool = {"apt": "apt-get", "dnf": "dnf"}.get(host["packages"]["manager"], "apt-get")
        problems.append(
            Problem(
                f"{', '.join(others)} is installed, which no Docker brought, and Docker from source {want['source']} takes its place. "
                "It was not touched",
                remedy=f"if nothing on the host needs it, remove it there: sudo {tool} remove --yes {names}; else install Docker yourself "
                "beside it, and set docker_engine_mode: verify",
            )
        )
    elif conflicts and running:
        problems.append(
            Problem(
                f"Docker from source {want['source']} replaces {', '.join(conflicts)} and would stop {', '.join(running)}",
                remedy="stop these containers first, or choose the other docker_engine_source",
            )
        )
    return problems


# What another program than Docker brings: never removed. Docker's own container runtime comes with a Docker, or was brought for something
# else, such as Kubernetes.
_OF_PODMAN = frozenset({"podman-docker"})
_RUNTIMES = frozenset({"containerd", "containerd.io", "runc"})


def of_others(conflicts: list[str]) -> list[str]:
    """Those packages in the way that no earlier Docker brought."""
    engines = set(conflicts) - _OF_PODMAN - _RUNTIMES
    return [name for name in conflicts if name in _OF_PODMAN or (name in _RUNTIMES and not engines)]
