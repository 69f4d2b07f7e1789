# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import struct
import sys
import time

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen import clock


def test_kernel_time_of_a_message() -> None:
    data = struct.pack("@ll", 1_700_000_000, 123)
    assert clock.kernel_time_ns([(socket.SOL_SOCKET, clock.SO_TIMESTAMPNS, data)]) == 1_700_000_000_000_000_123
    assert clock.kernel_time_ns([(socket.SOL_SOCKET, 1, data)]) is None
    assert clock.kernel_time_ns([]) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's time is Linux's")
def test_the_kernel_stamps_a_stream_from_its_first_packet() -> None:
    with clock.kernel_time() as stamps, socket.create_server(("127.0.0.1", 0)) as listener:
        assert stamps
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            assert clock.enable_kernel_time(client)
            before = time.time_ns()
            server.sendall(b"x")
            _, ancillary, _, _ = client.recvmsg(10, clock.ANCILLARY_BYTES)
        stamp = clock.kernel_time_ns(ancillary)
        assert stamp is not None
        assert before <= stamp <= time.time_ns()


def test_a_step_is_seen_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = clock.ClockWatch()
    assert watch.look() < 1000
    real = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: real() + 5_000_000_000)
        assert watch.look() == pytest.approx(5000, abs=900)
    assert watch.look() == pytest.approx(5000, abs=900)


def test_a_wait_for_the_cpu_between_two_readings_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = clock.ClockWatch()
    real, monotonic = time.time_ns, time.monotonic_ns
    waited_ns = 0

    def late() -> int:
        nonlocal waited_ns
        waited_ns += 40_000_000  # each reading comes so much after the one before
        return monotonic() + waited_ns

    monkeypatch.setattr(time, "monotonic_ns", late)
    monkeypatch.setattr(time, "time_ns", lambda: real() + waited_ns)
    assert watch.look() == 0
