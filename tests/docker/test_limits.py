# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits that the host's engine cannot give are refused with those that it can."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.docker import probe_docker
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System

from tests.docker.conftest import Containers
from tests.docker.test_unchanged import ONLY_THE_SERVER
from tests.support.docker_engine import docker
from tests.support.pretended_gpus import H100, python_with_gpus
from tests.support.progress import StepFailed


def test_limits_that_the_engine_cannot_give_are_refused_with_those_that_it_can(
    fleet: Containers, tmp_path: Path
) -> None:
    if "memlock" not in probe_docker(System())["limits"]:
        pytest.skip("this engine may raise limits")
    try:
        docker("run", "--rm", "--gpus", "device=GPU-0", "--entrypoint", "sh", fleet.image, "-c", ":")
    except StepFailed as failed:
        pytest.skip(f"this engine binds no GPU: {failed}")
    fleet.serve("one", ansible_python_interpreter=str(python_with_gpus(tmp_path / "one", [(H100, 81559)])))
    fleet.hosts["one"] = ("h100", fleet.hosts["one"][1])
    refused = fleet.play("deploy.yml", options=ONLY_THE_SERVER)
    assert (refused.rc, refused.changed("one")) == (2, 0), refused.output
    said = re.search(r"set inference_server_ulimits: (\[.*?\])", refused.failures("one"))
    assert said, refused.failures("one")
    mended = fleet.play("deploy.yml", options=ONLY_THE_SERVER, inference_server_ulimits=json.loads(said[1]))
    assert mended.rc == 0, mended.output
