# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.gpu_power import Sampler, parse_samples, summarise

TEXT = """GPU-a, 300.00, 1980, 60, 0x0000000000000000
GPU-b, 100.00, 1000, 50, 0x0000000000000001
GPU-a, 500.00, 1900, 71, 0x0000000000000024
GPU-b, 100.00, 1000, 50, 0x0000000000000001
GPU-a, 50"""


def test_energy_is_the_sum_over_the_gpus() -> None:
    result = summarise(parse_samples(TEXT), 10.0, 1000)
    assert result is not None
    assert (result["mean_power_w"], result["energy_j"], result["energy_per_output_token_j"]) == (500, 5000, 5)
    assert (result["gpus"], result["samples"], result["max_temperature_c"]) == (2, 4, 71)
    assert result["mean_sm_clock_mhz"] == pytest.approx(1470)
    assert (result["throttle_reasons"], result["throttled_share"]) == (["sw_power_cap", "sw_thermal_slowdown"], 0.25)


def test_a_power_cap_is_no_trouble() -> None:
    result = summarise(parse_samples("GPU-a, 300, 1, 1, 0x4"), 1.0, 0)
    assert result is not None
    assert (result["throttled_share"], result["energy_per_output_token_j"]) == (0, None)


def test_what_a_driver_does_not_report() -> None:
    result = summarise(parse_samples("GPU-a, [N/A], [N/A], [N/A], [N/A]"), 1.0, 10)
    assert result is not None
    assert (result["energy_j"], result["mean_sm_clock_mhz"], result["max_temperature_c"]) == (None, None, None)
    assert summarise([], 1.0, 10) is None


@pytest.mark.parametrize("uuids", [[], ["GPU-a", "GPU-b"]])
def test_sampling(fake_host, monkeypatch, tmp_path, uuids) -> None:
    fake_host.program_says("nvidia-smi", TEXT)
    monkeypatch.setenv("PATH", f"{fake_host.bin}:/usr/bin:/bin")
    sampler = Sampler(tmp_path, uuids)
    sampler._process.wait()
    sampler.stop()
    sampler.stop()
    assert len(sampler.samples()) == 4


def test_a_host_without_gpus(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sampler = Sampler(tmp_path, [])
    sampler.stop()
    assert sampler.samples() == []
