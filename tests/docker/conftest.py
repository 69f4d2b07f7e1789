# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container runtime on a real Docker engine, with an image that stands in for vLLM's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ROOT, Fleet
from tests.support.docker_engine import docker, docker_engine
from tests.support.progress import StepFailed
from tests.support.stand_in import ensure_image

ONLY_THE_SERVER = "--skip-tags preflight,docker_engine,nvidia_container_toolkit"  # where GPUs are pretended
PREFIX = f"llmfleet-test-{os.getpid()}-"  # two runs on one engine must not remove each other's containers


class Containers(Fleet):
    """A fleet whose hosts are this machine's Docker engine; each host's container carries the host's name."""

    def __init__(self, folder: Path, image: str) -> None:
        super().__init__(folder)
        self.image = image

    def serve(self, name: str, mode: str = "well", **variables: Any) -> None:
        """Adds a host that serves with the stand-in, in one of its modes."""
        self.add(
            name,
            "cpu",
            **{
                "inference_server_backend": "vllm",
                "inference_server_image": self.image,
                "inference_server_name": self.container(name),
                "inference_server_become": False,
                "docker_engine_mode": "verify",
                "inference_server_hf_cache_dir": "",
                "inference_server_model": "/models/LFM2.5-8B-A1B",
                "inference_server_env": {"STAND_IN": mode},
                "inference_server_ready_timeout_s": 20,
                **variables,
            },
        )

    def container(self, name: str) -> str:
        return f"{PREFIX}{name.replace('_', '-')}"

    def port(self, name: str) -> int:
        return int(self.hosts[name][1]["inference_server_port"])

    def started_at(self, name: str) -> str:
        """When the host's container was created; changes when it is replaced."""
        return docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", self.container(name))


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    folder = ROOT / ".test" / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    with docker_engine(folder):
        yield ensure_image()


@pytest.fixture
def binds_gpus(image: str) -> None:
    """Skips where the engine binds no GPU."""
    try:
        docker("run", "--rm", "--gpus", "device=GPU-0", "--entrypoint", "sh", image, "-c", ":")
    except StepFailed as failed:
        if "could not select device driver" not in str(failed):
            raise
        pytest.skip("this engine binds no GPU: dockerd found no nvidia-container-runtime-hook on its PATH")


@pytest.fixture
def fleet(tmp_path: Path, image: str) -> Iterator[Containers]:
    """An empty fleet; its containers are removed at the end."""
    made = Containers(tmp_path, image)
    yield made
    left = docker("ps", "--all", "--quiet", "--filter", f"name={PREFIX}").split()
    if left:
        docker("rm", "--force", *left)
