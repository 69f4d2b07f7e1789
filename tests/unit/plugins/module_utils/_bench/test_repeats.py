# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.repeats import (
    confidence,
    enough,
    half_width,
    median_index,
    student_t,
)


def runs(*rates: float) -> list[dict[str, float]]:
    return [{"completed": int(rate > 0), "output_throughput": rate, "mean_ttft_ms": 1.0} for rate in rates]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0], None),
        ([1.0, 1.0], 0.0),
        ([1.0, 2.0, 3.0], 4.302653 / 3**0.5),
        ([float(n % 2) for n in range(40)], 2.022691 * 0.506370 / 40**0.5),
    ],
)
def test_half_width(values: list[float], expected: float | None) -> None:
    assert half_width(values) == (None if expected is None else pytest.approx(expected, rel=1e-5))


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        *((1, 12.706205), (2, 4.302653), (3, 3.182446), (4, 2.776445), (5, 2.570582), (10, 2.228139), (15, 2.131450)),
        *((20, 2.085963), (30, 2.042272), (39, 2.022691), (100, 1.983972)),
    ],
)
def test_student_t(freedom: int, quantile: float) -> None:
    assert student_t(freedom) == pytest.approx(quantile, abs=1e-6)


def test_student_t_of_many_degrees_of_freedom() -> None:
    assert student_t(1000) == pytest.approx(1.962339, abs=4e-5)


def test_student_t_lies_between_whole_degrees_of_freedom() -> None:
    assert student_t(5) > student_t(5.5) > student_t(6)


def test_confidence_leaves_out_what_was_not_measured() -> None:
    result = confidence(runs(100.0, 0.0, 102.0, 98.0))
    assert result is not None
    assert set(result) == {"output_throughput", "mean_ttft_ms"}
    assert result["output_throughput"]["mean"] == 100
    assert result["output_throughput"]["relative"] == pytest.approx(4.302653 * 2 / 3**0.5 / 100)


@pytest.mark.parametrize(
    ("rates", "target", "expected"),
    [
        ((100.0, 100.0), 0.5, False),
        ((100.0, 100.1, 99.9), 0.01, True),
        ((100.0, 120.0, 80.0), 0.01, False),
        ((1.0,) * 9, 0.0, False),
        ((100.0, 0.0, 100.1, 99.9), 0.01, True),
        ((100.0, 100.0, 0.0), 0.01, False),
    ],
)
def test_enough(rates: tuple[float, ...], target: float, expected: bool) -> None:
    assert enough(runs(*rates), target) is expected


@pytest.mark.parametrize(
    ("rates", "index"), [((5.0,), 0), ((3.0, 1.0, 2.0), 2), ((4.0, 1.0, 3.0, 2.0), 3), ((0.0, 2.0), 1), ((0.0,), 0)]
)
def test_median_index(rates: tuple[float, ...], index: int) -> None:
    assert median_index(runs(*rates)) == index
