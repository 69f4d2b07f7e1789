# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""upgrade.yml with servers that run as processes; packages, reboots and containers are in tests/hosts/test_life.py."""

from __future__ import annotations

import json

from .conftest import Fleet


def test_an_upgrade_starts_the_server_anew_host_by_host_and_stops_at_the_first_that_fails(fleet: Fleet) -> None:
    for name in ("one", "two"):
        fleet.add(name)
    assert fleet.play("deploy.yml", limit="two").rc == 0
    record = fleet.folder / "state" / "two" / "llmfleet-server" / "process.json"
    before = json.loads(record.read_text())

    stopped = fleet.play("upgrade.yml", upgrade_reboot="never")
    assert stopped.rc != 0 and "nothing is deployed here" in stopped.failures("one")
    assert json.loads(record.read_text()) == before  # the second host was not begun

    done = fleet.play("upgrade.yml", limit="two", upgrade_reboot="never")
    assert done.rc == 0, done.output
    assert json.loads(record.read_text())["pid"] != before["pid"]
    assert "llmfleet.serving.server_ready" in done.tasks_of("two")  # it waits and tests
