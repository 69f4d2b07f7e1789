# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.firewall import (
    parse_firewalld_ports,
    parse_ufw,
    probe_firewall,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System

UFW = """Status: active

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW       Anywhere
8000:8007/tcp              ALLOW       10.0.0.0/8
9000                       DENY        Anywhere
9100/udp                   ALLOW       Anywhere
OpenSSH                    LIMIT       Anywhere
22/tcp (v6)                ALLOW       Anywhere (v6)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UFW, [[22, 22], [8000, 8007], [22, 22]]),
        ("Status: active\n", []),
        ("Status: inactive\n", None),
        ("ERROR: You need to be root to run this script\n", None),
        ("", None),
    ],
)
def test_what_ufw_opens(text, expected):
    assert parse_ufw(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("8000/tcp 9000-9100/tcp 53/udp\n", [[8000, 8000], [9000, 9100]]), ("\n", [])]
)
def test_what_firewalld_opens(text, expected):
    assert parse_firewalld_ports(text) == expected


def program(folder, name, text):
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("programs", "conf", "expected"),
    [
        ({}, "", (None, [], False)),
        ({"ufw": "echo 'Status: active'; echo '8000/tcp ALLOW Anywhere'"}, "", ("ufw", [[8000, 8000]], False)),
        ({"ufw": "echo 'Status: inactive'", "firewall-cmd": "exit 252"}, "", (None, [], False)),
        (
            {"ufw": "exit 1", "firewall-cmd": 'echo "$1" | sed s/--list-ports/1-2\\\\/tcp/'},
            "",
            ("firewalld", [[1, 2]], False),
        ),
        ({"firewall-cmd": "true"}, "StrictForwardPorts=yes\n", ("firewalld", [], True)),
        ({"firewall-cmd": "true"}, "# StrictForwardPorts=yes\nStrictForwardPorts=no\n", ("firewalld", [], False)),
    ],
)
def test_the_firewall_of_a_host(tmp_path, programs, conf, expected):
    for name, text in programs.items():
        program(tmp_path, name, text)
    (tmp_path / "etc/firewalld").mkdir(parents=True)
    (tmp_path / "etc/firewalld/firewalld.conf").write_text(conf)
    found = probe_firewall(System(str(tmp_path), [str(tmp_path / "bin")]))
    assert (found["name"], found["allowed"], found["strict_forwarding"]) == expected
