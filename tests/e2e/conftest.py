# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real engine for the tests: a Docker engine, the vLLM image, a checkpoint and a server deployed by the playbooks."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkpoint import ensure_checkpoint
from tests.support.docker_engine import NoEngine, docker_engine
from tests.support.progress import run_step
from tests.support.vllm_image import ensure_image, versions

ROOT = Path(__file__).resolve().parents[2]
HOST = "vllm-cpu"
NAME = "llmfleet-e2e"
MODEL = "/models/LFM2.5-8B-A1B"


def free_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Host:
    """This machine as the one host of an inventory, with a port, a state folder and a container name of its own."""

    folder: Path
    image: str
    checkpoint: Path
    name: str = NAME
    port: int = field(default_factory=free_port)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def variables(self) -> dict[str, Any]:
        """What an operator would write for a host that serves on its CPU."""
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inference_server_backend": "vllm",
            "inference_server_image": self.image,
            "inference_server_model": MODEL,
            "inference_server_served_model_name": "lfm25_8b_a1b",
            "inference_server_volumes": [f"{self.checkpoint}:{MODEL}:ro"],
            "inference_server_hf_cache_dir": "",
            "inference_server_env": {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
            "inference_server_name": self.name,
            "inference_server_port": self.port,
            "inference_server_become": False,
            "docker_engine_mode": "verify",
            "inference_server_state_dir": str(self.folder / "state"),
            "inference_server_smoke": {"tool_call": "skip", "reasoning": "skip"},  # random weights can do neither
            "report_dir": str(self.folder / "reports"),
        }

    def play(self, playbook: str, title: str, *, timeout_s: float = 1200, **extra_vars: Any) -> str:
        """Run a playbook of the project on this host and return what it printed; raises StepFailed when it fails."""
        inventory = self.folder / "inventory.json"
        cpu = {"hosts": {HOST: self.variables()}}
        inventory.write_text(json.dumps({"inference": {"children": {"cpu": cpu}}}, indent=2))
        argv: list[str | Path] = [Path(sys.executable).parent / "ansible-playbook", "-i", inventory]
        if extra_vars:
            argv += ["-e", json.dumps(extra_vars)]
        return run_step(title, [*argv, f"playbooks/{playbook}"], self.log(title), timeout_s=timeout_s, cwd=ROOT)

    def log(self, title: str) -> Path:
        return self.folder / f"{title.replace(' ', '-')}.log"

    def fact(self, name: str) -> dict[str, Any]:
        """A fact as the last run left it on the host."""
        return json.loads((self.folder / "state" / "facts.d" / f"{name}.fact").read_text())


def pytest_addoption(parser: pytest.Parser) -> None:
    newest = versions()[0]
    parser.addoption("--vllm", default=newest, choices=versions(), help=f"the release of vLLM to test with ({newest})")


@pytest.fixture(scope="session")
def vllm_version(pytestconfig: pytest.Config) -> str:
    """The release of vLLM that these tests are run on."""
    return str(pytestconfig.getoption("--vllm"))


@pytest.fixture(scope="session")
def work_dir() -> Path:
    """Where logs, the checkpoint and results of these tests lie; git ignores it."""
    folder = ROOT / ".test" / "e2e"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def image(vllm_version: str, work_dir: Path) -> Iterator[str]:
    """The image's name, while an engine runs; without one, everything here ends with the line that tells what to do."""
    try:
        with docker_engine(work_dir):
            yield ensure_image(vllm_version, work_dir / "image")
    except NoEngine as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def host(image: str, work_dir: Path) -> Host:
    folder = work_dir / "host"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return Host(folder, image, ensure_checkpoint(image, work_dir))


@pytest.fixture(scope="module")
def server(host: Host) -> Iterator[Host]:
    """The host with its server deployed by playbooks/deploy.yml; torn down at the end."""
    try:
        host.play("deploy.yml", "deploy")
        yield host
    finally:
        host.play("teardown.yml", "teardown")
