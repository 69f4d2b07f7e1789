# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the facts of a host have to be. Data.

They are written by `_bench/result.py` (llmfleet_benchmark) and `_spec/deployment.py` (llmfleet_server); a key that is added
there is added here, and a test fails until it is. What the report computes with has a shape, what it only hands on is Loose.
"""

from __future__ import annotations

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import METRICS

from .._border import Either, Figures, Flag, Items, Loose, Number, Record, Shape, Text

_NAME = Text(longest=200)
_AMOUNT = Number(least=0)
_TIME = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SEED = Number(least=-1e40, most=1e40)  # any number will do to draw random ones
_LOOSE = Loose()
_RATE = Number(least=0, smallest=1e-6)  # tokens or requests per second; what is divided by it stays finite

# A latency is negative where the time of day was set during the run, and then a check has failed, which says it better.
METRIC = Figures(
    {
        metric.key: _RATE if metric.unit.endswith("/s") else Number() if metric.unit == "ms" else _AMOUNT
        for metric in METRICS
    }
)

# A repeat, or a level of a sweep: figures, and the names of the checks that it failed.
_POINT = Figures({**METRIC.known, "invalid": Items(_NAME)}, _LOOSE)

SERVER = Record(
    {
        **dict.fromkeys(("schema_version", "ready_s"), _AMOUNT),
        **dict.fromkeys(
            (
                *(
                    "backend",
                    "runtime",
                    "release",
                    "intent",
                    "image",
                    "model",
                    "served_model_name",
                    "endpoint",
                    "owner",
                ),
                *("image_digest", "model_revision", "engine_version", "engine", "spec_digest"),
            ),
            _NAME,
        ),
        "run_command": Text(),
        "argv": Items(Text()),
        "simulated": Flag(),
        "gpu": Record(
            {
                **dict.fromkeys(("class", "name", "driver_version"), _NAME),
                "count": Number(least=0, most=4096),
                "uuids": Items(_NAME),
                "left": Items(Text()),
            }
        ),
        **dict.fromkeys(("lora", "instances", "smoke", "phases"), _LOOSE),
    }
)

WORKLOAD = Record(
    {
        **dict.fromkeys(
            (
                "input_tokens",
                "output_tokens",
                "num_prompts",
                "max_concurrency",
                "warmup",
                "range_ratio",
                "prefix_tokens",
            ),
            _AMOUNT,
        ),
        **dict.fromkeys(("repeats", "prompt_overhead_tokens"), _AMOUNT),
        **dict.fromkeys(("request_rate", "burstiness"), Either((_AMOUNT, Text("inf|Infinity")))),
        **dict.fromkeys(("name", "dataset", "dataset_path", "endpoint_type", "salt"), _NAME),
        **dict.fromkeys(("ignore_eos", "continuous_usage"), Flag()),
        "seed": _SEED,
        "sampling": _LOOSE,
        "sweep": Items(_AMOUNT),
    }
)

BENCHMARK = Record(
    {
        "schema_version": _AMOUNT,
        **dict.fromkeys(("status", "run_id", "fleet_run"), _NAME),
        **dict.fromkeys(("reason", "record_path", "record_error"), Text()),
        **dict.fromkeys(("started_at", "finished_at"), _TIME),
        "simulated": Flag(),
        "workload": WORKLOAD,
        "metrics": METRIC,
        **dict.fromkeys(("repeats", "sweep"), Items(_POINT)),
        "points_left_out": _AMOUNT,
        "energy": Figures(
            {
                "energy_per_output_token_j": _AMOUNT,
                "mean_power_w": _AMOUNT,
                "mean_sm_clock_mhz": _AMOUNT,
                "max_temperature_c": Number(),
                "throttle_reasons": Items(_NAME),
            },
            _LOOSE,
        ),
        "validity": Record(
            {
                "checks": Items(
                    Record(
                        {
                            **dict.fromkeys(("name", "status"), _NAME),
                            "message": Text(),
                            **dict.fromkeys(("value", "limit"), Number()),
                        }
                    )
                )
            }
        ),
        "provenance": Record(
            {
                "server": SERVER,
                **dict.fromkeys(("engine_version", "base_url", "model", "client_version"), _NAME),
                "run_command": Text(),
                "host": Figures(dict.fromkeys(("hostname", "kernel", "python_version"), _NAME), _LOOSE),
                "seed": _SEED,
            }
        ),
        "client": Figures(dict.fromkeys(("name", "version", "clock", "python_version"), _NAME), _LOOSE),
        **dict.fromkeys(("strict", "steady_state", "confidence", "errors", "server_counters"), _LOOSE),
    }
)

SHAPES: dict[str, Shape] = {"llmfleet_benchmark": BENCHMARK, "llmfleet_server": SERVER}
