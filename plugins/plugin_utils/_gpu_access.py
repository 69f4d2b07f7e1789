# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How containers get at a host's GPUs: by CDI, or by the hook behind `--gpus`; and whether they keep them.

Pure functions over the sections docker and toolkit of module host_info and the table of versions. Where the host itself shows what it
has (the version in a specification, the folders that Docker reads), that counts; the table is for what is not there yet.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ._version import at_least, row_of
from ._version_floors import (
    DOCKER_STARTING_CDI,
    DOCKERS,
    RUNC_NEEDING_LINKS,
    RUNC_WITHOUT_LINKS,
    TOOLKIT_WITH_CDI,
    TOOLKITS,
    Docker,
    Toolkit,
)

CDI_KIND = "nvidia.com/gpu"

Section = Mapping[str, Any]  # one of host_info's


def docker_row(version: str | None) -> Docker:
    """What the table says of an engine; of an unknown one that it has no CDI."""
    return row_of(DOCKERS, version) or DOCKERS[0]


def toolkit_row(version: str | None) -> Toolkit | None:
    """What the table says of a toolkit; None where it writes no CDI specification."""
    return row_of(TOOLKITS, version)


def reads(docker: str | None, specification: str | None) -> bool:
    """Whether an engine takes a CDI specification of that version. One that names no version is the engine's own affair."""
    newest = docker_row(docker).reads
    return newest is not None and (specification is None or at_least(newest, specification))


def unreadable(docker: str | None, toolkit: Section) -> list[Section]:
    """The specifications on the host that its engine leaves out."""
    return [spec for spec in toolkit.get("cdi_specs") or [] if not reads(docker, spec.get("cdi_version"))]


def none_readable(docker: str | None, toolkit: Section) -> bool:
    """Whether there are specifications, and the engine takes none of them."""
    specs = toolkit.get("cdi_specs") or []
    return bool(specs) and len(unreadable(docker, toolkit)) == len(specs)


def access_of(docker: str | None, toolkit: str | None, kept: Sequence[Section] = ()) -> str:
    """`cdi` where engine and toolkit get on with each other, else `runtime`.

    `kept`: the specifications that stay as they are. Without any, what the toolkit would write counts.
    """
    row = toolkit_row(toolkit)
    if row is None or not at_least(toolkit, TOOLKIT_WITH_CDI):
        return "runtime"
    versions = [spec.get("cdi_version") for spec in kept] or [row.writes]
    return "cdi" if any(reads(docker, version) for version in versions) else "runtime"


def loses_cdi_at_start(docker: str | None) -> bool:
    """Whether containers with CDI devices stay stopped when this engine starts, as after a reboot."""
    return docker is not None and not at_least(docker, DOCKER_STARTING_CDI)


def first_docker_that_reads(specification: str) -> str | None:
    """The version from which on every engine takes a specification of that version: `26.1` for `0.7.0`. None: none is known."""
    short = [number for number, row in enumerate(DOCKERS) if not (row.reads and at_least(row.reads, specification))]
    return DOCKERS[short[-1] + 1].since if short[-1] + 1 < len(DOCKERS) else None


def newest_toolkit_for(docker: str | None) -> str | None:
    """The newest release of the toolkit that writes what the engine takes; None when there is none, or when every one does."""
    fitting = [row for row in TOOLKITS if at_least(row.since, TOOLKIT_WITH_CDI) and reads(docker, row.writes)]
    return fitting[-1].newest if fitting else None


def settings_for_cdi(docker: str | None, specification: str) -> list[str]:
    """The settings of which each makes engine and toolkit get on with each other, where the toolkit writes such a specification."""
    floor, newest = first_docker_that_reads(specification), newest_toolkit_for(docker)
    return [
        *([f"docker_engine_version_min: '{floor}'"] if floor else []),
        *([f"nvidia_container_toolkit_version: {newest}"] if newest else []),
    ]


def has_cdi(docker: Section, toolkit: Section, uuids: Sequence[str]) -> bool:
    """Whether the engine offers exactly these GPUs through CDI, and will go on doing so.

    Only a specification that the toolkit's own unit refreshes is trusted to name single GPUs by their UUIDs over a server's life.
    """
    row = toolkit_row(toolkit.get("version"))
    names = {f"{CDI_KIND}={uuid}" for uuid in uuids}
    return (
        cdi_is_on(docker)
        and row is not None
        and row.refreshes
        and not none_readable(docker.get("version"), toolkit)
        and names <= set(toolkit.get("cdi_devices") or [])
    )


def cdi_is_on(docker: Section) -> bool:
    """Whether the engine reads CDI specifications: as it says itself, else as its version has it unless daemon.json has it otherwise."""
    row = docker_row(docker.get("version"))
    folders = docker.get("cdi_spec_dirs")
    return row.cdi == "on" if folders is None else row.cdi != "none" and bool(folders)


def loses_gpus(docker: Section, toolkit: Section, cdi: bool) -> str | None:
    """Why a container would lose its GPUs at the next `systemctl daemon-reload`; None when it keeps them.

    systemd then applies the device rules that it knows of. It knows none for devices that a hook brought, and an old runc keeps back those
    of devices without a link in /dev/char (NVIDIA's troubleshooting page; container toolkit #48, #251, #1227, #1744).
    """
    if docker.get("cgroup_driver") != "systemd":
        return None
    if not cdi and not (docker_row(docker.get("version")).gpus == "cdi" and _by_cdi_anyway(docker, toolkit)):
        return "--gpus gives devices by a hook, of which the systemd cgroup driver does not know"
    links = toolkit.get("device_links_missing") or []
    runc = docker.get("runc_version")
    if links and at_least(runc, RUNC_NEEDING_LINKS) and not at_least(runc, RUNC_WITHOUT_LINKS):
        return f"runc {runc} leaves out devices without a link in /dev/char ({', '.join(links)})"
    return None


def _by_cdi_anyway(docker: Section, toolkit: Section) -> bool:
    """Whether an engine that tries CDI for `--gpus` finds the GPUs there."""
    return bool(toolkit.get("cdi_devices")) and not none_readable(docker.get("version"), toolkit)
