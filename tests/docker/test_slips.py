# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operators' slips that need a container's image: what the message says to type mends them. The others: tests/integration/test_slips.py."""

from __future__ import annotations

import re

from tests.docker.conftest import Containers
from tests.support.docker_engine import docker

RELEASE = "llmfleet-test.example/vllm/vllm-openai:v0.33.0"  # the flags are those of the release in the image's tag


def test_typo_in_a_flag(fleet: Containers) -> None:
    docker("tag", fleet.image, RELEASE)
    try:
        fleet.serve("one", inference_server_image=RELEASE, inference_server_extra_args=["--max-model-lenn", "4096"])
        refused = fleet.play("deploy.yml")
        assert (refused.rc, refused.changed("one")) == (2, 0), refused.output
        said = re.search(r"--max-model-lenn is no flag of vllm .*?write (--[a-z-]+)", refused.failures("one"))
        assert said, refused.failures("one")
        mended = fleet.play("deploy.yml", inference_server_extra_args=f"{said[1]} 4096")
        assert mended.rc == 0, mended.output
    finally:
        docker("rmi", "--force", RELEASE)
