# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tokens cost, in money and in energy. Pure."""

from __future__ import annotations

from typing import Any

from .._plain import mapping, number
from .statistics import summary

ENERGY = ("energy_per_output_token_j", "mean_power_w", "mean_sm_clock_mhz", "max_temperature_c")


def cost(hourly_price: float | None, gpu_count: float, output_throughput: float | None) -> float | None:
    """Price of a million output tokens: hourly price of a GPU x GPUs / tokens per hour x 1e6."""
    if hourly_price is None or not output_throughput:
        return None
    return hourly_price * gpu_count / (output_throughput * 3600) * 1e6


def energy(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]] | None:
    """Median, min, max and count of each energy figure over the hosts that measured it; None when none did."""
    values = {key: [number(mapping(row["energy"]).get(key)) for row in rows] for key in ENERGY}
    figures = {key: summary([value for value in column if value is not None]) for key, column in values.items()}
    return figures if any(figure["count"] for figure in figures.values()) else None
