# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of the demo take free ports, and keep them."""

from __future__ import annotations

import json
import os
import socket

import pytest

from tools import demo_ports


@pytest.fixture
def preferred(monkeypatch):
    """Three ports that were free a moment ago, in the place of those that another program may hold."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _host in demo_ports.PREFERRED]
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    monkeypatch.setattr(demo_ports, "PREFERRED", dict(zip(demo_ports.PREFERRED, found)))
    return found


def deployed(state, port, pid):
    """What a deployed server leaves in its state folder."""
    for name, content in (
        ("llmfleet-server/process.json", {"pid": pid}),
        ("facts.d/llmfleet_server.fact", {"instances": [{"port": port}]}),
    ):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text(json.dumps(content))


def test_free_ports_are_those_of_the_inventory(tmp_path, preferred):
    assert demo_ports.ports(tmp_path) == preferred


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_taken_port_is_left_to_who_holds_it(tmp_path, preferred, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, preferred[1]), family=family):
        found = demo_ports.ports(tmp_path)
    assert found[0] == preferred[0] and found[1] not in preferred[:2] and len(set(found)) == 3


def test_neighbours_do_not_get_the_same_port(tmp_path, preferred, monkeypatch):
    monkeypatch.setattr(demo_ports, "PREFERRED", dict.fromkeys(demo_ports.PREFERRED, preferred[0]))
    assert len(set(demo_ports.ports(tmp_path))) == 3


def test_a_server_keeps_its_port_unless_it_ended_and_another_program_took_it(tmp_path, preferred):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        deployed(tmp_path / "demo-h100", port, os.getpid())
        assert demo_ports.ports(tmp_path)[1] == port
        deployed(tmp_path / "demo-h100", port, 2**22 + 1)
        assert demo_ports.ports(tmp_path) == preferred
    assert demo_ports.ports(tmp_path)[1] == port


def test_what_is_no_record_counts_as_none(tmp_path, preferred):
    deployed(tmp_path / "demo-h100", "text", "text")
    (tmp_path / "demo-b200" / "llmfleet-server").mkdir(parents=True)
    (tmp_path / "demo-b200" / "llmfleet-server" / "process.json").write_text("{")
    assert demo_ports.ports(tmp_path) == preferred
