# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils import _proxies

ADDRESS = "http://proxy.example.org:3128"
LOOPBACK = "localhost,127.0.0.1,::1"


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ({}, None),
        ({"https_proxy": ADDRESS, "no_proxy": ".example.org"}, None),
        ({"https_proxy": "socks5h://10.0.0.1:1080/"}, None),
        ({"https_proxy": "proxy.example.org:3128"}, "an address such as http://"),
        ({"https_proxy": f"{ADDRESS} "}, "an address such as http://"),
        ({"http_proxy": "http://me:Opensesame1@proxy:3128"}, "a user or a password"),
        ({"https": ADDRESS}, "http_proxy, https_proxy, no_proxy"),
    ],
)
def test_what_is_wrong_with_a_proxy_is_said_without_its_password(proxy, said):
    found = "; ".join(map(str, _proxies.problems("docker_engine_proxy", proxy)))
    assert (said in found) if said else (found == "")
    assert "Opensesame1" not in found


@pytest.mark.parametrize(
    ("proxy", "no_proxy"),
    [
        ({"https_proxy": ADDRESS}, LOOPBACK),
        ({"https_proxy": ADDRESS, "no_proxy": ".a, localhost"}, ".a,localhost,127.0.0.1,::1"),
        ({"no_proxy": ".a"}, None),
        ({}, None),
        ({"https_proxy": "", "http_proxy": None}, None),
    ],
)
def test_programs_get_it_in_both_spellings_and_the_host_itself_is_an_exception(proxy, no_proxy):
    environment = _proxies.environment(proxy)
    assert environment.get("no_proxy") == environment.get("NO_PROXY") == no_proxy
    assert environment.get("https_proxy") == environment.get("HTTPS_PROXY") == (ADDRESS if no_proxy else None)


IN_FORCE = {"http_proxy": None, "https_proxy": ADDRESS, "no_proxy": LOOPBACK}


@pytest.mark.parametrize(
    ("docker", "by"),
    [
        ({"state": "running", "version": "26.1.5", "proxies": IN_FORCE}, None),
        ({"state": "running", "version": "20.10.24", "proxies": IN_FORCE}, None),
        ({"state": "running", "version": "26.1.5", "proxies": {}}, "options"),
        ({"state": "running", "version": "23.0", "proxies": {**IN_FORCE, "https_proxy": "http://old"}}, "options"),
        ({"state": "running", "version": "20.10.24", "proxies": {}}, "drop_in"),
        ({"state": "absent", "version": None, "proxies": {}}, "drop_in"),
        ({"state": "stopped", "version": "28.2"}, "options"),
    ],
)
def test_docker_gets_to_know_it_in_the_way_that_its_version_has(docker, by):
    way = _proxies.of_docker(docker, {"https_proxy": ADDRESS})
    assert [name for name, value in way.items() if value] == ([by] if by else [])
    if by == "options":
        assert way["options"] == {"proxies": {"https-proxy": ADDRESS, "no-proxy": LOOPBACK}}
    if by == "drop_in":
        assert way["drop_in"].splitlines() == [
            "[Service]",
            f'Environment="HTTPS_PROXY={ADDRESS}"',
            f'Environment="NO_PROXY={LOOPBACK}"',
        ]


def test_a_sign_that_systemd_would_replace_is_doubled():
    way = _proxies.of_docker({"state": "absent", "version": None}, {"https_proxy": "http://proxy/%2F"})
    assert "http://proxy/%%2F" in way["drop_in"]
