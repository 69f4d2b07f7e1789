# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second deploy restarts nothing, with GPUs by CDI and by --gpus: Docker 26.1 on Debian 13, with --forky Docker 28 too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pretended_gpus import report_of
from tests.support.progress import run_step, say

from .conftest import Fleet, hosts_sh
from .test_life import Life

HOST13 = "unchanged13"
GPUS = 8
CONTAINERS = "docker ps --all --no-trunc --filter label=org.llmfleet.server --format '{{.Names}} {{.ID}}' | sort"
REQUESTS = "docker inspect --format '{{range .HostConfig.DeviceRequests}}{{.Driver}} {{len .DeviceIDs}}{{end}}' llmfleet-server"

# How the containers get their GPUs, and what the engine says that the first one was asked for: by which driver, and how many by name.
ALL = {"inference_server_instances": 1, "inference_server_tensor_parallel_size": GPUS}
HALVES = {"inference_server_instances": 2, "inference_server_tensor_parallel_size": GPUS // 2}
WAYS = {
    "all by CDI": ({**ALL}, ["cdi", str(GPUS)]),
    "halves by CDI": ({**HALVES}, ["cdi", str(GPUS // 2)]),
    "halves by --gpus": ({**HALVES, "inference_server_gpu_access": "runtime"}, ["nvidia", str(GPUS // 2)]),
    "all by --gpus": ({**ALL, "inference_server_gpu_access": "runtime"}, ["nvidia", "0"]),
}


@pytest.fixture(scope="module")
def host13(work_dir: Path, engine: str) -> Iterator[str]:
    argv = hosts_sh("up", HOST13, "trixie", "--volume", "/var/lib/docker")
    run_step(f"start {HOST13} (with its image, a few minutes)", argv, work_dir / f"{HOST13}.log", timeout_s=600)
    yield HOST13
    subprocess.run(hosts_sh("down", HOST13), check=False)


@pytest.fixture(scope="module", params=["host13", "forky"])
def serving(request: pytest.FixtureRequest, work_dir: Path) -> tuple[Life, str]:
    """A prepared host with eight GPUs and the image that stands in for vLLM's."""
    asked = request.getfixturevalue(request.param)
    life, host = Life(work_dir), "forky" if isinstance(asked, Fleet) else str(asked)
    report = report_of([("NVIDIA H100 80GB HBM3", 81559)] * GPUS)
    put = ["docker", "exec", "--interactive", f"llmfleet-host-{host}", "sh", "-c", "cat >/etc/pretend/smi.xml"]
    subprocess.run(put, input=report, text=True, check=True)
    prepared = life.prepare(host)
    assert prepared.rc == 0, prepared.output
    life.bring_image(host)
    say(f"{host}: Docker {life.sh(host, 'docker version --format {{.Server.Version}}').strip()}")
    return life, host


@pytest.mark.parametrize("way", WAYS)
def test_a_second_deploy_restarts_nothing_with_cdi_or_without(serving: tuple[Life, str], way: str) -> None:
    life, host = serving
    variables, asked = WAYS[way]
    first = life.serve("deploy", host, **variables)
    assert first.rc == 0, first.output
    assert life.sh(host, REQUESTS).split() == asked
    born = life.sh(host, CONTAINERS)
    again = life.serve("deploy", host, **variables)
    assert (again.rc, again.changed(host)) == (0, 0), again.output
    assert life.sh(host, CONTAINERS) == born
