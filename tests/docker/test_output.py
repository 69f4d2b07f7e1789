# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment of three hosts with Docker prints: as little as that of a simulated fleet, though more is looked at.

Only where all three fail, a checkout's output is longer: an engine's own error and what became of its container take six lines a host.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docker.conftest import Containers
from tests.integration.shown import LIMITS, Shown

HOSTS = ("one", "two", "three")
CAUSE = "Known cause: unknown_flag"


@pytest.fixture(params=LIMITS)
def shown(request: Any, fleet: Containers, tmp_path: Path) -> Shown:
    for name in HOSTS:
        fleet.serve(name)
    return Shown(fleet, tmp_path, request.param, {"failed": 75} if request.param == "checkout" else {})


def test_what_is_printed_of_hosts_with_docker_is_short_and_each_thing_once(shown: Shown) -> None:
    first = shown.deploy()
    assert first.returncode == 0, first.stdout + first.stderr
    again = shown.deploy()
    assert again.returncode == 0, again.stdout + again.stderr
    shown.is_short(again.stdout)
    back = shown.deploy("-e", '{"inference_server_env": {"STAND_IN": "unknown_flag"}}')
    assert back.returncode != 0
    shown.fails_once(back.stdout, CAUSE)
    assert all("; rolled back" in row for row in shown.rows(back.stdout).values())
