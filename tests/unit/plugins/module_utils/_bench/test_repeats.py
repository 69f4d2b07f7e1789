from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.repeats import (
    confidence,
    enough,
    half_width,
    median_index,
)


def runs(*rates: float) -> list[dict[str, float]]:
    return [{"completed": int(rate > 0), "output_throughput": rate, "mean_ttft_ms": 1.0} for rate in rates]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0], None),
        ([1.0, 1.0], 0.0),
        ([1.0, 2.0, 3.0], 4.303 / 3**0.5),
        ([float(n % 2) for n in range(40)], 1.960 * 0.50637 / 40**0.5),
    ],
)
def test_half_width(values: list[float], expected: float | None) -> None:
    assert half_width(values) == (None if expected is None else pytest.approx(expected, rel=1e-4))


def test_confidence_leaves_out_what_was_not_measured() -> None:
    found = confidence(runs(100.0, 0.0, 102.0, 98.0))
    assert found is not None
    assert set(found) == {"output_throughput", "mean_ttft_ms"}
    assert found["output_throughput"]["mean"] == 100
    assert found["output_throughput"]["relative"] == pytest.approx(4.303 * 2 / 3**0.5 / 100)


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
