# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment of three hosts prints: how much, each thing once, and what is served where at the end."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from .conftest import Fleet
from .shown import LIMITS, Shown

HOSTS = {"gpu-01": "h100", "gpu-02": "a100", "gpu-03": "b200"}
BROKEN = '{"inference_server_simulator": {"no_such_option": 1}}'
CAUSE = "error: unknown option 'no_such_option'"


@pytest.fixture(params=LIMITS)
def shown(request: Any, fleet: Fleet, tmp_path: Path) -> Shown:
    for name, group in HOSTS.items():
        fleet.add(name, group)
    return Shown(fleet, tmp_path, request.param)


def test_what_is_printed_is_short_each_thing_once_and_a_table_ends_it(shown: Shown) -> None:
    first = shown.deploy()
    assert first.returncode == 0, first.stdout + first.stderr
    again = shown.deploy()
    assert again.returncode == 0, again.stdout + again.stderr
    shown.is_short(again.stdout)
    for host, group in HOSTS.items():
        port = shown.fleet.hosts[host][1]["inference_server_port"]
        for words in (group, "vllm SIMULATED", "LiquidAI/LFM2.5-8B-A1B", f"http://127.0.0.1:{port}"):
            assert words in shown.rows(first.stdout)[host], first.stdout
        assert shown.rows(first.stdout)[host].endswith("server")
    back = shown.deploy("-e", BROKEN)
    assert back.returncode != 0
    shown.fails_once(back.stdout, CAUSE)
    assert all("; rolled back" in row for row in shown.rows(back.stdout).values())
    assert back.stdout.count("answers again") == len(HOSTS)


def test_a_first_deployment_that_fails_says_so_once(shown: Shown) -> None:
    refused = shown.deploy("-e", BROKEN)
    assert refused.returncode != 0
    shown.fails_once(refused.stdout, CAUSE)
    assert refused.stdout.count("nothing to go back to") == len(HOSTS)


def test_a_port_that_is_taken_is_said_once(fleet: Fleet, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fleet.add("gpu-01", inference_server_port=taken.getsockname()[1])
        shown = Shown(fleet, tmp_path, "defaults")
        refused = shown.deploy()
    assert refused.returncode != 0
    above = refused.stdout.split("PLAY RECAP")[0]
    assert above.count(f"(pid {os.getpid()})") == 1, refused.stdout
    assert f"(pid {os.getpid()})" in shown.rows(refused.stdout)["gpu-01"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ('{"inference_server_port": 0}', "inference_server_port is 0"),
        ('{"inference_server_ready_timeout_s": "soon"}', "inference_server_ready_timeout_s is"),
        ('{"inference_server_smoke": {"tool_call": "required"}, "inference_server_served_model_name": "x"}', "tool_call at http"),
    ],
)  # fmt: skip
def test_every_refusal_is_said_once(fleet: Fleet, tmp_path: Path, choice: str, words: str) -> None:
    fleet.add("gpu-01")
    shown = Shown(fleet, tmp_path, "defaults")
    refused = shown.deploy("-e", choice)
    assert refused.returncode != 0
    above = refused.stdout.split("PLAY RECAP")[0]
    assert above.count(words) == 1, refused.stdout
    assert "[ERROR]" not in above and words in shown.rows(refused.stdout)["gpu-01"]


def test_the_table_comes_once_with_batches_and_names_hosts_that_had_no_turn(fleet: Fleet, tmp_path: Path) -> None:
    for name, group in HOSTS.items():
        fleet.add(name, group)
    fleet.hosts["gpu-01"][1].update(
        ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1, ansible_ssh_timeout=2
    )
    shown = Shown(fleet, tmp_path, "checkout")
    stopped = shown.deploy("-e", '{"inference_server_serial": 1, "inference_server_max_fail_percentage": 0}')
    assert stopped.returncode != 0
    reached = [host for host, row in shown.rows(stopped.stdout).items() if "not reached" not in row]
    assert "FAILED: unreachable: " in shown.rows(stopped.stdout)["gpu-01"], stopped.stdout
    assert set(shown.rows(stopped.stdout)) == set(HOSTS) and "gpu-01" in reached
    whole = shown.deploy("-e", '{"inference_server_serial": 2}', "-l", "!gpu-01")
    assert whole.returncode == 0 and set(shown.rows(whole.stdout)) == {"gpu-02", "gpu-03"}
    assert whole.stdout.count("Endpoint") == 1


def test_a_check_says_what_it_would_change(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("gpu-01")
    shown = Shown(fleet, tmp_path, "checkout")
    planned = shown.deploy("--check")
    assert planned.returncode == 0, planned.stdout
    assert shown.rows(planned.stdout)["gpu-01"].endswith("would change: server")
    shutil.rmtree(fleet.folder / "state", ignore_errors=True)
