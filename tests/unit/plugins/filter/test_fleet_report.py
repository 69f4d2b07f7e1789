# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import facts as sample
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmfleet.serving.plugins.filter.fleet_report import fleet_report

FOLDER, MODEL = "/models/x", sample.PUBLISHED["model"]


@pytest.mark.parametrize("names", [{FOLDER: MODEL}, f'{{"{FOLDER}": "{MODEL}"}}'], ids=["dictionary", "text"])
def test_what_folders_hold_may_be_text_as_a_template_leaves_it(names: Any) -> None:
    fact = sample.benchmark("one")
    server = {**fact["provenance"]["server"], "model": FOLDER}
    hosts = {"one": {"llmfleet_benchmark": {**fact, "provenance": {**fact["provenance"], "server": server}}}}
    made = fleet_report(hosts, hosts=["one"], published_figures=[sample.PUBLISHED], model_names=names)
    assert made["groups"][0]["published"]["taken_as"] == MODEL


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        {"a": 1},
        [7],
        [{"model": MODEL, "results": []}],
        [{"model": MODEL, "results": None}],
        [{"model": MODEL, "results": {"vllm": [1]}}],
        [{"model": MODEL, "results": {"vllm": {"h100": 7}}}],
        [{"model": MODEL, "workload": [8192], "results": {}}],
    ],
    ids=str,
)
def test_published_figures_of_another_shape_are_refused_by_the_variable_that_names_them(odd: Any) -> None:
    hosts = {"one": {"llmfleet_benchmark": sample.benchmark("one")}}
    with pytest.raises(AnsibleFilterError, match="report_published_files"):
        fleet_report(hosts, hosts=["one"], published_figures=odd)
