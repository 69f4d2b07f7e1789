# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import math
import random

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.arrivals import arrivals_ns


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0, math.inf])
def test_the_last_arrival_is_at_count_over_rate(burstiness: float) -> None:
    times = arrivals_ns(200, 50.0, burstiness, random.Random(1))
    assert times[-1] == pytest.approx(4e9)
    assert list(times) == sorted(times)


def test_constant_intervals() -> None:
    assert list(arrivals_ns(3, 10.0, math.inf, random.Random(1))) == [100_000_000, 200_000_000, 300_000_000]


@pytest.mark.parametrize(("burstiness", "variation"), [(0.25, 2.0), (1.0, 1.0), (4.0, 0.5)])
def test_intervals_vary_as_a_gamma_distribution(burstiness: float, variation: float) -> None:
    """Its coefficient of variation is 1 / sqrt(shape)."""
    times = arrivals_ns(20_000, 1000.0, burstiness, random.Random(1))
    gaps = [b - a for a, b in zip(times, times[1:])]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert deviation / mean == pytest.approx(variation, rel=0.05)


def test_a_seed_repeats_them() -> None:
    assert arrivals_ns(50, 5.0, 1.0, random.Random("a")) == arrivals_ns(50, 5.0, 1.0, random.Random("a"))
