# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From the options of bench_serve to settings: checked, and completed by their named workload. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, Mapping

from .._errors import Problem, UserError
from .._metric_table import LATENCIES
from .settings import Limits, Settings, Timeouts, Workload

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
SLO_METRICS = tuple(latency.name for latency in LATENCIES if latency.per_request)
_POSITIVE = ("input_tokens", "output_tokens", "num_prompts", "repeats")
_NOT_NEGATIVE = ("warmup", "workers", "prefix_tokens", "repeat_until")
_MOST_PERCENTILES = 16  # each gives twelve figures of the result, which is bounded
_WARMUP = 8  # requests, where no concurrency says how many


def make_settings(options: Mapping[str, Any], salt: str) -> Settings:
    """Checks the module's options and completes them. `salt` is used unless the options bring one. Raises UserError."""
    chosen = _complete(options)
    _check_numbers(chosen)
    workload = Workload(
        name=chosen["workload"],
        dataset=chosen["dataset"],
        dataset_path=chosen["dataset_path"],
        input_tokens=chosen["input_tokens"],
        output_tokens=chosen["output_tokens"],
        num_prompts=chosen["num_prompts"],
        max_concurrency=chosen["max_concurrency"],
        endpoint_type=chosen["endpoint_type"],
        seed=chosen["seed"],
        salt=chosen["salt"] or salt,
        warmup=chosen["warmup"],
        range_ratio=chosen["range_ratio"],
        prefix_tokens=chosen["prefix_tokens"],
        request_rate=_number("request_rate", chosen["request_rate"]),
        burstiness=_number("burstiness", chosen["burstiness"]),
        ignore_eos=chosen["ignore_eos"],
        continuous_usage=chosen["continuous_usage"],
        sampling=dict(chosen["sampling"]),
        repeats=chosen["repeats"],
        sweep=tuple(chosen["sweep"]),
    )
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
