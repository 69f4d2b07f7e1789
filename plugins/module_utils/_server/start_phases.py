# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a server's start went, read from its log: which phase it is in, and the seconds that each phase took.

The texts are those of vLLM 0.32 (and of older releases back to 0.8) and of SGLang 0.5. What a log does not tell is None.
Pure; private to this collection.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Dict, Iterable, Optional, Sequence

Phases = Dict[str, Optional[float]]

# The engine's own figures; a phase can have several, one after the other.
_FIGURES = {
    "weights_s": (r"Time spent downloading weights for .*: ([\d.]+) seconds",),
    "load_s": (r"Loading weights took ([\d.]+) seconds", r"Load weight end\. elapsed=([\d.]+) s"),
    "compile_s": (
        r"torch\.compile .*?(?:took|takes) ([\d.]+) s in total",
        r"Graph capturing finished in ([\d.]+) secs",
        r"Capture .*cuda graph end\. (?:Time elapsed: |elapsed=)([\d.]+) s",
    ),
}
# vLLM on a CPU tells no figure: the time between these two lines.
_WARM_UP = ("Warming up model for the compilation", "Warming up done")
_VLLM_TIME = re.compile(r" (\d\d-\d\d \d\d:\d\d:\d\d) \[")
_PROCESS = re.compile(r"\((?P<vllm>[^)]*pid=\d+)\)|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ?(?P<sglang>[^\]]*)\]")

# What the last of these lines says of a server that is not ready yet.
_STAGES = (
    (r"Starting to load model|Loading model from scratch|Load weight begin", "loading weights"),
    (r"Loading weights took|Load weight end|Warming up model", "compiling and warming up"),
    (r"Application startup complete|fired up and ready", "started"),
)


def phases(lines: Sequence[str]) -> Phases:
    """Seconds of one start by phase: `weights_s` (the engine's own download), `load_s` (reading them into memory) and
    `compile_s` (torch.compile, CUDA graphs). Of an engine with several processes, those of the slowest.
    """
    told = {name: _slowest(lines, patterns) for name, patterns in _FIGURES.items()}
    if told["compile_s"] is None:
        told["compile_s"] = _warm_up_s(lines)
    return told


def slowest(servers: Sequence[Phases]) -> Phases:
    """Each phase's longest time among several servers that started side by side."""
    names = dict.fromkeys(name for server in servers for name in server)
    return {name: _longest(server[name] for server in servers) for name in names}


def stage(lines: Sequence[str]) -> str:
    """What a server that is not ready does now: starting, loading weights, compiling and warming up, or started."""
    text = "\n".join(lines)
    found = [name for pattern, name in _STAGES if re.search(pattern, text)]
    return found[-1] if found else "starting"


def pull_s(tagged_at: str | None, began_at_s: float | None) -> float | None:
    """Seconds from `began_at_s` (since the epoch) until the engine had the image; None where it was there before.

    `tagged_at` is the `Metadata.LastTagTime` of the image, by the same host's clock.
    """
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", tagged_at or "")
    if not match or began_at_s is None or match[1].startswith("0001"):
        return None
    zone = "+00:00" if match[3] == "Z" else match[3]
    then = datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)
    return round(then - began_at_s, 1) if then > began_at_s else None


def _slowest(lines: Sequence[str], patterns: Sequence[str]) -> float | None:
    """The largest sum of one process; each process of an engine tells its own figures."""
    sums: dict[str, float] = {}
    for line in lines:
        for pattern in patterns:
            match = re.search(pattern, line, re.IGNORECASE)
            if match:
                sums[_process(line)] = sums.get(_process(line), 0.0) + float(match[1])
    return round(max(sums.values()), 2) if sums else None


def _process(line: str) -> str:
    match = _PROCESS.match(line)
    return (match["vllm"] or match["sglang"] or "") if match else ""


def _warm_up_s(lines: Sequence[str]) -> float | None:
    began, ended = (_time_of(lines, text) for text in _WARM_UP)
    if began is None or ended is None or ended < began:
        return None
    return (ended - began).total_seconds()


def _time_of(lines: Sequence[str], text: str) -> datetime | None:
    """When the last line with that text was written, to the second; vLLM's times carry no year."""
    match = next((_VLLM_TIME.search(line) for line in reversed(lines) if text in line), None)
    return datetime.strptime(f"2000-{match[1]}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc) if match else None


def _longest(seconds: Iterable[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return max(known) if known else None
