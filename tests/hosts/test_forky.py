# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker 28 and Python 3.14, on Debian forky: `./run test-hosts --forky`. Alone of all hosts its engine has the cgroup driver systemd."""

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._gpu_access import reads

from tests.support.progress import say

SPECIFICATION = "/etc/cdi/nvidia.yaml"
IMAGE = "127.0.0.1:5000/probe:1"
ONE_CARD = ["GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0b100000-0000-4000-8000-000000000002)"]
VERSIONS = ("0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
DESCRIPTION = """cat >/etc/cdi/test.yaml <<'SPEC'
cdiVersion: "{version}"
kind: example.com/test
devices:
  - name: one
    containerEdits:
      env: [SEEN=yes]
{more}
SPEC
"""
RUN = f"docker run --rm --network none --device example.com/test=one {IMAGE} sh -c 'echo seen $SEEN' 2>&1 || :"


@pytest.fixture
def prepared(forky):
    run = forky.prepare("forky")
    assert run.rc == 0, run.output
    yield forky
    forky.sh("forky", "rm -f /etc/cdi/test.yaml")


def seen_by(host, way):
    return host.sh("forky", f"docker run --rm --network none {way} {IMAGE} nvidia-smi -L 2>&1 || :").splitlines()


def test_a_second_run_changes_nothing_and_containers_get_the_card(prepared):
    assert prepared.prepare("forky").changed("forky") == 0
    assert seen_by(prepared, "--device nvidia.com/gpu=all") == ONE_CARD


def test_docker_learns_of_gpus_where_a_server_wants_them_by_gpus(prepared):
    """CDI needs no restart of this Docker, which looks for the hook of --gpus when it starts."""
    assert any("could not select device driver" in line for line in seen_by(prepared, "--gpus all"))
    run = prepared.prepare("forky", inference_server_gpu_access="runtime")
    assert (run.rc, run.changed("forky")) == (0, 1), run.output
    assert seen_by(prepared, "--gpus all") == ONE_CARD
    assert prepared.prepare("forky", inference_server_gpu_access="runtime").changed("forky") == 0


def test_the_engine_reads_what_the_table_says(prepared):
    engine = prepared.sh("forky", "docker version --format '{{.Server.Version}}'").strip()
    took = []
    for version in VERSIONS:
        prepared.sh("forky", DESCRIPTION.format(version=version, more=""))
        if "seen yes" in prepared.sh("forky", RUN):
            took.append(version)
    say(f"Docker {engine} took CDI specifications {', '.join(took)}")
    assert took == [version for version in VERSIONS if reads(engine, version)]


def test_a_device_by_cdi_outlasts_a_daemon_reload(prepared):
    """The device is a stand-in that exists everywhere; that systemd allows it by its number, without a link, is what keeps a GPU."""
    device = "      deviceNodes: [{path: /dev/nvidia7, type: c, major: 10, minor: 229}]"
    prepared.sh("forky", "rm -f /dev/nvidia7 /dev/char/10:229; mknod /dev/nvidia7 c 10 229")
    prepared.sh("forky", DESCRIPTION.format(version="0.5.0", more=device))
    prepared.sh(
        "forky", f"docker run --detach --name reload --network none --device example.com/test=one {IMAGE} sleep 1000"
    )
    try:
        opens = "docker exec reload sh -c 'exec 3<>/dev/nvidia7 && echo opened' 2>&1 || :"
        before = prepared.sh("forky", opens)
        prepared.sh("forky", "systemctl daemon-reload")
        assert prepared.sh("forky", opens) == before
        assert "not permitted" not in before, before
        rules = prepared.sh(
            "forky", "systemctl show docker-$(docker inspect --format '{{.Id}}' reload).scope --property DeviceAllow"
        )
        assert "/dev/char/10:229" in rules
    finally:
        prepared.sh("forky", "docker rm --force reload; rm -f /dev/nvidia7")


def test_a_host_whose_engine_has_no_cdi_is_warned_of_the_daemon_reload(prepared):
    config = "/etc/docker/daemon.json"
    prepared.sh(
        "forky",
        f'cp {config} /tmp/daemon.json; sed -i \'s/^{{/{{"features": {{"cdi": false}},/\' {config}; systemctl restart docker',
    )
    try:
        run = prepared.prepare("forky", "--tags", "preflight")
        assert run.rc == 0, run.output
        assert "(daemon_reload)" in run.output
    finally:
        prepared.sh("forky", f"cat /tmp/daemon.json >{config}; systemctl restart docker")
    assert "daemon_reload" not in prepared.prepare("forky", "--tags", "preflight").output
