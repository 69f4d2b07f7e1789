# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that fail to start, each in its way: all at once, each told apart, in bounded time and with the remedy."""

from __future__ import annotations

import socket
import time

from tests.docker.conftest import Containers

# mode of the stand-in -> what the message must say
FAULTS = {
    "exit_at_once": ["-exit-at-once ended ", "restarts:"],
    "crash_loop": ["-crash-loop ended ", "Segmentation fault"],
    "hang": ["not ready after 20 s (inference_server_ready_timeout_s)"],
    "wrong_name": ["something_else", "inference_server_served_model_name"],
    "unauthorized": ["401", "inference_server_api_key_file"],
    "health_red": ["/health answers 503", "not ready after 20 s"],
    "chat_broken": ["chat", "answers 500", "inference_server_smoke"],
    "no_tools": ["tool_call", "no tool was called"],
    "gpu_memory": ["Known cause: gpu_memory", "--gpu-memory-utilization"],
    "cache_memory": ["Known cause: context_too_long", "--max-model-len"],
    "disk_full": ["Known cause: disk_full", "free space"],
    "gated_model": ["Known cause: gated_model", "licence"],
    "driver_too_old": ["Known cause: driver_too_old", "upgrade the NVIDIA driver"],
    "unknown_flag": ["Known cause: unknown_flag", "--max-modellen", "inference_server_extra_args"],
    "port_taken": ["Known cause: port_taken", "inference_server_port"],
    "model_missing": ["Known cause: model_missing", "inference_server_model"],
}
BOUND_S = 300  # all of them, on a small and busy machine; each alone has the 20 s of its ready timeout


def test_each_fault_is_told_with_its_remedy_and_does_not_stop_the_others(fleet: Containers) -> None:
    for mode in FAULTS:
        fleet.serve(mode, mode)
    fleet.serve("slow_start", "slow_start")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fleet.serve("neighbour", inference_server_port=taken.getsockname()[1])
        began = time.monotonic()
        played = fleet.play("deploy.yml")
        elapsed_s = time.monotonic() - began
    told = {name: fleet_message for name in fleet.hosts if (fleet_message := played.failures(name))}
    wrong = {
        name: told.get(name, "did not fail")
        for name, expected in FAULTS.items()
        if not all(part in told.get(name, "") for part in expected)
    }
    assert wrong == {}
    assert "set inference_server_port of this host" in told["neighbour"]
    assert "nothing to go back to" in told["hang"]
    assert set(fleet.hosts) - set(told) == {"slow_start"}
    assert played.rc != 0
    assert elapsed_s < BOUND_S
