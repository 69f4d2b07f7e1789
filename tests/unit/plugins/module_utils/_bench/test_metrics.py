# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from array import array
from time import process_time

import numpy as np
import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench import metrics as metrics_module
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Record
from hypothesis import given
from hypothesis import strategies as st

MS = 1_000_000


def record(
    sent: float, times: list[float], has_text: list[int] | None = None, tokens: int | None = None, **more: object
) -> Record:
    """A request sent at `sent` ms whose messages came at `times` ms."""
    built = Record(0, 0, int(sent * MS), int(times[-1] * MS) if times else int(sent * MS))
    built.event_ns = array("q", (int(time * MS) for time in times))
    built.has_text = bytearray(has_text or [1] * len(times))
    built.completion_tokens = sum(built.has_text) if tokens is None else tokens
    built.prompt_tokens = 10
    for name, value in more.items():
        setattr(built, name, value)
    return built


# A chat of three tokens: the role comes first, then text; the last message ends it.
CHAT = record(0, [50, 52, 62, 72], [0, 1, 1, 1])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0.1, 99.9))
def test_statistics_are_numpys(values: list[float], percent: float) -> None:
    result = metrics_module.summary("x", values, [percent])
    expected = [np.mean(values), np.median(values), np.std(values), np.percentile(values, percent)]
    assert list(result.values()) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_a_summary_of_nothing_keeps_its_keys() -> None:
    keys = ["mean_x_ms", "median_x_ms", "std_x_ms", "p99_x_ms", "p99.9_x_ms"]
    assert metrics_module.summary("x", [], [99, 99.9]) == dict.fromkeys(keys)


def test_compat_counts_the_role_message() -> None:
    figures = metrics_module.vllm_metrics([CHAT], 0, [99], {})
    assert figures["mean_ttft_ms"] == 50
    assert figures["mean_e2el_ms"] == 72
    assert figures["mean_tpot_ms"] == pytest.approx((72 - 50) / 2)
    assert figures["mean_itl_ms"] == pytest.approx(np.mean([2, 10, 10]))


def test_strict_begins_with_text() -> None:
    figures = metrics_module.strict_metrics([CHAT], 0, [99], {})
    assert figures["mean_ttft_ms"] == 52
    assert figures["mean_tpot_ms"] == 10
    assert figures["mean_itl_ms"] == 10
    assert figures["itl_basis"] == "token"


def test_strict_counts_from_the_intended_time() -> None:
    late = record(20, [70, 80], intended_ns=5 * MS)
    assert metrics_module.strict_metrics([late], 0, [99], {})["mean_ttft_ms"] == 65
    assert metrics_module.vllm_metrics([late], 0, [99], {})["mean_ttft_ms"] == 50


def test_gaps_are_shared_by_the_tokens_of_a_message() -> None:
    message = record(0, [10, 20, 50], [1, 1, 1], tokens=6, cumulative=array("i", [1, 3, 6]))
    assert list(metrics_module.strict_itl_ms(message)) == pytest.approx([5, 5, 10, 10, 10])
    assert metrics_module.strict_tpot_ms(message) == pytest.approx(40 / 5)


def test_gaps_are_of_chunks_where_tokens_are_not_known() -> None:
    message = record(0, [10, 20, 50], [1, 1, 1], tokens=6)
    figures = metrics_module.strict_metrics([message], 0, [99], {})
    assert figures["itl_basis"] == "chunk"
    assert figures["mean_itl_ms"] == 20
    assert figures["mean_tpot_ms"] == pytest.approx(40 / 5)


def test_one_token_has_no_tpot() -> None:
    figures = metrics_module.vllm_metrics([record(0, [10]), record(0, [10, 30])], 0, [99], {})
    assert figures["mean_tpot_ms"] == 20


def test_totals_and_rates() -> None:
    failed = record(0, [], tokens=0, error="reset", ended_ns=4000 * MS)
    figures = metrics_module.vllm_metrics([CHAT, record(0, [100, 2000]), failed], 0, [99], {})
    assert (figures["completed"], figures["failed"], figures["duration"]) == (2, 1, 4.0)
    assert (figures["total_input_tokens"], figures["total_output_tokens"]) == (20, 5)
    assert (figures["output_throughput"], figures["total_token_throughput"]) == (5 / 4, 25 / 4)
    assert figures["request_throughput"] == 0.5
    assert figures["per_user_output_throughput"] == pytest.approx(1000 / figures["mean_tpot_ms"])


def test_nothing_succeeded() -> None:
    failed = record(0, [], tokens=0, error="reset")
    for define in (metrics_module.vllm_metrics, metrics_module.strict_metrics):
        figures = define([failed], 0, [99], {"ttft": 5})
        assert (figures["completed"], figures["mean_ttft_ms"], figures["request_goodput"]) == (0, None, 0)
    assert metrics_module.steady_state([failed], [99]) is None


@pytest.mark.parametrize(
    ("slo", "met"),
    [
        ({"ttft": 50}, 1),
        ({"ttft": 49}, 0),
        ({"ttft": 50, "tpot": 11}, 1),
        ({"e2el": 71}, 0),
        ({"ttft": 60, "e2el": 72}, 1),
    ],
)
def test_goodput_is_inclusive(slo: dict[str, float], met: int) -> None:
    figures = metrics_module.vllm_metrics([CHAT], 0, [99], slo)
    assert figures["request_goodput"] == pytest.approx(met / 0.072)


def test_goodput_takes_the_tpot_of_one_token_for_zero() -> None:
    assert metrics_module.vllm_metrics([record(0, [100])], 0, [99], {"tpot": 1})["request_goodput"] == pytest.approx(10)


def compat_peaks_by_numpy(records: list[Record]) -> tuple[float, int]:
    """As `vllm bench serve` computes them."""
    start = min(r.sent_ns for r in records) / 1e9
    seconds = int(np.ceil(max(r.event_ns[-1] for r in records) / 1e9 - start)) + 1
    tokens, active = np.zeros(seconds), np.zeros(seconds)
    for r in records:
        for time in r.event_ns:
            tokens[int(time / 1e9 - start)] += 1
        for second in range(int(r.sent_ns / 1e9 - start), int(r.event_ns[-1] / 1e9 - start) + 1):
            active[second] += 1
    return float(np.max(tokens)), int(np.max(active))


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.lists(st.integers(1, 900), min_size=1, max_size=9)), min_size=1, max_size=9
    )
)
def test_compat_peaks(shapes: list[tuple[int, list[int]]]) -> None:
    records = [record(sent, [sent + float(t) for t in np.cumsum(gaps)]) for sent, gaps in shapes]
    origin = min(r.sent_ns for r in records)
    for r in records:  # so that seconds have the same float value in both computations
        r.sent_ns -= origin
        r.event_ns = array("q", (t - origin for t in r.event_ns))
    assert metrics_module.vllm_peaks(records) == compat_peaks_by_numpy(records)


def test_a_clock_that_is_set_forward_by_decades_costs_nothing() -> None:
    """A list entry for each of its seconds took gigabytes."""
    began = process_time()
    assert metrics_module.vllm_peaks([record(0, [500, 1e12]), record(1, [600, 700])]) == (3.0, 2)
    assert process_time() - began < 1


def test_strict_peaks() -> None:
    records = [record(0, [500, 999]), record(999, [1500, 1999], tokens=8)]
    figures = metrics_module.strict_metrics(records, 0, [99], {})
    assert figures["max_output_tokens_per_s"] == 8
    assert figures["max_concurrent_requests"] == 1


def test_the_steady_window_leaves_out_ramp_and_drain() -> None:
    """Two slots, four answers of one second each, one after the other; then one slot drains alone."""
    waves = [record(wave * 1000, [wave * 1000 + 200.0 * n for n in range(1, 6)]) for wave in range(4) for _ in range(2)]
    drain = record(4000, [4000 + 200.0 * n for n in range(1, 6)])
    window = metrics_module.steady_window([*waves, drain])
    assert window == (1000 * MS, 4000 * MS)
    figures = metrics_module.steady_state([*waves, drain], [99])
    assert figures is not None
    assert figures["window_s"] == 3
    assert figures["output_throughput"] == pytest.approx(10)
    assert figures["completed"] == 6


def speculative_waves(rng: np.random.Generator) -> list[Record]:
    """Eight slots, five answers each, whose messages bring one to four tokens, as the server counts them."""
    records = []
    for slot in range(8):
        now = float(slot)
        for _answer in range(5):
            counts = rng.integers(1, 5, size=30)
            times = now + 20 + np.cumsum(rng.uniform(1, 30, size=30))
            total = int(counts.sum())
            records.append(record(now, list(times), tokens=total, cumulative=array("i", np.cumsum(counts).tolist())))
            now = float(times[-1])
    return records


@pytest.mark.parametrize("seed", range(5))
def test_the_steady_state_is_numpys(seed: int) -> None:
    records = speculative_waves(np.random.default_rng(seed))
    figures, window = metrics_module.steady_state(records, [50, 99]), metrics_module.steady_window(records)
    assert figures is not None and window is not None
    begin, end = window
    gaps, arrived, ttfts, tpots = [], 0, [], []
    for r in records:  # an independent way: arrays of one request, each gap shared by the tokens that ended it
        times, counts = np.array(r.event_ns), np.diff(np.array(r.cumulative), prepend=0)
        inside = (times > begin) & (times <= end)
        arrived += int(counts[inside].sum())
        gaps.append(np.repeat(np.diff(times)[inside[1:]] / counts[1:][inside[1:]] / MS, counts[1:][inside[1:]]))
        if begin < times[0] <= end:
            ttfts.append((times[0] - r.sent_ns) / MS)
        if begin < r.ended_ns <= end:
            tpots.append((times[-1] - times[0]) / MS / counts[1:].sum())
    itl = np.concatenate(gaps)
    for key, values in (("itl", itl), ("ttft", ttfts), ("tpot", tpots)):
        expected = [np.mean(values), np.median(values), np.std(values), np.percentile(values, 99)]
        found = [figures[f"{name}_{key}_ms"] for name in ("mean", "median", "std", "p99")]
        assert found == pytest.approx(expected, rel=1e-9)
    assert figures["output_throughput"] == pytest.approx(arrived / (end - begin) * 1e9)
    # The mean gap of a token times the tokens of all slots is the time that the slots had.
    assert figures["mean_itl_ms"] == pytest.approx(itl.sum() / len(itl))


def test_the_steady_state_and_the_whole_agree_on_what_a_gap_is() -> None:
    """Messages of two tokens every 20 ms: a token every 10 ms, in the steady window too."""
    waves = [
        record(wave * 1000, [wave * 1000 + 20.0 * n for n in range(1, 51)], tokens=100,
               cumulative=array("i", range(2, 101, 2)))
        for wave in range(4)
        for _ in range(2)
    ]  # fmt: skip
    figures = metrics_module.steady_state(waves, [99])
    assert figures is not None
    assert figures["mean_itl_ms"] == metrics_module.strict_metrics(waves, 0, [99], {})["mean_itl_ms"] == 10


@pytest.mark.parametrize("cumulative", [[1, 2_000_000_000, 6], [3, 1, 6], [1, 3, 7]])
def test_a_count_that_cannot_be_is_no_count_of_tokens(cumulative: list[int]) -> None:
    message = record(0, [10, 20, 50], [1, 1, 1], tokens=6, cumulative=array("i", cumulative))
    assert metrics_module.tokens_per_text(message) is None
    assert list(metrics_module.strict_itl_ms(message)) == [10, 30]


def test_a_short_run_has_no_steady_state() -> None:
    assert metrics_module.steady_state([CHAT], [99]) is None


@pytest.mark.parametrize("step", [-3_600_000, -1_500, 3_000])
def test_a_clock_that_is_set_does_not_break_the_peaks(step: float) -> None:
    before, during = record(0, [50, 60]), record(100, [150 + step, 160 + step])
    for figures in (
        metrics_module.vllm_metrics([before, during], 0, [99], {}),
        metrics_module.strict_metrics([before, during], 0, [99], {}),
    ):
        assert figures["completed"] == 2
        assert figures["max_output_tokens_per_s"] >= 2
