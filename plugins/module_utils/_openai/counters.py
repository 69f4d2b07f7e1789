# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's own counters, from its Prometheus metrics. Pure."""

from __future__ import annotations

import math
import re
from typing import Iterator, Mapping

from .._engines.table import ENGINES, Engine

# Each engine's names of them are `counters` in `_engines/`.
COUNTERS = ("prompt_tokens", "generation_tokens", "prefix_cache_queries", "prefix_cache_hits", "preemptions")
_SAMPLE = re.compile(r"""([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?[ \t]+(\S+)""")
_LINE_LENGTH = 16 * 1024


def parse_counters(text: str) -> dict[str, float | None]:
    """The counters of a Prometheus text, summed over their labels; None where the server has none.

    Of an engine whose counters appear with their first count, a missing one is 0.
    """
    wanted = {name for counter in COUNTERS for name in _names_of(counter)}
    sums: dict[str, float] = {}
    engines: set[str] = set()  # prefixes of names of metrics
    for name, value in _samples(text):
        engines.add(name.partition(":")[0])
        if name in wanted:
            sums[name] = sums.get(name, 0.0) + value
    found = {counter: next((sums[name] for name in _names_of(counter) if name in sums), None) for counter in COUNTERS}
    late = {counter for engine in ENGINES.values() if _appear_late(engine, engines) for counter in engine.counters}
    return {counter: 0.0 if value is None and counter in late else value for counter, value in found.items()}


def _samples(text: str) -> Iterator[tuple[str, float]]:
    """Name and value of each sample of an engine; what is no count, or on a line without end, is left out."""
    known = tuple({name.partition(":")[0] + ":" for counter in COUNTERS for name in _names_of(counter)})
    position = 0
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        if text.startswith(known, position) and end - position <= _LINE_LENGTH:
            match = _SAMPLE.match(text[position:end])
            value = _count(match.group(2)) if match else None
            if match and value is not None:
                yield match.group(1), value
        position = end + 1


def _count(text: str) -> float | None:
    """A count as Prometheus writes it; None for text that is none, as NaN."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None


def _appear_late(engine: Engine, prefixes: set[str]) -> bool:
    """Whether metrics with these prefixes are of an engine whose counters have no sample before their first count."""
    own = {name.partition(":")[0] for names in engine.counters.values() for name in names}
    return engine.counters_appear_late and bool(own & prefixes)


def _names_of(counter: str) -> Iterator[str]:
    """Every engine's names of a counter: the metrics do not say which engine wrote them."""
    for engine in ENGINES.values():
        yield from engine.counters.get(counter, ())


def deltas(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> dict[str, float | None]:
    """What was counted in between; None where a counter is missing, or has decreased because the server restarted.

    A counter that appeared meanwhile has counted from 0, where the server showed others before.
    """
    asked = any(value is not None for value in before.values())
    changes: dict[str, float | None] = {}
    for name in COUNTERS:
        old, new = before.get(name), after.get(name)
        if old is None and asked:
            old = 0.0
        changes[name] = None if old is None or new is None or new < old else new - old
    return changes
