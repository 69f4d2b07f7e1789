# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the GPUs used during a load: nvidia-smi, sampled once a second."""

# By subprocess: run_command waits for the end, and this goes on beside the load.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Sequence

from .child_process import die_with_parent

_FIELDS = "uuid,power.draw,clocks.sm,temperature.gpu,clocks_throttle_reasons.active"
_END_S = 5.0

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
    """One GPU at one moment; None where the driver does not say."""

    uuid: str
    power_w: float | None
    sm_clock_mhz: float | None
    temperature_c: float | None
    reasons: int


def parse_samples(text: str) -> list[Sample]:
    """The lines of `nvidia-smi --query-gpu --format=csv,noheader,nounits`; a line cut at the end is left out."""
    samples = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == len(_FIELDS.split(",")) and cells[-1]:
            samples.append(Sample(cells[0], _number(cells[1]), _number(cells[2]), _number(cells[3]), _bits(cells[4])))
    return samples


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _bits(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def summarise(samples: Sequence[Sample], duration_s: float, output_tokens: int) -> dict[str, Any] | None:
    """Energy of all GPUs over the load, in joules: the sum of their mean powers times its duration. None unsampled."""
    if not samples:
        return None
    powers = [mean([s.power_w for s in samples if s.uuid == uuid]) for uuid in sorted({s.uuid for s in samples})]
    power = None if None in powers else math.fsum(p for p in powers if p is not None)
    energy = None if power is None else power * duration_s
    seen = 0
    for sample in samples:
        seen |= sample.reasons
    return {
        "energy_j": energy,
        "energy_per_output_token_j": energy / output_tokens if energy is not None and output_tokens else None,
        "mean_power_w": power,
        "mean_sm_clock_mhz": mean(sample.sm_clock_mhz for sample in samples),
        "max_temperature_c": max((s.temperature_c for s in samples if s.temperature_c is not None), default=None),
        "throttle_reasons": [name for bit, name in _REASONS.items() if seen & bit],
        "throttled_share": sum(bool(sample.reasons & _SLOWED) for sample in samples) / len(samples),
        "gpus": len(powers),
        "samples": len(samples),
    }


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are known."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


class Sampler:
    """nvidia-smi in the background while a load runs. Does nothing on a host without it."""

    def __init__(self, folder: Path, uuids: Sequence[str]) -> None:
        self._path = folder / "nvidia-smi.csv"
        self._process: subprocess.Popen[bytes] | None = None
        program = shutil.which("nvidia-smi")
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
            self._process.wait()

    def samples(self) -> list[Sample]:
        """What was sampled."""
        if self._process is None:
            return []
        return parse_samples(self._path.read_text(encoding="utf-8", errors="replace"))
