# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Terminal and Markdown: aligned, escaped, SIMULATED where a reader cannot miss it."""

from __future__ import annotations

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import markdown, terminal
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.numbers import figure, pair, ratio
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.tables import Table
from reports import NASTY, report


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.1736, "0.174"),
        (4.234, "4.23"),
        (61.44, "61.4"),
        (792.4, "792"),
        (36267.3, "36,267"),
        (-250.0, "-250"),
    ],
)
def test_figure(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_ratio_and_pair() -> None:
    assert (ratio(1.0234), ratio(None)) == ("×1.02", "-")
    assert (pair("1", "2"), pair("-", "-"), pair("1", "-")) == ("1 / 2", "-", "1 / -")


def test_the_terminal_aligns_numbers_to_the_right() -> None:
    text = terminal.table_text(Table("T", ["Name", "n"], [["a", "1"], ["long name", "1,000"]]), notes=False)
    assert text.splitlines()[1:] == ["Name           n", "---------  -----", "a              1", "long name  1,000"]


def test_the_demo_on_a_terminal() -> None:
    text = terminal.render(report(sample.simulated_fleet()))
    assert text.count("vllm SIMULATED") == 6
    assert text.count("inferred") == 6
    assert "SIMULATED: figures marked so" in text
    assert "3 of 3 hosts with a valid result" in text
    assert max(map(len, text.splitlines())) < 140


def test_a_real_fleet_is_not_called_simulated() -> None:
    assert "SIMULATED" not in markdown.render(report({"a": sample.host_facts("a")}))


def test_another_workload_says_why_nothing_published_is_shown() -> None:
    fleet = {"a": sample.host_facts("a", workload={**sample.WORKLOAD, "num_prompts": 64})}
    text = terminal.render(report(fleet))
    assert "num_prompts 64 instead of 512" in text
    assert "inferred" not in text


def test_hosts_without_a_result_are_named_and_a_terminal_shows_the_first() -> None:
    text = terminal.render(report({f"h{number:03}": {} for number in range(100)}))
    assert "h019" in text and "h020" not in text and "80 more" in text


def test_markup_in_names_and_reasons_stays_text() -> None:
    result = report({NASTY: sample.host_facts(status="failed", reason=NASTY), f"{NASTY}2": sample.host_facts()})
    for line in markdown.render(result).splitlines():
        assert "<script" not in line.replace("\\<", "")
        assert not line.startswith("|") or line.count("|") - line.count("\\|") > 3
    assert "\x1b" not in terminal.render(result) + markdown.render(result)
