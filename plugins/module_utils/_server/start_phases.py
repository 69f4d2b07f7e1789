# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of a server's start, read from its log: which phase it is in, and the seconds that each phase took.

Each engine's texts are in `_engines/`. What a log does not say is None. Pure.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Dict, Iterable, Optional, Sequence

from .._engines.table import ENGINES, Engine

Phases = Dict[str, Optional[float]]

# The engines' own figures of a start (`phase_seconds` in `_engines/`), and the stages that a start goes through, in order (`stages` there).
PHASES = ("weights_s", "load_s", "compile_s")
STAGES = ("loading weights", "compiling and warming up", "started")


def phases(lines: Sequence[str]) -> Phases:
    """Seconds of one start by phase: `weights_s` (the engine's own download), `load_s` (reading them into memory) and
    `compile_s` (torch.compile, CUDA graphs). Of an engine with several processes, those of the slowest.
    """
    seconds = {phase: _slowest(lines, _patterns_of(phase)) for phase in PHASES}
    if seconds["compile_s"] is None:
        seconds["compile_s"] = _longest(_warm_up_s(lines, engine) for engine in ENGINES.values())
    return seconds


def slowest(servers: Sequence[Phases]) -> Phases:
    """Each phase's longest time among several servers that started side by side."""
    names = dict.fromkeys(name for server in servers for name in server)
    return {name: _longest(server[name] for server in servers) for name in names}


def stage(lines: Sequence[str]) -> str:
    """What a server that is not ready is doing: starting, loading weights, compiling and warming up, or started."""
    text = "\n".join(lines)
    return next((name for name in reversed(STAGES) if _has_begun(name, text)), "starting")


def _has_begun(name: str, text: str) -> bool:
    return any(re.search(engine.stages[name], text) for engine in ENGINES.values() if name in engine.stages)


def pull_s(tagged_at: str | None, began_at_s: float | None) -> float | None:
    """Seconds from `began_at_s` (since the epoch) until Docker had the image; None where it had the image before.

    `tagged_at` is the `Metadata.LastTagTime` of the image, by the same host's clock.
    """
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", tagged_at or "")
    if not match or began_at_s is None or match[1].startswith("0001"):
        return None
    zone = "+00:00" if match[3] == "Z" else match[3]
    then = datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)
    return round(then - began_at_s, 1) if then > began_at_s else None


def _patterns_of(phase: str) -> list[str]:
    return [pattern for engine in ENGINES.values() for pattern in engine.phase_seconds.get(phase, ())]


def _slowest(lines: Sequence[str], patterns: Sequence[str]) -> float | None:
    """The largest sum of one process; each process of an engine logs its own figures."""
    sums: dict[str, float] = {}
    for line in lines:
        for pattern in patterns:
            match = re.search(pattern, line, re.IGNORECASE)
            if match:
                sums[_process(line)] = sums.get(_process(line), 0.0) + float(match[1])
    return round(max(sums.values()), 2) if sums else None


def _process(line: str) -> str:
    """The process that wrote a line, as the engine names it; empty where it names none."""
    patterns = [engine.log_process for engine in ENGINES.values() if engine.log_process]
    return next((match[1] for match in (re.match(pattern, line) for pattern in patterns) if match), "")


def _warm_up_s(lines: Sequence[str], engine: Engine) -> float | None:
    began, ended = (_time_of(lines, text, engine) for text in engine.warm_up or (None, None))
    if began is None or ended is None or ended < began:
        return None
    return (ended - began).total_seconds()


def _time_of(lines: Sequence[str], text: str | None, engine: Engine) -> datetime | None:
    """When the last line with that text was written, in a leap year: the time of a line has no year, and may be 29 February."""
    matches = (re.search(engine.log_time, line) for line in reversed(lines) if text and text in line)
    match = next(matches, None)
    if match is None:
        return None
    try:
        return datetime.strptime(f"2000 {match[1]}", f"%Y {engine.log_time_format}").replace(tzinfo=timezone.utc)
    except ValueError:  # what looks like a time and is none
        return None


def _longest(seconds: Iterable[float | None]) -> float | None:
    measured = [value for value in seconds if value is not None]
    return max(measured) if measured else None
