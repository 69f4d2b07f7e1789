# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import resource
import socket

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen import load as load_module
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.progress import Counts, ProgressCounters
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError


@pytest.mark.parametrize(
    ("connections", "cpus", "expected"),
    [(1, 1, 1), (32, 2, 1), (32, 64, 1), (65, 64, 2), (1000, 64, 16), (1000, 8, 2), (256, 256, 4)],
)
def test_worker_count(connections: int, cpus: int, expected: int) -> None:
    assert load_module.worker_count(connections, cpus) == expected


def test_too_many_connections_for_the_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 500))
    with pytest.raises(UserError, match="500 files"):
        load_module.raise_file_limit(1000)


def test_the_soft_limit_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 5000))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    load_module.raise_file_limit(10)
    load_module.raise_file_limit(1000)
    assert limits == [(1064, 5000)]


def test_the_board_sums_over_the_workers() -> None:
    board = ProgressCounters(2)
    board.write(0, Counts(1, 0, 10, 100, 12))
    board.write(1, Counts(2, 1, 20, 200, 24))
    assert board.read() == Counts(3, 1, 30, 300, 36)
    assert not board.stopped
    board.stop()
    assert board.stopped


@pytest.mark.parametrize("call", ["expect", "tell", "result"])
def test_a_worker_that_was_killed_is_named(call: str) -> None:
    """Whatever of the connection to it fails first."""
    ours, theirs = socket.socketpair()
    ours.sendall(b"x")  # not read: the end is a reset
    theirs.close()
    child = load_module._Child.__new__(load_module._Child)
    child.socket, child.pid = ours, os.fork()
    if child.pid == 0:
        os._exit(9)
    with pytest.raises(UserError, match="worker ended early"):
        {"expect": lambda: child.expect(b"r"), "tell": lambda: child.tell(b"s"), "result": child.result}[call]()
    ours.close()
