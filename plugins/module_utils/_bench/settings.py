# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a benchmark measures and within which limits: plain data, checked by options.py."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Mapping

ENDPOINTS = {"openai-chat": "/v1/chat/completions", "openai": "/v1/completions"}


@dataclass(frozen=True)
class Timeouts:
    """Limits of one request, in seconds. `idle_s` is the longest silence within a response; `control_s` limits a question that is
    no part of the load.
    """

    connect_s: float = 5.0
    first_token_s: float = 300.0
    idle_s: float = 60.0
    total_s: float = 1800.0
    control_s: float = 30.0


@dataclass(frozen=True)
class Limits:
    """The largest figure of each check that still passes. Shares are between 0 and 1."""

    failed_share: float = 0.0
    prefix_hit_rate: float = 0.001
    prompt_length_share: float = 0.0
    counter_mismatch: float = 0.001
    total_over_output: float = 0.001
    closure: float = 0.1
    late_end: float = 0.1
    coalesced_share: float = 0.25
    loop_lag_ms: float = 50.0
    cpu_share: float = 0.9
    cpu_wait_share: float = 0.2
    send_lag_ms: float = 10.0
    clock_step_ms: float = 1.0
    throttled_share: float = 0.01


@dataclass(frozen=True)
class Workload:
    """The load, without the server it goes to.

    `request_rate` inf is a closed load; `max_concurrency` 0 means as many slots as needed, `num_prompts` 0 a whole file.
    """

    name: str
    dataset: str
    input_tokens: int
    output_tokens: int
    num_prompts: int
    max_concurrency: int
    endpoint_type: str
    seed: int
    salt: str
    warmup: int
    dataset_path: str | None
    range_ratio: float
    prefix_tokens: int
    request_rate: float
    burstiness: float
    ignore_eos: bool
    continuous_usage: bool
    sampling: Mapping[str, Any]
    repeats: int
    sweep: tuple[int, ...]

    @property
    def open(self) -> bool:
        """True when requests are sent at a rate instead of when a slot is free."""
        return not math.isinf(self.request_rate)

    def describe(self) -> dict[str, Any]:
        """The workload as plain JSON types; an infinite rate or burstiness is the string `inf`."""
        described = asdict(self)
        for name in ("request_rate", "burstiness"):
            if math.isinf(described[name]):
                described[name] = "inf"
        described.update(sweep=list(self.sweep), sampling=dict(self.sampling))
        return described


@dataclass(frozen=True)
class Settings:
    """Everything that a measurement depends on, apart from the server's own state."""

    workload: Workload
    percentiles: tuple[float, ...]
    slo: Mapping[str, float]
    timeouts: Timeouts
    limits: Limits
    workers: int  # 0: by the number of CPUs and connections
    real_time: bool  # priority of the workers
    repeat_until: float  # relative half width of the 95 % interval at which repeats stop; 0: never early

    def asked(self) -> dict[str, Any]:
        """What the result depends on, by the names of the options, groups as `validity.closure`; plain JSON types.

        Without the salt, which is new for each run.
        """
        described = self.workload.describe()
        described["workload"] = described.pop("name")
        described.pop("salt")
        groups = {"slo": dict(self.slo), "timeouts": asdict(self.timeouts), "validity": asdict(self.limits)}
        alone = {name: getattr(self, name) for name in ("workers", "real_time", "repeat_until")}
        inner = {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}
        return {**described, **alone, **inner, "percentiles": list(self.percentiles)}
