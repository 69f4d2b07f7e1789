# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import json
import socketserver
import threading

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.docker import (
    DockerError,
    docker_get,
    parse_daemon_config,
    parse_daemon_flags,
    parse_device_requests,
    parse_limits,
    parse_port_bindings,
    parse_process_start,
    parse_uptime,
    probe_docker,
    shape_docker,
)

INFO = {
    "ServerVersion": "28.2.2",
    "DockerRootDir": "/data/docker",
    "Driver": "overlay2",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "LiveRestoreEnabled": True,
    "Swarm": {"LocalNodeState": "inactive"},
    "Runtimes": {"runc": {}, "nvidia": {}},
    "DefaultRuntime": "runc",
    "CDISpecDirs": ["/etc/cdi"],
}
CONTAINERS = [
    {
        "Id": "ab" * 32,
        "Names": ["/llm"],
        "Image": "vllm",
        "State": "running",
        "Labels": {"org.llmfleet.spec": "server", "maintainer": "x"},
        "Ports": [{"PublicPort": 8000, "IP": "0.0.0.0"}, {"PublicPort": 8000, "IP": "::"}, {"PrivatePort": 1}],
    }
]
INSPECTED = {
    "HostConfig": {
        "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}], "9/tcp": None},
        "DeviceRequests": [
            {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=GPU-2", "nvidia.com/gpu=GPU-1"]}
        ],
    }
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {"exists": False, "content": {}, "error": None}),
        (b"", {"exists": True, "content": {}, "error": None}),
        (b'{"debug": true}', {"exists": True, "content": {"debug": True}, "error": None}),
        ('{"debug": true}'.encode("utf-8-sig"), {"exists": True, "content": {"debug": True}, "error": None}),
        ('{"debug": true}'.encode("utf-16"), {"exists": True, "content": {"debug": True}, "error": None}),
        (b"\xfe\xff\x00{\x00}", {"exists": True, "content": {}, "error": None}),
        (b'{"k": "\xe9"}', {"exists": True, "content": {}, "error": "not UTF-8 text: byte 8"}),
        (b"\xff\xfe{", {"exists": True, "content": {}, "error": "not UTF-8 text: byte 3"}),
        (b"[]", {"exists": True, "content": {}, "error": "not a JSON object"}),
    ],
)
def test_daemon_config(text, expected):
    assert parse_daemon_config(text) == expected


def test_a_broken_daemon_config():
    assert "line 1" in parse_daemon_config(b"{,}")["error"]


@pytest.mark.parametrize(
    ("cmdline", "flags"),
    [
        ("/usr/bin/dockerd\0-H\0fd://\0", ["-H", "fd://"]),
        ("/usr/bin/python3\0dockerd\0", []),
        ("", []),
        (None, []),
    ],
)
def test_daemon_flags(cmdline, flags):
    assert parse_daemon_flags(cmdline) == flags


def test_shape():
    engine = shape_docker(INFO, CONTAINERS, {"ab" * 32: INSPECTED})
    assert engine["version"] == "28.2.2"
    assert engine["live_restore"] and not engine["swarm_active"]
    assert engine["runtimes"] == ["nvidia", "runc"]
    assert engine["containers"] == [
        {
            "id": "ab" * 32,
            "name": "llm",
            "image": "vllm",
            "state": "running",
            "labels": {"org.llmfleet.spec": "server"},
            "host_ports": [8000],
            "bound_ports": [8000],
            "gpus": ["GPU-1", "GPU-2"],
        }
    ]


@pytest.mark.parametrize(
    ("requests", "gpus"),
    [
        (None, []),
        ([{"Driver": "nvidia", "Count": -1, "DeviceIDs": None}], ["all"]),
        ([{"Driver": "nvidia", "Count": 0, "DeviceIDs": ["GPU-1"]}], ["GPU-1"]),
    ],
)
def test_the_gpus_of_a_container(requests, gpus):
    assert parse_device_requests(requests) == gpus


@pytest.mark.parametrize(
    ("bindings", "ports"),
    [(None, []), ({"1/tcp": [{"HostPort": ""}]}, []), ({"1/tcp": [{"HostPort": "9"}, {"HostPort": "7"}]}, [7, 9])],
)
def test_the_ports_that_a_container_takes_when_it_runs(bindings, ports):
    assert parse_port_bindings(bindings) == ports


@pytest.mark.parametrize(("state", "active"), [("inactive", False), ("active", True), ("pending", True), (None, False)])
def test_swarm(state, active):
    assert shape_docker({"Swarm": {"LocalNodeState": state}}, [])["swarm_active"] is active


LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max stack size            8388608              unlimited            bytes
Max open files            1024                 524288               files
Max locked memory         8388608              8388608              bytes
"""


@pytest.mark.parametrize(
    ("status", "most"),
    [
        ("CapEff:\t00000000a80425fb\n", {"nofile": 524288, "memlock": 8388608}),
        ("CapEff:\t000001ffffffffff\n", {}),
        ("", {}),
        (None, {}),
    ],
)
def test_the_limits_that_an_engine_can_give(status, most):
    assert parse_limits(LIMITS, status) == most


def test_times():
    stat = "77 (docker d) S " + " ".join(["0"] * 18) + " 500 0 0"
    assert parse_process_start(stat, 100) == 5.0
    assert parse_process_start(None, 100) is None
    assert parse_uptime("4711.05 9000.00\n") == 4711.05
    assert parse_uptime(None) is None


def test_a_host_without_docker(fake_host):
    probed = probe_docker(fake_host)
    assert (probed["state"], probed["version"], probed["root_dir"]) == ("absent", None, "/var/lib/docker")


def test_a_stopped_engine(fake_host):
    fake_host.program_says("dockerd", "Docker version 26.1.5+dfsg1, build a72d7cd\n")
    fake_host.program_says("systemctl", "disabled\n", rc=1)
    fake_host.file("/etc/docker/daemon.json", '{"data-root": "/data"}')
    probed = probe_docker(fake_host)
    assert (probed["state"], probed["version"], probed["root_dir"]) == ("stopped", "26.1.5", "/data")
    assert probed["enabled"] is False


class _Engine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = {
            "/info": INFO,
            "/containers/json?all=1": CONTAINERS,
            f"/containers/{'ab' * 32}/json": INSPECTED,
            "/images/vllm/vllm-openai:v0.32.0/json": {"Id": "sha256:5d", "RepoDigests": ["vllm@sha256:1"], "Size": 1},
        }.get(self.path)
        self.send_response(200 if answer is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def address_string(self):
        return "unix"

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def engine_socket(fake_host):
    path = fake_host.path("/run/docker.sock")
    path.parent.mkdir(parents=True)
    with socketserver.ThreadingUnixStreamServer(str(path), _Engine) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield str(path)
        server.shutdown()


def test_a_running_engine(fake_host, engine_socket):
    probed = probe_docker(fake_host)
    assert (probed["state"], probed["version"], probed["root_dir"]) == ("running", "28.2.2", "/data/docker")


def test_images_are_looked_for_by_name_and_one_that_is_not_there_is_left_out(fake_host, engine_socket):
    found = probe_docker(fake_host, ["vllm/vllm-openai:v0.32.0", "else/where@sha256:1"])["images"]
    assert found == {
        "vllm/vllm-openai:v0.32.0": {"Id": "sha256:5d", "RepoDigests": ["vllm@sha256:1"], "Metadata": None}
    }


def test_an_engine_that_does_not_answer_as_one(engine_socket):
    with pytest.raises(DockerError, match="404"):
        docker_get(engine_socket, "/nope")


def test_no_socket(tmp_path):
    with pytest.raises(DockerError):
        docker_get(str(tmp_path / "none"), "/info")


def test_the_proxy_that_docker_goes_through():
    docker = shape_docker({**INFO, "HttpProxy": "", "HttpsProxy": "http://proxy:3128", "NoProxy": "localhost"}, [])
    assert docker["proxies"] == {"http_proxy": None, "https_proxy": "http://proxy:3128", "no_proxy": "localhost"}
