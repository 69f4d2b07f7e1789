# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the GPUs used during a load: nvidia-smi, sampled once a second, integrated from the first request to the end of the last."""

# By subprocess: run_command waits for the end, and this goes on beside the load.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import calendar
import math
import os
import shutil
import subprocess
import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence, Tuple

from .child_process import die_with_parent

Window = Tuple[float, float]  # begin and end of a load, seconds since the epoch

_FIELDS = "timestamp,uuid,compute_cap,power.draw,clocks.sm,temperature.gpu,clocks_throttle_reasons.active"
_TIME = "%Y/%m/%d %H:%M:%S"  # of nvidia-smi, followed by a point and milliseconds
_END_S = 5.0
# NVML: power is the mean of a second on Ampere and newer, but for GA100 (compute capability 8.0); on that and older ones an instant's.
_LAST_INSTANT = 8.0
# What may be missing of a load at its ends: nvidia-smi needs some seconds to start, and its output may end early on a full disk.
_UNSEEN_S, _UNSEEN_SHARE = 5.0, 0.1

# Bits of nvmlClocksThrottleReasons (nvml.h). The first two and the last say that no work or no clock was asked for.
_REASONS = {
    0x04: "sw_power_cap",
    0x08: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
}
_SLOWED = 0x08 | 0x20 | 0x40 | 0x80  # a power cap is how a GPU is run, the others are trouble


@dataclass(frozen=True)
class Sample:
    """One GPU at one moment, `at_s` seconds since the epoch; None where the driver does not say.

    `averaged`: its power is the mean of the second before that moment, instead of what the GPU draws just then.
    """

    at_s: float
    uuid: str
    power_w: float | None
    sm_clock_mhz: float | None
    temperature_c: float | None
    reasons: int
    averaged: bool = False


def parse_samples(text: str) -> list[Sample]:
    """The lines of `nvidia-smi --query-gpu --format=csv,noheader,nounits`, its times in UTC; what is cut or has no time is left out."""
    samples = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        at_s = _time(cells[0]) if len(cells) == len(_FIELDS.split(",")) and cells[-1] else None
        if at_s is not None:
            power, clock, temperature = map(_number, cells[3:6])
            averaged = (_number(cells[2]) or 0.0) > _LAST_INSTANT
            samples.append(Sample(at_s, cells[1], power, clock, temperature, _bits(cells[6]), averaged))
    return samples


def _time(text: str) -> float | None:
    whole, _dot, fraction = text.partition(".")
    try:
        return calendar.timegm(time.strptime(whole, _TIME)) + float(f"0.{fraction or 0}")
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bits(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def summarise(samples: Sequence[Sample], window: Window | None, output_tokens: int) -> dict[str, Any] | None:
    """What all GPUs used within the load's window, energy in joules. None unsampled; without a window no energy is known.

    Samples outside the window, while a client started for example, show where the power came from and count for nothing else.
    """
    if not samples:
        return None
    by_gpu = {uuid: [s for s in samples if s.uuid == uuid] for uuid in {s.uuid for s in samples}}
    energies = [_energy_j(of_one, window) if window else None for of_one in by_gpu.values()]
    energy = None if None in energies else math.fsum(value for value in energies if value is not None)
    samples = [s for s in samples if window and window[0] <= s.at_s <= window[1]] or samples
    seen = 0
    for sample in samples:
        seen |= sample.reasons
    return {
        "energy_j": energy,
        "energy_per_output_token_j": energy / output_tokens if energy is not None and output_tokens else None,
        "mean_power_w": energy / (window[1] - window[0]) if window and energy is not None else None,
        "mean_sm_clock_mhz": mean(sample.sm_clock_mhz for sample in samples),
        "max_temperature_c": max((s.temperature_c for s in samples if s.temperature_c is not None), default=None),
        "throttle_reasons": [name for bit, name in _REASONS.items() if seen & bit],
        "throttled_share": sum(bool(sample.reasons & _SLOWED) for sample in samples) / len(samples),
        "gpus": len(by_gpu),
        "samples": len(samples),
    }


def _energy_j(samples: Sequence[Sample], window: Window) -> float | None:
    """The integral of one GPU's power over the window; None where its power is not known for most of the window.

    By trapezoids, between two samples a straight line; of a GPU that averages each sample is the mean since the one before. Before the
    first and after the last the power is taken for what that one says.
    """
    begin, end = window
    known = sorted((s.at_s, s.power_w) for s in samples if s.power_w is not None)
    if not known or end <= begin:
        return None
    unseen_s = max(0.0, known[0][0] - begin) + max(0.0, end - known[-1][0])
    if unseen_s > max(_UNSEEN_S, _UNSEEN_SHARE * (end - begin)):
        return None
    corners = [begin, *(at_s for at_s, _power in known if begin < at_s < end), end]
    between = _mean_until if samples[0].averaged else _mean_of_line
    return math.fsum((later - at_s) * between(at_s, later, known) for at_s, later in zip(corners, corners[1:]))


def _mean_until(_begin_s: float, end_s: float, known: Sequence[tuple[float, float]]) -> float:
    """The mean power up to a time, as the first sample after it says."""
    return known[min(bisect_left(known, (end_s, 0.0)), len(known) - 1)][1]


def _mean_of_line(begin_s: float, end_s: float, known: Sequence[tuple[float, float]]) -> float:
    """The mean power between two times with no sample between them."""
    return (_power_at(begin_s, known) + _power_at(end_s, known)) / 2


def _power_at(at_s: float, known: Sequence[tuple[float, float]]) -> float:
    """The power at a time, by the samples around it."""
    after = bisect_left(known, (at_s, 0.0))
    if after in (0, len(known)):
        return known[max(0, after - 1)][1]
    (t0, p0), (t1, p1) = known[after - 1 : after + 1]
    return p0 + (p1 - p0) * (at_s - t0) / (t1 - t0)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are known."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def gpus_of(server_fact: Mapping[str, Any], url: str) -> list[str] | None:
    """UUIDs of the GPUs whose power a load on the server at `url` takes: those of its instance there, else all of the server's.

    Empty for a server without GPUs; None where nothing is known of the server.
    """
    instances = server_fact.get("instances") or []
    found = [each for each in instances if str(each.get("base_url") or "").rstrip("/") == url and "gpu_uuids" in each]
    if found:
        return list(found[0]["gpu_uuids"] or ())
    known = (server_fact.get("gpu") or {}).get("uuids")
    return None if known is None else list(known)


class Sampler:
    """nvidia-smi in the background while a load runs, for these GPUs; None for all of the host. Does nothing without it or without GPUs."""

    def __init__(self, folder: Path, uuids: Sequence[str] | None) -> None:
        self._path = folder / "nvidia-smi.csv"
        self._process: subprocess.Popen[bytes] | None = None
        program = shutil.which("nvidia-smi") if uuids is None or uuids else None
        if program:
            command = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits", "-lms", "1000"]
            if uuids:
                command += ["-i", ",".join(uuids)]
            with self._path.open("wb") as output:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "TZ": "UTC0"},  # it prints local time
                    preexec_fn=die_with_parent(),  # noqa: PLW1509 - there are no threads
                )

    def stop(self) -> None:
        """Ends the sampling; the second time it does nothing."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # where the driver hangs no signal reaches it
                self._process.wait(_END_S)

    def samples(self) -> list[Sample]:
        """What was sampled."""
        if self._process is None:
            return []
        return parse_samples(self._path.read_text(encoding="utf-8", errors="replace"))
