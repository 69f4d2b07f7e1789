# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between a host and what the role nvidia_container_toolkit wants of it. Pure."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.llmfleet.serving.plugins.module_utils._docker_config import merge_config
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

from .._gpu_access import (
    access_of,
    docker_row,
    loses_cdi_at_start,
    none_readable,
    reads,
    settings_for_cdi,
    toolkit_row,
)
from .._version import at_least, matches
from .._version_floors import TOOLKIT_WITH_CDI
from .docker_changes import Changes, Host, Want, holds, version_is_enough

CDI_PATH = "/etc/cdi/nvidia.yaml"
GUARD_RULE = (
    'ACTION=="add", DEVPATH=="/bus/pci/drivers/nvidia", '
    'RUN+="/usr/bin/nvidia-ctk system create-dev-char-symlinks --create-all"\n'
)
# What Docker could not start for want of CDI says so in its state; what someone stopped does not.
START_UNIT = """\
# By llmfleet.serving, role nvidia_container_toolkit. Docker before 28.2 knows no CDI device yet when it starts
# containers after a reboot (moby#49989).
[Unit]
Description=Start the servers that Docker could not start with their GPUs
After=docker.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'docker ps --all --quiet --filter label=org.llmfleet.server --filter status=exited | while read -r id; do \
docker inspect "$$id" | grep -q "Error.: .could not select device driver.*cdi" && docker start "$$id"; done; true'

[Install]
WantedBy=docker.service
"""


def toolkit_changes(host: Host, want: Want) -> Changes:
    """What to do about the NVIDIA container toolkit.

    `want`: `mode` (`install` or `verify`), `version` (empty for any that is new enough), `version_tested` (installed
        when none is wanted), `version_min`, `hold`, `access` (`auto`, `cdi` or `runtime`), `server_access` (`auto`,
        or `runtime` where servers take `--gpus` all the same) and `packages`.
    Returns `problems`, `install`, `packages`, `downgrade`, `release`, `hold`, `config`, `restart`, `refresh_cdi`,
        `guard`, `starter`, `changes` (any of these), and what they take: `access` (`cdi` or `runtime`), `daemon_options`,
        `guard_rule`, `start_unit` and `cdi_path`.
        To be computed again when the packages were installed.
    """
    toolkit, packages, docker = host["toolkit"], host["packages"], host["docker"]
    verify = want["mode"] == "verify"
    versions = {packages["versions"].get(name) for name in want["packages"]} - {None}
    enough = version_is_enough(toolkit["version"], want) and len(versions) <= 1
    install = not enough and not verify
    version = want["version"] or want["version_tested"]
    stale = cdi_is_stale(host)
    kept = [] if install or stale else toolkit["cdi_specs"]
    will_be = version if install else toolkit["version"]
    access = access_of(docker["version"], will_be, kept) if want["access"] == "auto" else want["access"]
    row = toolkit_row(will_be)
    by_hook = want.get("server_access") == "runtime" or row is None or not row.refreshes
    options = daemon_options(access, docker["version"])
    current = docker["daemon_config"]["content"]
    changes = {
        "install": install,
        "packages": [_pinned_all(packages["manager"], name, version) for name in want["packages"]] if install else [],
        "downgrade": install and at_least(toolkit["version"], version) and not matches(toolkit["version"], version),
        **holds(packages, list(want["packages"]), want["hold"], install, verify),
        "config": not verify and merge_config(current, {}, options) != current,
        "restart": not verify and (access == "runtime" or by_hook) and _docker_is_older(docker, toolkit),
        "refresh_cdi": not verify and access == "cdi" and (install or stale),
        "guard": not verify and toolkit["guard_rule"] != GUARD_RULE,
        "starter": not verify
        and access == "cdi"
        and loses_cdi_at_start(docker["version"])
        and toolkit.get("start_unit") != START_UNIT,
    }
    return {
        **changes,
        "changes": any(changes.values()),
        "problems": _toolkit_problems(host, want, enough, verify) + _cdi_problems(host, will_be, kept, access),
        "access": access,
        "daemon_options": options,
        "guard_rule": GUARD_RULE,
        "start_unit": START_UNIT,
        "cdi_path": _cdi_path(docker["version"], toolkit),
    }


def daemon_options(access: str, docker: str | None) -> dict[str, Any]:
    """What daemon.json of that Docker needs for it."""
    if access == "runtime":
        return {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}}
    return {} if docker_row(docker).cdi == "on" else {"features": {"cdi": True}}


def cdi_is_stale(host: Host) -> bool:
    """Whether the CDI specification is missing, for another driver, by an older toolkit, without a GPU, or not to be read by Docker."""
    toolkit, gpu = host["toolkit"], host["gpu"]
    numbered = [name for name in toolkit["cdi_devices"] if name.partition("=")[2].isdigit()]
    written_for = {version for spec in toolkit["cdi_specs"] for version in spec["driver_versions"]}
    other_driver = bool(written_for) and gpu["driver_version"] not in written_for
    split = any(each["mig_mode"] for each in gpu["cards"])
    misses_a_gpu = not split and len(numbered) != gpu["count"]
    unread = none_readable(host["docker"]["version"], toolkit)
    return not toolkit["cdi_devices"] or other_driver or _toolkit_is_newer(toolkit) or misses_a_gpu or unread


def _toolkit_is_newer(toolkit: Mapping[str, Any]) -> bool:
    """Whether the toolkit came after the newest specification; its own refresh unit may have written one since."""
    came, written = toolkit["hook_changed_at_s"], [spec["changed_at_s"] for spec in toolkit["cdi_specs"]]
    return bool(written) and came is not None and max(written) < came


def _pinned_all(manager: str | None, package: str, version: str) -> str:
    return f"{package}={version}-*" if manager == "apt" else f"{package}-{version}"


def _docker_is_older(docker: Mapping[str, Any], toolkit: Mapping[str, Any]) -> bool:
    """Whether Docker started before the hook came, so that it does not know `--gpus`."""
    started, came = docker["daemon_started_at_s"], toolkit["hook_changed_at_s"]
    return started is not None and came is not None and started < came


def _cdi_path(docker: str | None, toolkit: Mapping[str, Any]) -> str:
    """Where the specification is written: over the first that Docker reads, for the others do no harm, else over the first."""
    specs = toolkit["cdi_specs"]
    readable = [spec for spec in specs if reads(docker, spec["cdi_version"])]
    return next((spec["path"] for spec in [*readable, *specs]), CDI_PATH)


def _toolkit_problems(host: Host, want: Want, enough: bool, verify: bool) -> list[Problem]:
    toolkit = host["toolkit"]
    problems = []
    if verify and not enough:
        problems.append(
            Problem(
                f"the toolkit is {toolkit['version'] or 'absent'} and nvidia_container_toolkit_mode is verify",
                want["version"] or f"{want['version_min']} or newer",
                "install or upgrade it, or set nvidia_container_toolkit_mode: install",
            )
        )
    version = want["version"] or want["version_tested"]
    if not enough and not verify and not at_least(version, want["version_min"]):
        problems.append(
            Problem(
                f"toolkit {version} is what would be installed",
                f"{want['version_min']} or newer",
                "set nvidia_container_toolkit_version to a newer one, or lower nvidia_container_toolkit_version_min",
            )
        )
    return problems


def _cdi_problems(host: Host, toolkit: str | None, kept: Sequence[Mapping[str, Any]], access: str) -> list[Problem]:
    """Why CDI, where it is asked for, cannot work with this Docker and the toolkit that will be there."""
    docker, row = host["docker"]["version"], toolkit_row(toolkit)
    if access != "cdi" or docker is None or row is None or access_of(docker, toolkit, kept) == "cdi":
        return []
    automatic = "nvidia_container_toolkit_access: auto"
    if not at_least(toolkit, TOOLKIT_WITH_CDI):
        found = f"the CDI specifications of toolkit {toolkit} lack device nodes"
        remedy = f"set nvidia_container_toolkit_version_min: '{TOOLKIT_WITH_CDI}' or higher, or {automatic}"
        return [Problem(found, f"toolkit {TOOLKIT_WITH_CDI} or newer", remedy)]
    newest = docker_row(docker).reads
    found = f"Docker {docker} has no CDI"
    if newest is not None:
        found = f"Docker {docker} reads CDI specifications up to version {newest}, and toolkit {toolkit} writes {row.writes}"
    remedy = " or ".join([*settings_for_cdi(docker, row.writes), automatic])
    return [Problem(found, f"a Docker that reads version {row.writes}", f"set {remedy}")]
