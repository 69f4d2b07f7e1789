# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between a host and what the roles docker_engine and nvidia_container_toolkit want of it.

PRIVATE to the collection. Pure. A plan without a difference costs no module call.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ansible_collections.llmfleet.serving.plugins.module_utils._docker_config import config_problems, merge_config

from .._version import at_least, matches
from .._version_floors import DOCKER_WITH_CDI, DOCKER_WITH_CDI_ON, TOOLKIT_WITH_CDI

Host = Mapping[str, Any]
Want = Mapping[str, Any]
Plan = Dict[str, Any]

CDI_PATH = "/etc/cdi/nvidia.yaml"
GUARD_RULE = (
    'ACTION=="add", DEVPATH=="/bus/pci/drivers/nvidia", '
    'RUN+="/usr/bin/nvidia-ctk system create-dev-char-symlinks --create-all"\n'
)


def engine_plan(host: Host, want: Want) -> Plan:
    """What to do about the Docker engine.

    :param host: the return of M(llmfleet.serving.host_info).
    :param want: C(mode) (C(install) or C(verify)), C(source) (C(docker) or C(distribution)), C(version), C(version_min),
        C(hold), C(defaults) and C(options) of daemon.json, C(packages) and C(conflicts) by source.
    :returns: C(problems) (with remedies; nothing may be changed when there are any), C(install), C(packages),
        C(conflicts), C(needs), C(release), C(hold), C(config), C(start), C(changes) (any of these) and C(wait_for_first_boot).
    """
    docker, packages = host["docker"], host["packages"]
    present = docker["state"] != "absent"
    enough = present and _version_is_enough(docker["version"], want)
    verify = want["mode"] == "verify"
    offered = list(want["packages"].get(want["source"], []))
    conflicts = [name for name in want["conflicts"].get(want["source"], []) if name in packages["versions"]]
    install = not enough and not verify
    config = merge_config(docker["daemon_config"]["content"], want["defaults"], want["options"])
    missing = [name for name in want["needs"] if not packages["python_modules"].get(want["needs"][name])]
    plan = {
        "install": install,
        "packages": [_pinned(packages["manager"], name, want["version"]) for name in offered] if install else [],
        "conflicts": conflicts if install else [],
        "needs": [] if verify else missing,
        **_holds(packages, offered, want["hold"], install, verify),
        "config": not verify and config != docker["daemon_config"]["content"],
        "start": not verify and (docker["state"] != "running" or docker["enabled"] is False),
    }
    problems = _verify_problems(docker, want) if verify else _engine_problems(host, want, plan, config)
    return {
        **plan,
        "changes": any(plan.values()),
        "problems": problems,
        "wait_for_first_boot": not verify and host["cloud_init"]["status"] == "running",
    }


def _version_is_enough(version: str | None, want: Want) -> bool:
    return at_least(version, want["version_min"]) and (not want["version"] or matches(version, want["version"]))


def _pinned(manager: str | None, package: str, version: str) -> str:
    """A package's name with its version, as apt or dnf take it; the engine's version is not that of its companions."""
    if not version or package not in ("docker-ce", "docker-ce-cli", "docker.io", "docker-cli"):
        return package
    return f"{package}=*{version}*" if manager == "apt" else f"{package}-{version}*"


def _holds(
    packages: Mapping[str, Any], offered: list[str], wanted: bool, install: bool, verify: bool
) -> dict[str, list[str]]:
    """C(release): what must be let go before an install, which apt does by itself. C(hold): what to hold, after an install also
    what was held before."""
    held = [name for name in offered if name in packages["held"]]
    kept = offered if wanted else held
    return {
        "release": held if install and packages["manager"] == "dnf" else [],
        "hold": [] if verify else [name for name in kept if install or name not in held],
    }


def _verify_problems(docker: Mapping[str, Any], want: Want) -> list[str]:
    problems = []
    if docker["state"] != "running":
        problems.append(
            f"the engine is {docker['state'].replace('_', ' ')} and docker_engine_mode is verify. "
            "Remedy: start it (systemctl enable --now docker), or set docker_engine_mode: install"
        )
    if docker["version"] is not None and not _version_is_enough(docker["version"], want):
        problems.append(
            f"engine {docker['version']} found, {want['version'] or want['version_min'] + ' or newer'} needed, and "
            "docker_engine_mode is verify. Remedy: upgrade it, or set docker_engine_mode: install"
        )
    return problems


def _engine_problems(host: Host, want: Want, plan: Plan, config: Mapping[str, Any]) -> list[str]:
    install, conflicts = plan["install"], plan["conflicts"]
    acts = install or plan["config"] or plan["start"]
    docker = host["docker"]
    current = docker["daemon_config"]
    running = [item["name"] for item in docker["containers"]]
    problems = []
    if current["error"] is not None:
        problems.append(
            f"{current['path']}: {current['error']}. The file was not touched. Remedy: mend it (python3 -m json.tool "
            f"{current['path']} shows the place) or move it away"
        )
    problems += [
        f"{current['path']}: {problem}. Remedy: correct docker_engine_daemon_options or the file"
        for problem in config_problems(config, docker["daemon_flags"])
    ]
    if install and not want["packages"].get(want["source"]):
        problems.append(
            f"{host['os']['pretty_name']} offers no engine from source {want['source']}. Remedy: set docker_engine_source: docker"
        )
    if install and conflicts and running:
        problems.append(
            f"an engine from source {want['source']} replaces {', '.join(conflicts)} and would stop {', '.join(running)}. "
            "Remedy: stop these containers first, or choose the other docker_engine_source"
        )
    if docker["state"] == "no_answer":
        problems.append(
            f"an engine runs and does not answer ({docker['message']}). Remedy: systemctl status docker; journalctl -u docker"
        )
    if acts and host["os"]["service_manager"] != "systemd":
        problems.append(
            "the host runs no systemd. Remedy: install and start an engine yourself and set docker_engine_mode: verify"
        )
    return problems


def toolkit_plan(host: Host, want: Want) -> Plan:
    """What to do about the NVIDIA container toolkit.

    :param want: C(mode) (C(install) or C(verify)), C(version) (empty for any that is new enough), C(version_tested) (installed
        when none is wanted), C(version_min), C(hold), C(access) (C(auto), C(cdi) or C(runtime)) and C(packages).
    :returns: C(problems), C(install), C(packages), C(downgrade), C(release), C(hold), C(config), C(restart), C(refresh_cdi),
        C(guard), C(changes) (any of these), and what they take: C(access) (C(cdi) or C(runtime)), C(daemon_options),
        C(guard_rule) and C(cdi_path).
        Make it anew after the packages were installed.
    """
    toolkit, packages, docker = host["toolkit"], host["packages"], host["docker"]
    verify = want["mode"] == "verify"
    versions = {packages["versions"].get(name) for name in want["packages"]} - {None}
    enough = _version_is_enough(toolkit["version"], want) and len(versions) <= 1
    install = not enough and not verify
    version = want["version"] or want["version_tested"]
    access = gpu_access(docker["version"], version if install else toolkit["version"], want["access"])
    options = daemon_options(access, docker["version"])
    current = docker["daemon_config"]["content"]
    plan = {
        "install": install,
        "packages": [_pinned_all(packages["manager"], name, version) for name in want["packages"]] if install else [],
        "downgrade": install and at_least(toolkit["version"], version) and not matches(toolkit["version"], version),
        **_holds(packages, list(want["packages"]), want["hold"], install, verify),
        "config": not verify and merge_config(current, {}, options) != current,
        "restart": not verify and access == "runtime" and _engine_is_older(docker, toolkit),
        "refresh_cdi": not verify and access == "cdi" and (install or cdi_is_stale(host)),
        "guard": not verify and toolkit["guard_rule"] != GUARD_RULE,
    }
    return {
        **plan,
        "changes": any(plan.values()),
        "problems": _toolkit_problems(host, want, enough, verify, access),
        "access": access,
        "daemon_options": options,
        "guard_rule": GUARD_RULE,
        "cdi_path": toolkit["cdi_specs"][0]["path"] if toolkit["cdi_specs"] else CDI_PATH,
    }


def gpu_access(engine: str | None, toolkit: str | None, wanted: str) -> str:
    """How containers get at a card: C(cdi) where engine and toolkit have it, else C(runtime)."""
    if wanted != "auto":
        return wanted
    return "cdi" if at_least(engine, DOCKER_WITH_CDI) and at_least(toolkit, TOOLKIT_WITH_CDI) else "runtime"


def daemon_options(access: str, engine: str | None) -> dict[str, Any]:
    """What daemon.json needs for it."""
    if access == "runtime":
        return {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}}
    return {} if at_least(engine, DOCKER_WITH_CDI_ON) else {"features": {"cdi": True}}


def cdi_is_stale(host: Host) -> bool:
    """Whether the CDI specification is missing, was written for another driver or by an older toolkit, or misses a card."""
    toolkit, gpu = host["toolkit"], host["gpu"]
    numbered = [name for name in toolkit["cdi_devices"] if name.partition("=")[2].isdigit()]
    written_for = {version for spec in toolkit["cdi_specs"] for version in spec["driver_versions"]}
    other_driver = bool(written_for) and gpu["driver_version"] not in written_for
    split = any(card["mig_mode"] for card in gpu["cards"])
    misses_a_card = not split and len(numbered) != gpu["count"]
    return not toolkit["cdi_devices"] or other_driver or _toolkit_is_newer(toolkit) or misses_a_card


def _toolkit_is_newer(toolkit: Mapping[str, Any]) -> bool:
    """Whether the toolkit came after the newest specification; its own refresh unit may have written one since."""
    came, written = toolkit["hook_changed_at_s"], [spec["changed_at_s"] for spec in toolkit["cdi_specs"]]
    return bool(written) and came is not None and max(written) < came


def _pinned_all(manager: str | None, package: str, version: str) -> str:
    return f"{package}={version}-*" if manager == "apt" else f"{package}-{version}"


def _engine_is_older(docker: Mapping[str, Any], toolkit: Mapping[str, Any]) -> bool:
    """Whether the engine started before the hook came, so that it does not know C(--gpus)."""
    started, came = docker["daemon_started_at_s"], toolkit["hook_changed_at_s"]
    return started is not None and came is not None and started < came


def _toolkit_problems(host: Host, want: Want, enough: bool, verify: bool, access: str) -> list[str]:
    toolkit, docker = host["toolkit"], host["docker"]
    problems = []
    if verify and not enough:
        problems.append(
            f"toolkit {toolkit['version'] or 'not'} found, {want['version'] or want['version_min'] + ' or newer'} needed, and "
            "nvidia_container_toolkit_mode is verify. Remedy: install or upgrade it, or set nvidia_container_toolkit_mode: install"
        )
    version = want["version"] or want["version_tested"]
    if not enough and not verify and not at_least(version, want["version_min"]):
        problems.append(
            f"toolkit {version} is what would be installed, and {want['version_min']} or newer is needed. Remedy: set "
            "nvidia_container_toolkit_version to a newer one, or lower nvidia_container_toolkit_version_min"
        )
    if access == "cdi" and docker["version"] is not None and not at_least(docker["version"], DOCKER_WITH_CDI):
        problems.append(
            f"engine {docker['version']} has no CDI (since {DOCKER_WITH_CDI}). Remedy: set nvidia_container_toolkit_access: auto, or "
            f"docker_engine_version_min: '{DOCKER_WITH_CDI}'"
        )
    return problems
