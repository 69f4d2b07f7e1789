# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's own counters, from its Prometheus metrics. Pure."""

from __future__ import annotations

import re
from typing import Iterable, Iterator, Mapping

from .._engines.table import ENGINES, Engine

# Each engine's names of them are `counters` in `_engines/`.
COUNTERS = ("prompt_tokens", "generation_tokens", "prefix_cache_queries", "prefix_cache_hits", "preemptions")
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{[^}]*\})?\s+(\S+)")


def parse_counters(text: str) -> dict[str, float | None]:
    """The counters of a Prometheus text, summed over their labels; None where the server has none.

    Of an engine whose counters appear with their first count, a missing one is 0.
    """
    sums: dict[str, float] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match:
            try:
                value = float(match.group(2))
            except ValueError:
                continue
            sums[match.group(1)] = sums.get(match.group(1), 0.0) + value
    found = {counter: next((sums[name] for name in _names_of(counter) if name in sums), None) for counter in COUNTERS}
    late = {counter for engine in ENGINES.values() if _appear_late(engine, sums) for counter in engine.counters}
    return {counter: 0.0 if value is None and counter in late else value for counter, value in found.items()}


def _appear_late(engine: Engine, metrics: Iterable[str]) -> bool:
    """Whether these are metrics of an engine whose counters have no sample before their first count."""
    prefixes = tuple({name.partition(":")[0] + ":" for names in engine.counters.values() for name in names})
    return engine.counters_appear_late and any(name.startswith(prefixes) for name in metrics)


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
