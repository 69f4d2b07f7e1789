# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.filter.fleet_report import fleet_report

FOLDER, MODEL = "/models/x", sample.PUBLISHED["model"]


@pytest.mark.parametrize("names", [{FOLDER: MODEL}, f'{{"{FOLDER}": "{MODEL}"}}'], ids=["dictionary", "text"])
def test_what_folders_hold_may_be_text_as_a_template_leaves_it(names: Any) -> None:
    fact = sample.benchmark("one")
    server = {**fact["provenance"]["server"], "model": FOLDER}
    hosts = {"one": {"llmfleet_benchmark": {**fact, "provenance": {**fact["provenance"], "server": server}}}}
    made = fleet_report(hosts, hosts=["one"], published_figures=[sample.PUBLISHED], model_names=names)
    assert made["groups"][0]["published"]["taken_as"] == MODEL
