# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statistics against tables, textbook values and planted differences."""

from __future__ import annotations

import random

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.statistics import (
    lone_change,
    relative_change,
    robust_deviation,
    robust_scores,
    summary,
)


def test_summary() -> None:
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0, "count": 3}
    assert summary([]) == {"median": None, "min": None, "max": None, "count": 0}


def test_the_robust_deviation_of_many_normal_values_is_their_deviation() -> None:
    source = random.Random(1)
    values = [source.gauss(100.0, 2.0) for _ in range(4001)]
    assert robust_deviation(values) == pytest.approx(2.0, rel=0.05)


def test_one_bad_value_does_not_hide_itself() -> None:
    scores = robust_scores([100.0, 101.0, 99.0, 100.5, 99.5, 10.0], resolution=0.002)
    assert scores[-1] < -20
    assert max(map(abs, scores[:-1])) < 2


def test_equal_values_are_measured_against_the_resolution() -> None:
    assert robust_scores([100.0] * 5 + [100.1], resolution=0.002)[-1] == pytest.approx(0.5)
    assert robust_scores([0.0] * 5, resolution=0.002) == [0.0] * 5


def test_a_paired_change_is_not_blurred_by_unlike_hosts() -> None:
    before = [100.0, 200.0, 300.0, 400.0]
    now = [value * 0.98 * wobble for value, wobble in zip(before, (1.001, 0.999, 1.0005, 0.9995))]
    paired = relative_change(before, now, paired=True)
    blurred = relative_change(before, now, paired=False)
    assert paired["change"] == pytest.approx(-0.02, abs=1e-4)
    assert paired["low"] < -0.02 < paired["high"] < 0
    assert blurred["low"] < 0 < blurred["high"]


@pytest.mark.parametrize(("before", "now", "paired"), [([1.0], [2.0], True), ([1.0], [1.0, 3.0], False)])
def test_too_few_values_have_no_interval(before: list[float], now: list[float], paired: bool) -> None:
    result = relative_change(before, now, paired=paired)
    assert result["low"] is None and result["high"] is None and result["change"] is not None


def test_equal_groups_have_an_interval_of_no_width() -> None:
    assert relative_change([2.0, 2.0], [3.0, 3.0], paired=False) == pytest.approx(
        {"change": 0.5, "low": 0.5, "high": 0.5}
    )


@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_holds_the_truth_in_95_of_100_cases(paired: bool) -> None:
    source = random.Random(2)
    held = 0
    for _ in range(1000):
        before = [source.lognormvariate(0, 0.01) for _ in range(6)]
        now = [0.97 * source.lognormvariate(0, 0.01) for _ in range(6)]
        result = relative_change(before, now, paired=paired)
        assert result["low"] is not None and result["high"] is not None
        held += result["low"] <= -0.03 <= result["high"]
    assert 0.93 < held / 1000 < 0.97


def test_a_lone_change_is_as_sure_as_the_past_was_steady() -> None:
    steady, shaky = (lone_change(100.0, 97.0, [1 + step, 1 / (1 + step)] * 3) for step in (0.001, 0.03))
    assert steady["change"] == shaky["change"] == pytest.approx(-0.03)
    assert steady["high"] is not None and steady["high"] < 0
    assert shaky["high"] is not None and shaky["high"] > 0
