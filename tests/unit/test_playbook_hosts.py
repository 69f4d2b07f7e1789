# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every play on the fleet narrows its hosts in the same way: what a survey chose holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
FLEET = "{{ llmfleet_limit | default('inference', true) }},&{{ llmfleet_gpu_class | default('inference', true) }},&inference"
OTHERS = {"localhost", "localhost,inference", "lambda_campaign"}


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.name)
def test_a_play_is_on_the_controller_or_on_the_chosen_part_of_the_fleet(path):
    assert {play["hosts"] for play in yaml.safe_load(path.read_text()) if "hosts" in play} <= {FLEET, *OTHERS}
