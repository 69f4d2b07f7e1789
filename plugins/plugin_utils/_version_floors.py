# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lowest versions of the NVIDIA driver, Docker and the NVIDIA container toolkit that something takes, each with what it takes.

Data, to be compared by `_version.at_least`.
"""

from __future__ import annotations

# By CUDA's major release, the first driver that runs it (NVIDIA's CUDA compatibility table).
DRIVER_BY_CUDA = {11: "450.80", 12: "525.60", 13: "580.0"}
# CUDA 12.8 brought Blackwell.
DRIVER_FOR_BLACKWELL = "570.0"

# The first Docker with CDI, as a feature that daemon.json switches on.
DOCKER_WITH_CDI = "25.0"
# The first Docker that has CDI on by default (moby#49963).
DOCKER_WITH_CDI_ON = "28.2"

# The first toolkit whose CDI specifications hold every device node. Enough for `--device nvidia.com/gpu=all`.
TOOLKIT_WITH_CDI = "1.14"
# The first toolkit with nvidia-cdi-refresh, a unit that writes the CDI specification again whenever driver or GPUs changed. Only such a
# specification is trusted to name single GPUs by their UUIDs over a server's life.
TOOLKIT_REFRESHING_CDI = "1.18"
