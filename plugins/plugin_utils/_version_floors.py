# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which versions of the NVIDIA driver, Docker, runc and the NVIDIA container toolkit get on with each other. Data, with the source of each
row and the day on which it was read.

A row holds from its version `since` on, up to the next row: `_version.row_of` finds it, `_gpu_access` draws the conclusions. To bring a new
release in, add a row where something changes; a release that changes nothing needs none.
"""

from __future__ import annotations

from typing import NamedTuple


class Driver(NamedTuple):
    """The first driver that runs a major release of CUDA."""

    cuda: int
    since: str
    source: str
    read: str


class Docker(NamedTuple):
    """What an engine does about CDI, from `since` on.

    `cdi`: `none`, `feature` (daemon.json switches it on) or `on`. `reads`: the newest version of a CDI specification that it takes; it
    reads strictly, so one that is newer, or holds a field that it does not know, is left out whole. `gpus`: how `--gpus` gives devices:
    by the `hook`, or by `cdi` where that works and else by the hook.
    """

    since: str
    cdi: str
    reads: str | None
    gpus: str
    source: str
    read: str


class Toolkit(NamedTuple):
    """What a toolkit writes, from `since` on. `newest`: the newest good release of the row (None: the newest of all).

    `writes`: the highest version of CDI specification that it writes of its own accord; it writes the lowest that holds what the host has.
    `refreshes`: whether a unit of its own writes the specification again whenever driver or GPUs changed.
    """

    since: str
    newest: str | None
    writes: str
    refreshes: bool
    source: str
    read: str


DRIVERS = (
    Driver(11, "450.80", "NVIDIA, CUDA compatibility, minor version compatibility", "2026-11-22"),
    Driver(12, "525.60", "NVIDIA, CUDA compatibility, minor version compatibility", "2026-11-22"),
    Driver(13, "580.0", "NVIDIA, CUDA compatibility, minor version compatibility", "2026-11-22"),
)
DRIVER_BY_CUDA = {row.cuda: row.since for row in DRIVERS}
# CUDA 12.8 brought Blackwell.
DRIVER_FOR_BLACKWELL = "570.0"

# The library is tags.cncf.io/container-device-interface in vendor.mod (from 29.0 go.mod) of moby, read at every release tag from 25.0.0 to
# 29.7.2; what it reads is the highest version in its pkg/cdi/version.go.
DOCKERS = (
    Docker("0", "none", None, "hook", "moby v24.0: no CDI library", "2026-11-26"),
    Docker("25.0", "feature", "0.6.0", "hook", "moby v25.0.0 (2024-01-18): CDI library 0.6.2", "2026-11-26"),
    Docker("25.0.17", "feature", "0.8.0", "hook", "moby v25.0.17 (2026-07-14): CDI library 0.8.1", "2026-11-26"),
    Docker("26.0", "feature", "0.6.0", "hook", "moby v26.0.0 (2024-03-20): CDI library 0.6.2", "2026-11-26"),
    Docker("26.1", "feature", "0.7.0", "hook", "moby v26.1.0 (2024-04-22): CDI library 0.7.1, #47706", "2026-11-26"),
    Docker("27.4", "feature", "0.8.0", "hook", "moby v27.4.0 (2024-12-04): CDI library 0.8.0", "2026-11-26"),
    Docker("28.1", "feature", "1.0.0", "hook", "moby v28.1.0 (2025-04-16): CDI library 1.0.1, #49738", "2026-11-26"),
    Docker("28.2", "on", "1.0.0", "hook", "moby v28.2.0 (2025-05-28): on by default, #49963", "2026-11-26"),
    Docker("29.2", "on", "1.1.0", "cdi", "moby v29.2.0 (2026-01-26): CDI library 1.1, #50228", "2026-11-26"),
)

# The toolkit asks the CDI library for the lowest version that holds what it writes (pkg/nvcdi/spec); 0.5.0 is what devices need, 0.7.0 what
# `additionalGids` needs, which the group of a device that not everyone may open brings (/dev/dri). 1.19.0 drops those groups by mistake.
TOOLKITS = (
    Toolkit("1.12", "1.13.5", "0.5.0", False, "container toolkit v1.12.0: `nvidia-ctk cdi generate`", "2026-11-26"),
    Toolkit("1.14", "1.17.9", "0.5.0", False, "container toolkit v1.14.0: every device node", "2026-11-26"),
    Toolkit("1.18", "1.18.2", "0.5.0", True, "container toolkit v1.18.0: nvidia-cdi-refresh", "2026-11-26"),
    Toolkit("1.19.1", None, "0.7.0", True, "container toolkit v1.19.1: additionalGids, #1860, #1940", "2026-11-26"),
)
# The first toolkit whose CDI specifications hold every device node. Enough for `--device nvidia.com/gpu=all`.
TOOLKIT_WITH_CDI = "1.14"

# The first Docker that starts containers with CDI devices when it starts itself. Before, it knows CDI only after it has tried.
# moby#49989, #49990; read 2026-11-27. Seen with 26.1.5.
DOCKER_STARTING_CDI = "28.2"

# From this runc on, and before 1.1.3, the systemd cgroup driver keeps the rule of a device without a link in /dev/char.
# runc #3845; read 2026-11-26 in the release notes of 1.1.7.
RUNC_NEEDING_LINKS = "1.1.3"
RUNC_WITHOUT_LINKS = "1.1.7"
