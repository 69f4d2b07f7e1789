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


# scipy.stats.t.ppf(0.975, freedom) of SciPy 1.17
QUANTILES = {
    1: 12.706204736175, 1.5: 6.016663104428, 2: 4.302652729749, 3: 3.182446305284, 4: 2.776445105198, 5: 2.570581835636,
    5.5: 2.501858617589, 10: 2.228138851986, 15: 2.131449545560, 20: 2.085963447266, 29: 2.045229642133, 30: 2.042272456301,
    30.5: 2.040869445186, 31: 2.039513446396, 39: 2.022690920037, 60: 2.000297822014, 100: 1.983971518524, 150: 1.975905330897,
    250: 1.969498393421, 500: 1.964719837467, 999.5: 1.962340270384, 1000: 1.962339080826, 1000.5: 1.962337892459,
    1e4: 1.960201239891, 1e5: 1.959987707535, 1e6: 1.959966356814, 1e9: 1.959963986912,
}  # fmt: skip


@pytest.mark.parametrize(("freedom", "quantile"), QUANTILES.items())
def test_student_t(freedom: float, quantile: float) -> None:
    assert student_t(freedom) == pytest.approx(quantile, abs=1e-11)


def test_student_t_falls_without_a_jump() -> None:
    steps = [30, 30.001, 31, 32, 100, 999.9, 999.999999, 1000, 1000.000001, 1000.1, 1e4, 1e6, 1e12]
    values = [student_t(freedom) for freedom in steps]
    assert values == sorted(values, reverse=True)
    assert student_t(999.999999) - student_t(1000) < 1e-11


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
