# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import make_settings
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.settings import Settings
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

from tests.support import bench

OPTIONS: dict[str, Any] = {**bench.OPTIONS, "workload": "published", "warmup": None}


def settings(**options: Any) -> Settings:
    return make_settings({**OPTIONS, **options}, salt="s")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (8192, 2048, 512, 32, 32)),
        ({"workload": "smoke"}, (128, 32, 16, 4, 2)),
        ({"num_prompts": 8, "max_concurrency": 2}, (8192, 2048, 8, 2, 2)),
        ({"workload": "smoke", "input_tokens": 99, "warmup": 0}, (99, 32, 16, 4, 0)),
    ],
)
def test_named_sets_fill_what_is_left_out(options: dict[str, Any], expected: tuple[int, ...]) -> None:
    chosen = settings(**options).workload
    values = (chosen.input_tokens, chosen.output_tokens, chosen.num_prompts, chosen.max_concurrency, chosen.warmup)
    assert values == expected


def test_a_level_of_ones_own_ends_the_sweep_of_a_set() -> None:
    assert settings(workload="saturation").workload.sweep == (16, 32, 64, 128, 256)
    assert settings(workload="saturation", max_concurrency=7).workload.sweep == ()
    assert settings(workload="saturation", max_concurrency=7, sweep=[1, 2]).workload.sweep == (1, 2)


def test_a_closed_and_an_open_load() -> None:
    assert not settings().workload.open
    chosen = settings(request_rate="2.5", burstiness="inf").workload
    assert (chosen.open, chosen.request_rate, chosen.burstiness, chosen.max_concurrency) == (True, 2.5, math.inf, 0)
    assert settings(request_rate="2.5", max_concurrency=9).workload.max_concurrency == 9


@pytest.mark.parametrize("rate", ["inf", "INF", "Infinity"])
def test_an_infinite_rate_is_a_closed_load_however_it_is_written(rate: str) -> None:
    chosen = settings(request_rate=rate).workload
    assert (chosen.open, chosen.max_concurrency) == (False, 32)


def test_salt_and_eos() -> None:
    assert settings().workload.salt == "s"
    assert settings(salt="mine").workload.salt == "mine"
    assert settings().workload.ignore_eos
    assert not settings(dataset="file", dataset_path="/x").workload.ignore_eos
    assert settings(dataset="file", dataset_path="/x", ignore_eos=True).workload.ignore_eos


def test_limits_timeouts_and_objectives() -> None:
    chosen = settings(validity={"failed_share": "0.5"}, timeouts={"idle_s": 3}, slo={"ttft": 100}, percentiles=[99.9])
    assert (chosen.limits.failed_share, chosen.timeouts.idle_s, chosen.slo) == (0.5, 3.0, {"ttft": 100.0})
    assert chosen.limits.closure == 0.1
    assert chosen.percentiles == (50.0, 90.0, 99.0, 99.9)


def test_the_description_is_json() -> None:
    described = settings().workload.describe()
    assert (described["request_rate"], described["burstiness"], described["sweep"]) == ("inf", 1.0, [])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"workload": "latency"}, "workload"),
        ({"validity": {"closure": 0.5}}, "validity.closure"),
        ({"timeouts": {"idle_s": 3}}, "timeouts.idle_s"),
        ({"slo": {"ttft": 100}}, "slo.ttft"),
        ({"percentiles": [99.9]}, "percentiles"),
        ({"repeat_until": 0.01}, "repeat_until"),
        ({"workers": 2}, "workers"),
        ({"real_time": True}, "real_time"),
    ],
)
def test_what_a_result_depends_on_is_asked(options: dict[str, Any], name: str) -> None:
    before, after = settings().asked(), settings(**options).asked()
    assert before.get(name) != after[name]


def test_what_is_asked_is_json_without_the_salt() -> None:
    asked = settings().asked()
    assert asked == make_settings(OPTIONS, salt="other").asked() == json.loads(json.dumps(asked))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"max_concurrency": -1}, "max_concurrency is -1"),
        ({"max_concurrency": 0}, "max_concurrency is 0"),
        ({"num_prompts": 0}, "num_prompts is 0"),
        ({"warmup": -1}, "warmup is -1"),
        ({"input_tokens": -5}, "input_tokens is -5"),
        ({"request_rate": "fast"}, "request_rate is 'fast'"),
        ({"request_rate": "0"}, "request_rate is '0'"),
        ({"burstiness": "-1"}, "burstiness is '-1'"),
        ({"range_ratio": 1.0}, "range_ratio is 1.0"),
        ({"percentiles": [100]}, "percentiles is [100]"),
        ({"percentiles": list(range(1, 60))}, "percentiles has 59"),
        ({"sweep": [4, 0]}, "sweep is [4, 0]"),
        ({"sweep": [4], "request_rate": "1"}, "request_rate and sweep"),
        ({"dataset": "file"}, "dataset_path"),
        ({"slo": {"itl": 3}}, "slo has itl"),
        ({"slo": {"ttft": "soon"}}, "slo.ttft is 'soon'"),
        ({"validity": {"luck": 1}}, "validity has luck"),
        ({"timeouts": {"idle_s": -1}}, "timeouts.idle_s is -1"),
    ],
)
def test_bad_options(options: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError) as error:
        settings(**options)
    assert part in error.value.first.found
    assert error.value.first.expected
    assert error.value.first.remedy
