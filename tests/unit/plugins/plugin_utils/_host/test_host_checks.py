# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.host_checks import HOST_CHECKS
from preflight_hosts import FOREIGN, HOST, OURS, OWN, WANT, changed, port_taken


@pytest.mark.parametrize("name", HOST_CHECKS)
def test_a_right_host_passes(name):
    assert HOST_CHECKS[name](HOST, WANT)["status"] in ("pass", "skip")


ANOTHER = {**FOREIGN, "host_ports": [], "bound_ports": [8000], "labels": {"org.llmfleet.server": "another"}}

FAILING = [
    ("os_supported", [("os.version", "20.04")], "docker_engine_mode"),
    ("memory", [("memory.total_mib", 8000)], "larger host"),
    ("disk_space", [("docker.root_disk.free_mib", 50000)], "docker image prune"),
    ("port_free", [port_taken()], "inference_server_port"),
    ("port_free", [port_taken(pid=None, command=None)], "inference_server_port"),
    ("port_free", [("docker.containers", [FOREIGN])], "inference_server_port"),
    ("server_name", [("docker.containers", [{**FOREIGN, "name": "llm"}])], "sudo docker rm --force llm"),
    (
        "server_port",
        [("docker.containers", [ANOTHER])],
        "inference_server_port of this server to a free one, such as 8001",
    ),
    ("daemon_config", [("docker.daemon_config.error", "not JSON")], "correct or move away"),
    ("hub_reachable", [("network.reachable", False), ("network.error", "timed out")], "gpu_preflight_offline"),
    ("firewall", [("firewall", {"name": "ufw", "allowed": [], "strict_forwarding": False})], "DOCKER-USER"),
    ("clock_skew", [("clock.skew_s", -75.0)], "time service"),
    ("reboot_required", [("packages.reboot_required", True)], "reboot"),
]


@pytest.mark.parametrize(
    ("name", "changes", "remedy"), FAILING, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_failure_has_its_remedy(name, changes, remedy):
    check = HOST_CHECKS[name](changed(HOST, *changes), {**WANT, "bind_address": "0.0.0.0"})
    assert check["status"] == "fail"
    assert check["found"] and check["needed"]
    assert remedy in check["remedy"]


def test_every_check_has_a_failure():
    assert {name for name, _changes, _remedy in FAILING} == set(HOST_CHECKS)


PASSING = [
    ("server_name", [("docker.containers", [{**FOREIGN, "name": "web"}])], {}),
    ("server_port", [("docker.containers", [{**ANOTHER, "bound_ports": [9000]}])], {}),
    ("server_port", [("docker.containers", [ANOTHER])], {"server": "another"}),
    ("port_free", [("docker.containers", [OWN])], {}),
    ("port_free", [port_taken(container_id=OURS), ("docker.containers", [{**OWN, "host_ports": []}])], {}),
    ("port_free", [port_taken(session_id=70), ("processes.0.pid", 70)], {}),
    ("disk_space", [("docker.root_disk.free_mib", 20000), ("docker.containers", [OWN])], {}),
    (
        "os_supported",
        [("os", {"distribution": "rocky", "version": "9.6", "family": "rhel", "pretty_name": "Rocky"})],
        {},
    ),
]


def test_a_hub_that_the_proxy_does_not_let_through_is_said_with_the_proxy():
    host = changed(HOST, ("network.reachable", False), ("network.error", "Connection refused"))
    check = HOST_CHECKS["hub_reachable"](host, {**WANT, "proxy": {"https_proxy": "http://10.0.0.1:3128"}})
    assert "through http://10.0.0.1:3128: Connection refused" in check["found"]
    assert check["remedy"].startswith("correct docker_engine_proxy")
    assert "name a proxy with docker_engine_proxy" in HOST_CHECKS["hub_reachable"](host, WANT)["remedy"]


@pytest.mark.parametrize(("name", "changes", "want"), PASSING)
def test_what_is_right_all_the_same(name, changes, want):
    assert HOST_CHECKS[name](changed(HOST, *changes), {**WANT, **want})["status"] == "pass"


@pytest.mark.parametrize(
    ("name", "changes", "want"),
    [
        ("hub_reachable", [("network", None)], {}),
        ("hub_reachable", [("network.reachable", False)], {"offline": True}),
        ("port_free", [], {"ports": []}),
        ("memory", [("memory.total_mib", None)], {}),
        ("disk_space", [("docker.root_disk.free_mib", None)], {}),
        ("clock_skew", [("clock.skew_s", None)], {}),
    ],
)
def test_what_cannot_be_judged_is_skipped(name, changes, want):
    check = HOST_CHECKS[name](changed(HOST, *changes), {**WANT, **want})
    assert (check["status"], check["remedy"]) == ("skip", "")


OPEN = "0.0.0.0"
UFW = {"name": "ufw", "allowed": [[22, 22]], "strict_forwarding": False}
FIREWALLD = {"name": "firewalld", "allowed": [], "strict_forwarding": False}


@pytest.mark.parametrize(
    ("firewall", "want", "status", "said"),
    [
        (UFW, {"bind_address": "127.0.0.1"}, "skip", ""),
        ({"name": None, "allowed": [], "strict_forwarding": False}, {"bind_address": OPEN}, "skip", ""),
        (UFW, {"bind_address": OPEN}, "fail", "--ctorigdstport 8000"),
        ({**UFW, "allowed": [[7990, 8010]]}, {"bind_address": OPEN}, "pass", ""),
        (
            UFW,
            {"bind_address": OPEN, "runtime": "process"},
            "fail",
            "sudo ufw allow from 10.0.0.0/8 to any port 8000 proto tcp",
        ),
        ({**UFW, "allowed": [[8000, 8000]]}, {"bind_address": OPEN, "runtime": "process"}, "pass", ""),
        (FIREWALLD, {"bind_address": "10.1.2.3"}, "fail", "DOCKER-USER"),
        (
            FIREWALLD,
            {"bind_address": OPEN, "runtime": "process"},
            "fail",
            "firewall-cmd --permanent --add-port=8000/tcp",
        ),
        ({**FIREWALLD, "strict_forwarding": True}, {"bind_address": OPEN}, "fail", "StrictForwardPorts=no"),
    ],
)
def test_a_firewall_that_says_something_else_than_what_will_be_is_named(firewall, want, status, said):
    check = HOST_CHECKS["firewall"](changed(HOST, ("firewall", firewall)), {**WANT, **want})
    assert check["status"] == status
    assert said in check.get("remedy", "")
