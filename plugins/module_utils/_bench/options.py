# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of bench_serve to settings: checked, and completed by their named workload. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any, Mapping

from .._errors import Problem, UserError
from .._metric_table import LATENCIES
from .settings import ENDPOINTS, Limits, Settings, Timeouts, Workload

# Each set gives the values of the options that the user leaves out.
NAMED_SETS: dict[str, dict[str, Any]] = {
    "published": {"input_tokens": 8192, "output_tokens": 2048, "num_prompts": 512, "max_concurrency": 32},
    "smoke": {"input_tokens": 128, "output_tokens": 32, "num_prompts": 16, "max_concurrency": 4, "warmup": 2},
    "latency": {"input_tokens": 8192, "output_tokens": 256, "num_prompts": 32, "max_concurrency": 1, "warmup": 2},
    "saturation": {
        "input_tokens": 1024,
        "output_tokens": 256,
        "num_prompts": 1024,
        "max_concurrency": 256,
        "sweep": [16, 32, 64, 128, 256],
    },
}

# The options as the module declares them to Ansible: their types, choices and defaults, in this place alone. The module's
# DOCUMENTATION, the role and the docs are held equal to it by tests/unit/test_benchmark_options.py.
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "base_url": {"type": "str", "required": True},
    "model": {"type": "str"},
    "endpoint_type": {"type": "str", "choices": list(ENDPOINTS), "default": "openai-chat"},
    "client": {"type": "str", "choices": ["native", "vllm"], "default": "native"},
    "vllm_command": {"type": "list", "elements": "str"},
    "vllm_image": {"type": "str"},
    "vllm_tokenizer": {"type": "str", "no_log": False},
    "vllm_volumes": {"type": "list", "elements": "str", "default": []},
    "workload": {
        "type": "str",
        "choices": list(NAMED_SETS),
        "default": "published",
        "aliases": ["workload_name"],
    },
    "dataset": {"type": "str", "choices": ["random", "file"], "default": "random"},
    "dataset_path": {"type": "path"},
    "input_tokens": {"type": "int", "no_log": False},  # a number of tokens is no secret
    "output_tokens": {"type": "int", "no_log": False},
    "range_ratio": {"type": "float", "default": 0.0},
    "prefix_tokens": {"type": "int", "default": 0, "no_log": False},
    "num_prompts": {"type": "int"},
    "max_concurrency": {"type": "int"},
    "request_rate": {"type": "str", "default": "inf"},
    "burstiness": {"type": "str", "default": "1"},
    "seed": {"type": "int", "default": 0},
    "salt": {"type": "str"},
    "ignore_eos": {"type": "bool"},
    "sampling": {"type": "dict", "default": {"temperature": 0.0, "top_p": 1.0}},
    "continuous_usage": {"type": "bool", "default": False},
    "warmup": {"type": "int"},
    "sweep": {"type": "list", "elements": "int"},
    "repeats": {"type": "int", "default": 1},
    "repeat_until": {"type": "float", "default": 0.0},
    "slo": {"type": "dict", "default": {}},
    "percentiles": {"type": "list", "elements": "float", "default": [50, 90, 95, 99]},
    "workers": {"type": "int", "default": 0},
    "real_time": {"type": "bool", "default": False},
    "timeouts": {"type": "dict", "default": {}},
    "validity": {"type": "dict", "default": {}},
    "api_key_file": {"type": "path", "no_log": False},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "server_fact": {"type": "dict", "default": {}},
    "lock_takeover": {"type": "str", "default": ""},
    "fleet_run": {"type": "str"},
    "state": {"type": "str", "choices": ["measured", "cancelled"], "default": "measured"},
    "run_id": {"type": "str"},
    "wait": {"type": "bool", "default": True},
    "on_disconnect": {"type": "str", "choices": ["continue", "cancel"], "default": "continue"},
    "progress_interval": {"type": "float", "default": 10.0},
    "state_dir": {"type": "path", "default": "~/.local/state/llmfleet"},
}
SLO_METRICS = tuple(latency.name for latency in LATENCIES if latency.per_request)
_POSITIVE = ("input_tokens", "output_tokens", "num_prompts", "repeats")
_NOT_NEGATIVE = ("warmup", "workers", "prefix_tokens", "repeat_until")
_MOST_PERCENTILES = 16  # each gives twelve figures of the result, which is bounded
_WARMUP = 8  # requests, where no concurrency says how many


def make_settings(options: Mapping[str, Any], salt: str) -> Settings:
    """Checks the module's options and completes them. `salt` is used unless the options bring one. Raises UserError."""
    chosen = _complete(options)
    _check_numbers(chosen)
    workload = _workload({**chosen, "salt": chosen["salt"] or salt})
    if workload.open and workload.sweep:
        raise UserError(Problem("Both request_rate and sweep are set.", "one of them.", "Leave one out."))
    return Settings(
        workload=workload,
        percentiles=tuple(sorted({50.0, 90.0, 99.0, *map(float, chosen["percentiles"])})),
        slo=_slo(chosen["slo"]),
        timeouts=Timeouts(**_known("timeouts", chosen["timeouts"], Timeouts())),
        limits=Limits(**_known("validity", chosen["validity"], Limits())),
        workers=chosen["workers"],
        real_time=chosen["real_time"],
        repeat_until=chosen["repeat_until"],
    )


def _workload(chosen: Mapping[str, Any]) -> Workload:
    """The workload, whose fields are options of the same name."""
    same = {field.name: chosen[field.name] for field in fields(Workload) if field.name in chosen}
    other = {
        "name": chosen["workload"],
        "request_rate": _number("request_rate", chosen["request_rate"]),
        "burstiness": _number("burstiness", chosen["burstiness"]),
        "sampling": dict(chosen["sampling"]),
        "sweep": tuple(chosen["sweep"]),
    }
    return Workload(**{**same, **other})


def _complete(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fills what the user left out, first from the named set, then with the general defaults."""
    chosen = dict(options)
    named = NAMED_SETS[chosen["workload"]]
    if chosen["max_concurrency"] is None and not _is_closed(chosen):
        chosen["max_concurrency"] = 0
    if chosen["num_prompts"] is None and chosen["dataset"] == "file":
        chosen["num_prompts"] = 0
    for name, value in named.items():
        if chosen.get(name) is None and not (name == "sweep" and _single_level(options)):
            chosen[name] = value
    if chosen["dataset"] == "file" and not chosen["dataset_path"]:
        raise UserError(Problem("dataset=file without dataset_path.", "the path of a JSONL file.", "Set dataset_path."))
    defaults = {
        "warmup": chosen["max_concurrency"] or _WARMUP,
        "ignore_eos": chosen["dataset"] == "random",
        "sweep": [],
    }
    for name, value in defaults.items():
        if chosen.get(name) is None:
            chosen[name] = value
    return chosen


def _single_level(options: Mapping[str, Any]) -> bool:
    """True when the user asks for one level of load, which switches off the sweep of a named set."""
    return options["max_concurrency"] is not None or not _is_closed(options)


def _is_closed(options: Mapping[str, Any]) -> bool:
    """True when requests wait for a free slot, not for their time."""
    return math.isinf(_number("request_rate", options["request_rate"]))


def _check_numbers(chosen: Mapping[str, Any]) -> None:
    if chosen["max_concurrency"] < int(_is_closed(chosen)):
        raise UserError(
            Problem(
                f"max_concurrency is {chosen['max_concurrency']}.",
                "1 or more (0, for no bound, only with a request_rate).",
                "Correct max_concurrency.",
            )
        )
    for name in _POSITIVE:
        if chosen[name] < 1 and not (name == "num_prompts" and chosen["dataset"] == "file"):
            raise UserError(Problem(f"{name} is {chosen[name]}.", "1 or more.", f"Correct {name}."))
    for name in _NOT_NEGATIVE:
        if chosen[name] < 0:
            raise UserError(Problem(f"{name} is {chosen[name]}.", "0 or more.", f"Correct {name}."))
    if not 0 <= chosen["range_ratio"] < 1:
        raise UserError(
            Problem(f"range_ratio is {chosen['range_ratio']}.", "0 <= range_ratio < 1.", "Correct range_ratio.")
        )
    if any(level < 1 for level in chosen["sweep"]):
        raise UserError(Problem(f"sweep is {chosen['sweep']}.", "levels of 1 or more.", "Correct sweep."))
    if any(not 0 < float(p) < 100 for p in chosen["percentiles"]):
        raise UserError(
            Problem(f"percentiles is {chosen['percentiles']}.", "numbers between 0 and 100.", "Correct it.")
        )
    if len(chosen["percentiles"]) > _MOST_PERCENTILES:
        raise UserError(
            Problem(
                f"percentiles has {len(chosen['percentiles'])} numbers.",
                f"at most {_MOST_PERCENTILES}.",
                "Leave some out.",
            )
        )


def _number(name: str, value: Any) -> float:
    """A positive number, or infinity for the string `inf`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not number > 0:
        raise UserError(Problem(f"{name} is {value!r}.", "a number above 0, or inf.", f"Correct {name}."))
    return number


def _slo(slo: Mapping[str, Any]) -> dict[str, float]:
    """Service level objectives in milliseconds, by metric."""
    unknown = sorted(set(slo) - set(SLO_METRICS))
    if unknown:
        raise UserError(Problem(f"slo has {', '.join(unknown)}.", f"any of {', '.join(SLO_METRICS)}.", "Correct slo."))
    return {name: _number(f"slo.{name}", slo[name]) for name in sorted(slo)}


def _known(name: str, given: Mapping[str, Any], defaults: Any) -> dict[str, float]:
    """The given values, each of which must be a field of `defaults` and not negative."""
    known: list[str] = sorted(asdict(defaults))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UserError(Problem(f"{name} has {', '.join(unknown)}.", f"any of {', '.join(known)}.", f"Correct {name}."))
    values = {}
    for key, value in given.items():
        try:
            values[key] = float(value)
        except (TypeError, ValueError):
            values[key] = math.nan
        if not values[key] >= 0:
            raise UserError(Problem(f"{name}.{key} is {value!r}.", "a number of 0 or more.", f"Correct {name}.{key}."))
    return values
