# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When each request of an open load is sent. Pure."""

from __future__ import annotations

import math
import random
from array import array


def arrivals_ns(count: int, rate: float, burstiness: float, rng: random.Random) -> array[int]:
    """Offsets from the start, in nanoseconds, of `count` requests at `rate` requests per second.

    Intervals follow a gamma distribution of shape `burstiness`: 1 is Poisson, less is burstier, more is more even, and
    infinity is constant. As in `vllm bench serve` the offsets are scaled so that the last one is exactly count / rate,
    hence the offered rate is what was asked for, whatever the draw.
    """
    if math.isinf(burstiness):
        return array("q", (round((i + 1) * 1e9 / rate) for i in range(count)))
    total, times = 0.0, []
    for _number in range(count):
        total += rng.gammavariate(burstiness, 1.0)
        times.append(total)
    scale = count / rate / total * 1e9
    return array("q", (round(time * scale) for time in times))
