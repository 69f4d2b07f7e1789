# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's life with a server: reboots, upgrades, a proxy that comes later. Docker 20.10 on Debian 12, Docker 26.1 on Debian 13."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.progress import run_step, say
from tests.support.stand_in import ensure_image

from .conftest import Fleet, hosts_sh
from .test_prepare import CONTAINER, OLDER_TOOLKIT

SUITES = {"life12": "bookworm", "life13": "trixie"}
DEAD = "http://127.0.0.1:9"
SERVER = "llmfleet-server"
ANSWERS_S = 60.0
# A host of this test is a container: it shares the kernel's boot ID with its neighbours.
BOOT = "systemctl show --property UserspaceTimestampMonotonic"
WAITS = "until systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded'; do sleep 0.2; done"
MODELS = """python3 -c "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/v1/models', timeout=5).status)" """


class Life(Fleet):
    """Hosts that were prepared, that come back after a reboot and can serve with an image that stands in for vLLM's."""

    def up(self, host: str) -> None:
        again = ("--volume", "/var/lib/docker", "--restart", "always")
        argv = hosts_sh("up", host, SUITES[host], *again)
        run_step(f"start {host} (with its image, a few minutes)", argv, self.folder / f"{host}.log", timeout_s=600)
        self.sh(
            host,
            "ln -s ../registry.service /etc/systemd/system/multi-user.target.wants/registry.service;"
            "mkdir /etc/systemd/system/registry.service.d;"
            "printf '[Service]\\nExecStartPre=rm -f /etc/pretend/failure\\n' >/etc/systemd/system/registry.service.d/boot.conf",
        )
        prepared = self.prepare(host)
        assert prepared.rc == 0, prepared.output

    def bring_image(self, host: str) -> str:
        image = ensure_image()
        pipe = f"docker save {image} | docker exec --interactive llmfleet-host-{host} docker load"
        subprocess.run(["sh", "-c", pipe], check=True, capture_output=True)
        return image

    def serve(self, playbook: str, host: str, *arguments: str, **variables: Any) -> Any:
        return self.play(
            playbook,
            host,
            *arguments,
            inference_server_image=ensure_image(),
            inference_server_model="/models/LFM2.5-8B-A1B",
            inference_server_hf_cache_dir="",
            inference_server_ulimits=[],
            inference_server_env={"STAND_IN": "well"},
            upgrade_boot_time_command=BOOT,
            **variables,
        )

    def reboot(self, host: str) -> None:
        subprocess.run(["docker", "restart", f"llmfleet-host-{host}"], check=True, capture_output=True)
        self.sh(host, WAITS)

    def answers_after(self, host: str) -> float:
        """Seconds until the server answers, nothing of ours having been run."""
        began = time.monotonic()
        while time.monotonic() - began < ANSWERS_S:
            if self.sh(host, f"{MODELS} 2>/dev/null || :").strip() == "200":
                return time.monotonic() - began
            time.sleep(0.5)
        raise AssertionError(self.sh(host, f"docker ps --all; docker logs {SERVER} 2>&1 | tail -20"))


@pytest.fixture(scope="module")
def life(work_dir: Path, engine: str) -> Iterator[Life]:
    yield Life(work_dir)
    subprocess.run(hosts_sh("down", *SUITES), check=False)


@pytest.fixture(scope="module")
def host12(life: Life) -> str:
    life.up("life12")
    return "life12"


@pytest.fixture(scope="module")
def host13(life: Life) -> str:
    life.up("life13")
    return "life13"


@pytest.fixture(params=SUITES)
def host(request: pytest.FixtureRequest) -> str:
    """Each of the hosts."""
    return str(request.getfixturevalue(request.param.replace("life", "host")))


@pytest.fixture
def served(life: Life, host13: str) -> str:
    """A host that serves."""
    life.bring_image(host13)
    deployed = life.serve("deploy", host13)
    assert deployed.rc == 0, deployed.output
    return host13


def test_a_proxy_that_comes_later_is_docker_s_and_costs_no_container(life, host):
    life.sh(host, "docker run --detach --name model 127.0.0.1:5000/probe:1 sleep 100000")
    try:
        model = life.sh(host, CONTAINER + "model")
        run = life.prepare(host, docker_engine_proxy={"https_proxy": DEAD})
        assert run.rc == 0 and run.changed(host) > 0, run.output
        assert life.sh(host, CONTAINER + "model") == model
        assert f"HTTPS Proxy: {DEAD}" in life.sh(host, "docker info 2>/dev/null")
        assert "proxyconnect" in life.sh(host, "docker pull registry.invalid/x 2>&1 || :")
        again = life.prepare(host, docker_engine_proxy={"https_proxy": DEAD})
        assert (again.rc, again.changed(host)) == (0, 0), again.output
        config = life.sh(host, "cat /etc/docker/daemon.json")
        assert ("proxies" in config) == (host == "life13")
        refused = life.prepare(
            host, docker_engine_proxy={"https_proxy": DEAD}, gpu_preflight_hub_url="https://hub.invalid"
        )
        assert refused.rc != 0
        for words in (f"https://hub.invalid through {DEAD}: ", "correct docker_engine_proxy"):
            assert words in refused.output
    finally:
        life.sh(
            host,
            "docker rm --force model; rm -f /etc/systemd/system/docker.service.d/llmfleet-proxy.conf;"
            "sed -i '/\"proxies\"/,/}/d' /etc/docker/daemon.json; sed -i 'N;s/,\\n}/\\n}/;P;D' /etc/docker/daemon.json;"
            "systemctl daemon-reload; systemctl restart docker",
        )


def test_a_server_answers_after_a_reboot_without_a_run_and_the_next_run_changes_nothing(life, served):
    before = life.sh(served, CONTAINER + SERVER)
    life.reboot(served)
    elapsed = life.answers_after(served)
    say(f"{served}: the server answered {elapsed:.1f} s after systemd was up")
    assert life.sh(served, CONTAINER + SERVER) != before  # it was started anew
    run = life.serve("deploy", served)
    assert (run.rc, run.changed(served)) == (0, 0), run.output


def test_an_upgrade_stops_the_server_reboots_and_proves_the_first_answer(life, served):
    life.sh(served, OLDER_TOOLKIT)
    life.sh(
        served, "cp /opt/pretend/nvidia_smi/mismatch.txt /etc/pretend/failure"
    )  # a driver upgraded under its module
    boot = life.sh(served, BOOT)
    run = life.serve("upgrade", served)
    assert run.rc == 0, run.output
    assert life.sh(served, BOOT) != boot
    assert "1.20.0" in life.sh(served, "nvidia-ctk --version")
    assert life.answers_after(served) < ANSWERS_S
    boot = life.sh(served, BOOT)
    again = life.serve("upgrade", served, upgrade_reboot="never")
    assert again.rc == 0 and life.sh(served, BOOT) == boot, again.output
    assert re.search(rf"^{served} .*/v1|^{served} .*:8000", again.output, re.M), again.output


def test_what_earlier_deployments_left_is_listed_and_removed(life, served):
    """The image that runs stays, and the one of another repository; of this engine's repository the older one goes."""
    older = "vllm/vllm-openai:v0.1"
    life.sh(served, f"docker tag 127.0.0.1:5000/probe:1 mine:1; tar -C /etc -c hostname | docker import - {older}")
    life.sh(served, "docker volume create llmfleet-vllm-older; docker volume create database")
    listed = life.serve("prune", served, "--check")
    assert listed.rc == 0 and older in listed.output and "llmfleet-vllm-older" in listed.output, listed.output
    assert older in life.sh(served, "docker images --format '{{.Repository}}:{{.Tag}}'")
    done = life.serve("prune", served)
    assert done.rc == 0, done.output
    images = life.sh(served, "docker images --format '{{.Repository}}:{{.Tag}}'").split()
    assert older not in images and {"mine:1", ensure_image()} <= set(images)
    volumes = life.sh(served, "docker volume ls --quiet").split()
    assert "llmfleet-vllm-older" not in volumes and "database" in volumes
    assert life.serve("prune", served).changed(served) == 0
    assert life.serve("deploy", served).changed(served) == 0


def reaches(address: str, port: int) -> bool:
    """Whether a connection from another machine comes through."""
    try:
        with socket.create_connection((address, port), timeout=3):
            return True
    except OSError:
        return False


def test_ufw_does_not_see_what_docker_publishes_and_the_preflight_says_so(life, host12):
    """Of a container and of a process on the host, with ufw closed but for SSH."""
    life.sh(host12, "apt-get update -q && apt-get install -q -y --no-install-recommends ufw iptables")
    address = life.sh(host12, "ip -4 -o addr show dev eth0").split()[3].partition("/")[0]
    life.sh(host12, "docker run --detach --name open -p 8100:8100 127.0.0.1:5000/probe:1 /bin/busybox httpd -f -p 8100")
    life.sh(host12, "systemd-run --quiet --unit=open python3 -m http.server 8101; ufw --force enable")
    try:
        assert reaches(address, 8100) and not reaches(address, 8101)
        drop = (
            "iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport {} --ctdir ORIGINAL ! -s 10.99.0.0/16 -j DROP"
        )
        life.sh(host12, drop.format(8100))
        assert not reaches(address, 8100)
        life.sh(host12, "ufw allow 8101/tcp")
        assert reaches(address, 8101)
        run = life.prepare(
            host12, "--tags", "preflight", gpu_preflight_bind_address="0.0.0.0", gpu_preflight_clock_skew_s=1000
        )
        assert run.rc == 0 and "(firewall)" in run.output, run.output
    finally:
        life.sh(host12, "ufw --force disable; systemctl stop open; docker rm --force open; systemctl restart docker")


def test_a_host_that_fails_stops_the_upgrade_of_the_rest(life, host12, served):
    model = life.sh(served, CONTAINER + SERVER)
    run = life.serve("upgrade", f"{host12},{served}")
    assert run.rc != 0 and "nothing is deployed here" in run.output
    assert life.sh(served, CONTAINER + SERVER) == model
