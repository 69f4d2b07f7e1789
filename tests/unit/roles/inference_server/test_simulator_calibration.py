# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The published workload, run in virtual time with the timing of each class, gives the published figures."""

from __future__ import annotations

import llmfleet_simulator as simulator
import pytest
from simulator_calibration import ROOT, TEMPLATE_TOKENS, TIMINGS, closed_loop, deviations, published_figures, timing_of

TOLERANCE = 0.05


@pytest.mark.parametrize(
    ("reaction_s", "extra_tokens"),
    [(0.0003, 0), (0.004, 0), (0.0003, TEMPLATE_TOKENS)],
    ids=["quick-client", "slow-client", "template-on-top"],
)
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("gpu", ["b200", "h100", "a100"])
def test_published_figures(gpu, engine, reaction_s, extra_tokens):
    timing = simulator.as_timing(timing_of(gpu, engine))
    run = closed_loop(timing, engine, reaction_s=reaction_s, extra_tokens=extra_tokens)
    apart = deviations(run, published_figures(gpu, engine))
    assert {name: d for name, d in apart.items() if abs(d) > TOLERANCE} == {}


def test_the_identities_of_the_source_hold():
    figures = closed_loop(simulator.as_timing(timing_of("h100", "vllm")), "vllm")
    assert figures["total_token_throughput"] == pytest.approx(5 * figures["output_throughput"])
    assert figures["per_user_output_throughput"] == pytest.approx(1000 / figures["mean_tpot_ms"])
    closure = 32 * 2048e3 / (figures["mean_ttft_ms"] + 2047 * figures["mean_tpot_ms"])
    assert figures["output_throughput"] == pytest.approx(closure, rel=0.01)


def test_a_stream_whose_events_merge_has_longer_gaps():
    plain = simulator.Timing()
    whole, merged = (
        closed_loop(plain._replace(merge_every=n), "vllm", 512, 600, 64, 8)["mean_itl_ms"] for n in (0, 10)
    )
    assert merged / whole == pytest.approx(10 / 9, rel=0.01)


@pytest.mark.parametrize("gpu", sorted(path.stem for path in TIMINGS.glob("*.yml")))
def test_every_timing_is_one_of_a_class_for_both_engines(gpu):
    assert (ROOT / "group_vars" / f"{gpu}.yml").exists()
    for engine in ("vllm", "sglang"):
        simulator.as_timing(timing_of(gpu, engine))
