# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.gpu_power import (
    Sample,
    Sampler,
    gpus_of,
    parse_samples,
    summarise,
)
from hypothesis import given
from hypothesis import strategies as st

# Two GPUs, sampled twice, ten seconds apart; the last line is cut.
TEXT = """2026/11/27 04:00:00.250, GPU-a, 8.0, 300.00, 1980, 60, 0x0000000000000000
2026/11/27 04:00:00.251, GPU-b, 8.0, 100.00, 1000, 50, 0x0000000000000001
2026/11/27 04:00:10.250, GPU-a, 8.0, 500.00, 1900, 71, 0x0000000000000024
2026/11/27 04:00:10.251, GPU-b, 8.0, 100.00, 1000, 50, 0x0000000000000001
2026/11/27 04:00:11.250, GPU-a, 8.0, 50"""
T0 = 1795752000.25  # the first line's time


def test_a_sample_has_the_time_of_its_line_in_utc() -> None:
    assert [sample.at_s for sample in parse_samples(TEXT)] == pytest.approx([T0, T0 + 0.001, T0 + 10, T0 + 10.001])


def test_energy_is_the_sum_over_the_gpus() -> None:
    result = summarise(parse_samples(TEXT), (T0, T0 + 10.001), 1000)
    assert result is not None
    assert (result["mean_power_w"], result["energy_j"]) == (pytest.approx(500, rel=1e-3), pytest.approx(5000, rel=1e-3))
    assert result["energy_per_output_token_j"] == result["energy_j"] / 1000
    assert (result["gpus"], result["samples"], result["max_temperature_c"]) == (2, 4, 71)
    assert result["mean_sm_clock_mhz"] == pytest.approx(1470)
    assert (result["throttle_reasons"], result["throttled_share"]) == (["sw_power_cap", "sw_thermal_slowdown"], 0.25)


def test_a_power_cap_is_no_trouble() -> None:
    result = summarise(parse_samples("2026/11/27 04:00:00.250, GPU-a, 8.0, 300, 1, 1, 0x4"), (T0, T0 + 1), 0)
    assert result is not None
    assert (result["throttled_share"], result["energy_per_output_token_j"]) == (0, None)
    assert result["energy_j"] == 300


def test_what_a_driver_does_not_report() -> None:
    line = "2026/11/27 04:00:00.250, GPU-a, 8.0, [N/A], [N/A], [N/A], [N/A]"
    result = summarise(parse_samples(f"{line}\n[N/A], GPU-a, 8.0, 300, 1, 1, 0x0"), (T0, T0 + 1), 10)
    assert result is not None
    assert (result["samples"], result["energy_j"], result["mean_power_w"]) == (1, None, None)
    assert (result["mean_sm_clock_mhz"], result["max_temperature_c"]) == (None, None)
    assert summarise([], (T0, T0 + 1), 10) is None


def test_without_a_window_no_energy_is_known() -> None:
    result = summarise(parse_samples(TEXT), None, 10)
    assert result is not None
    assert (result["energy_j"], result["mean_power_w"], result["max_temperature_c"]) == (None, None, 71)


def test_where_one_gpu_does_not_say_its_power_there_is_no_energy_of_all() -> None:
    silent = TEXT.replace("GPU-b, 8.0, 100.00", "GPU-b, 8.0, [N/A]")
    result = summarise(parse_samples(silent), (T0, T0 + 10.001), 10)
    assert result is not None and silent != TEXT
    assert (result["energy_j"], result["mean_power_w"], result["energy_per_output_token_j"]) == (None, None, None)


def at_seconds(*powers: float) -> list[Sample]:
    """One GPU, sampled once a second, hot and slowed down where it works."""
    return [Sample(float(n), "a", p, 1980.0, 30.0 + p / 10, 0x08 if p > 100 else 0) for n, p in enumerate(powers)]


def test_the_idle_start_of_a_client_is_no_part_of_the_load() -> None:
    """As on an H100: 22 s of imports at 70 W, 78 s of load at 545 W; the mean over all of it is 440 W."""
    result = summarise(at_seconds(*[70.0] * 22, *[545.0] * 78), (22.0, 100.0), 1000)
    assert result is not None
    assert (result["mean_power_w"], result["energy_j"]) == (pytest.approx(545), pytest.approx(545 * 78))
    assert (result["samples"], result["throttled_share"]) == (78, 1.0)


# nvidia-smi once a second on an H100 (driver 580.159), idle and then busy for 15.01 s, with seconds since the load began. By the GPU's own
# counter of energy (NVML) it drew 467.9 W.
H100 = """-11.99 141.01 -10.99 137.74 -9.99 137.52 -8.99 137.2 -7.99 137.18 -6.98 137.04 -5.98 136.98 -4.98 136.92 -3.98 137.01 -2.98 136.93
-1.98 136.86 -0.98 136.88 0.02 136.77 1.02 430.3 2.02 456.62 3.02 457.62 4.02 459.54 5.02 460.11 6.02 470.52 7.02 473.58 8.02 473.95
9.02 473.31 10.02 474.88 11.02 476.12 12.02 475.64 13.02 476.94 14.02 477.85 15.02 477.43"""


def test_the_power_of_a_gpu_that_averages_is_that_of_the_second_before() -> None:
    figures = list(map(float, H100.split()))
    samples = [Sample(at, "a", power, None, None, 0, averaged=True) for at, power in zip(figures[::2], figures[1::2])]
    result = summarise(samples, (0.0, 15.012), 0)
    assert result is not None
    assert result["mean_power_w"] == pytest.approx(467.9, rel=0.005)


@pytest.mark.parametrize(
    ("capability", "averaged"),
    [("7.5", False), ("8.0", False), ("8.9", True), ("9.0", True), ("10.0", True), ("[N/A]", False)],
)
def test_which_gpus_average(capability: str, averaged: bool) -> None:
    (sample,) = parse_samples(f"2026/11/27 04:00:00.250, GPU-a, {capability}, 300, 1, 1, 0x4")
    assert (sample.averaged, sample.power_w) == (averaged, 300)


@pytest.mark.parametrize(
    ("seconds", "known"), [(range(100), True), (range(8, 100), True), (range(20, 100), False), (range(85), False)]
)
def test_a_load_that_was_hardly_seen_has_no_energy(seconds: range, known: bool) -> None:
    result = summarise([Sample(float(n), "a", 300.0, None, None, 0) for n in seconds], (0.0, 100.0), 10)
    assert result is not None
    assert result["energy_j"] == (pytest.approx(30_000) if known else None)


@given(
    st.lists(st.tuples(st.floats(0.2, 3.0), st.floats(10, 700)), min_size=1, max_size=40),
    st.floats(-3, 60),
    st.floats(0.01, 90),
)
def test_energy_is_the_integral_by_numpy(steps: list[tuple[float, float]], begin: float, length: float) -> None:
    times, powers = np.cumsum([gap for gap, _ in steps]), np.array([power for _, power in steps])
    # An independent way: the straight lines between samples, on a grid that has every corner in it.
    grid = np.unique(np.concatenate([np.linspace(begin, begin + length, 2000), np.clip(times, begin, begin + length)]))
    joules = np.trapezoid(np.interp(grid, times, powers), grid)
    samples = [Sample(float(time), "a", float(power), None, None, 0) for time, power in zip(times, powers)]
    result = summarise(samples, (begin, begin + length), 0)
    assert result is not None
    unseen_s = max(0.0, times[0] - begin) + max(0.0, begin + length - times[-1])
    if unseen_s > max(5.0, 0.1 * length):
        assert (result["energy_j"], result["mean_power_w"]) == (None, None)
    else:
        assert result["energy_j"] == pytest.approx(joules, rel=1e-9)
        assert result["mean_power_w"] == pytest.approx(joules / length, rel=1e-9)


@pytest.mark.parametrize("uuids", [None, ["GPU-a", "GPU-b"]])
def test_sampling(fake_host, monkeypatch, tmp_path, uuids) -> None:
    fake_host.program_says("nvidia-smi", TEXT)
    monkeypatch.setenv("PATH", f"{fake_host.bin}:/usr/bin:/bin")
    sampler = Sampler(tmp_path, uuids)
    sampler._process.wait()
    sampler.stop()
    sampler.stop()
    assert len(sampler.samples()) == 4


def test_a_sampler_that_cannot_be_ended_is_left_behind(fake_host, monkeypatch, tmp_path) -> None:
    """A driver that hangs holds nvidia-smi where no signal reaches it."""

    def waits(limit_s: float | None = None) -> None:
        assert limit_s is not None, "it waits for ever"
        raise subprocess.TimeoutExpired("nvidia-smi", limit_s)

    fake_host.program_says("nvidia-smi", TEXT)
    monkeypatch.setenv("PATH", f"{fake_host.bin}:/usr/bin:/bin")
    sampler = Sampler(tmp_path, None)
    sampler._process.wait()
    monkeypatch.setattr(sampler._process, "wait", waits)
    monkeypatch.setattr(sampler._process, "returncode", None)
    sampler.stop()
    assert len(sampler.samples()) == 4


INSTANCES = [
    {"base_url": "http://127.0.0.1:8000", "gpu_uuids": ["GPU-0", "GPU-1"]},
    {"base_url": "http://127.0.0.1:8001/", "gpu_uuids": ["GPU-2", "GPU-3"]},
]
ALL = {"uuids": ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]}


@pytest.mark.parametrize(
    ("fact", "url", "uuids"),
    [
        ({"gpu": ALL, "instances": INSTANCES}, "http://127.0.0.1:8000", ["GPU-0", "GPU-1"]),
        ({"gpu": ALL, "instances": INSTANCES}, "http://127.0.0.1:8001", ["GPU-2", "GPU-3"]),
        ({"gpu": ALL, "instances": INSTANCES}, "http://gateway:80", ALL["uuids"]),
        ({"gpu": ALL}, "http://127.0.0.1:8000", ALL["uuids"]),  # a fact of an older release
        ({"gpu": {"uuids": []}, "instances": []}, "http://127.0.0.1:8000", []),  # a simulator beside a display GPU
        ({}, "http://127.0.0.1:8000", None),
    ],
)
def test_the_power_of_the_servers_own_gpus_counts(fact, url, uuids) -> None:
    assert gpus_of(fact, url) == uuids


def test_a_server_without_gpus_has_no_energy(fake_host, monkeypatch, tmp_path) -> None:
    fake_host.program_says("nvidia-smi", TEXT)
    monkeypatch.setenv("PATH", f"{fake_host.bin}:/usr/bin:/bin")
    sampler = Sampler(tmp_path, [])
    sampler.stop()
    assert sampler.samples() == []


def test_a_host_without_gpus(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sampler = Sampler(tmp_path, [])
    sampler.stop()
    assert sampler.samples() == []
