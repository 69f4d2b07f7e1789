# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import sys

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.ports import (
    parse_kernel_address,
    parse_proc_net_tcp,
    probe_ports,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System
from hypothesis import given
from hypothesis import strategies as st

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the sample is from a little-endian kernel")
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
    ],
)
def test_kernel_addresses(text, address):
    assert parse_kernel_address(text) == address


def test_only_listening_sockets_count():
    listeners = parse_proc_net_tcp(TCP)
    assert [(item.port, item.inode) for item in listeners] == [(8000, "4711")]


@given(st.text(max_size=300))
def test_any_table_is_taken(text):
    assert isinstance(parse_proc_net_tcp(text), list)


def test_the_owner_of_a_port(fake_host):
    fake_host.file("/proc/net/tcp", TCP)
    fake_host.file("/proc/77/cmdline", "python3\0-m\0http.server\0--api-key\0sk-1\0")
    fake_host.symlink("/proc/77/fd/3", "socket:[4711]")
    fake_host.symlink("/proc/76/fd/3", "socket:[9]")
    taken, free = probe_ports(fake_host, [8000, 8001])
    assert taken["in_use"] and not free["in_use"]
    assert [(owner["pid"], owner["command"]) for owner in taken["owners"]] == [
        (77, "python3 -m http.server --api-key ********")
    ]


def test_an_owner_that_may_not_be_seen(fake_host):
    fake_host.file("/proc/net/tcp", TCP)
    owner = probe_ports(fake_host, [8000])[0]["owners"][0]
    assert owner["pid"] is None and owner["command"] is None


@pytest.mark.parametrize("without_proc", [False, True])
def test_a_real_listener(tmp_path, without_proc):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        probed = probe_ports(System(root=str(tmp_path)) if without_proc else System(), [port])[0]
    assert probed["in_use"]
    if not without_proc and sys.platform == "linux":
        assert probed["owners"][0]["pid"] == os.getpid()
