# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the texts that the collection knows of an engine (`_engines/`) are no longer in its sources.

A pattern matches a line of a log or a page of metrics. Here its literal parts are looked for, in their order, in the texts that the sources
are made of; what stands between them is filled in when the engine runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from re import _constants as kinds  # type: ignore[attr-defined]
from re import _parser as regular  # type: ignore[attr-defined]
from typing import Any

GAP = "\0"  # what is filled in at run time
SHORTEST = 3  # shorter parts are in every text
# Patterns that no source of an engine holds in this form: one is uvicorn's, of the other the folder is filled in.
ELSEWHERE = (r"Application startup complete", r"Insufficient space in /dev/shm")


def texts_of(source: str) -> Iterator[str]:
    """Every text in a Python source, with GAP for what is filled in (`{x}`, `%s`)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[-+.\d]*[sdrfgi]", GAP, node.value)
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)


def literal_parts(pattern: str) -> list[list[str]]:
    """The literal parts of each alternative of a regular expression, in their order."""
    return [
        [part for part in parts if len(part.strip()) >= SHORTEST] for parts in _alternatives(regular.parse(pattern))
    ]


def _alternatives(items: Iterable[tuple[Any, Any]]) -> list[list[str]]:
    """The alternatives of a parsed expression; each is a list of parts, "" beginning a new one."""
    found = [[""]]
    for kind, value in items:
        if kind is kinds.LITERAL:
            found = [[*parts[:-1], parts[-1] + chr(value)] for parts in found]
            continue
        if kind is kinds.BRANCH:
            inner = [parts for branch in value[1] for parts in _alternatives(branch)]
        elif kind is kinds.SUBPATTERN:
            inner = _alternatives(value[-1])
        else:
            inner = [["", ""]]
        found = [[*parts[:-1], parts[-1] + more[0], *more[1:]] for parts in found for more in inner]
    return found


def is_in(parts: list[str], text: str) -> bool:
    """Whether a text has all the parts in their order."""
    return re.search(".*".join(map(re.escape, parts)), text, re.DOTALL | re.IGNORECASE) is not None


def missing_phrases(phrases: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The patterns of which no alternative is in the texts, in their order."""
    known = list(texts)
    return [
        pattern
        for pattern in phrases
        if pattern not in ELSEWHERE
        and not any(parts and is_in(parts, text) for parts in literal_parts(pattern) for text in known)
    ]


def phrases_of(engine: Any) -> list[str]:
    """What an entry of ENGINES expects of its engine's log and metrics: of each counter the newest name."""
    counters = [re.escape(names[0].removesuffix("_total")) for names in engine.counters.values()]
    seconds = [pattern for patterns in engine.phase_seconds.values() for pattern in patterns]
    said = [*seconds, *(engine.warm_up or ()), *engine.stages.values(), *engine.failure_texts.values()]
    return list(dict.fromkeys([*counters, *said]))
