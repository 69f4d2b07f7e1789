# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server's log as a reader wants it: without the questions that we ask ourselves, and no line longer than a screen or two. Pure."""

from __future__ import annotations

import re
from typing import Iterable

from .._openai.models import VERSION_PATHS
from .._text import shortened

LINE_LENGTH = 600  # SGLang writes its arguments as one line of 14 500 characters
_ASKED = "|".join(map(re.escape, ("/v1/models", "/health", "/metrics", *VERSION_PATHS)))
# What loggers of engines write before the text: process, level, time, place: `(Worker pid=37) INFO 11-22 15:57:00 [core.py:58] `.
_PROCESS, _LEVEL = r"\(\w+(?: pid=\d+)?\)", r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):?"
_TIME = r"(?:\d{4}-)?\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?"
_PREFIX = re.compile(rf"^(?:(?:{_PROCESS}|{_LEVEL}|{_TIME}|\[{_TIME}[^\]]*\]|\[[\w./]+:\d+\]|- )\s*)+")
_OUR_QUESTION = re.compile(rf'"GET (?:{_ASKED}) HTTP/[\d.]+" \d{{3}}')


def informative(lines: Iterable[str]) -> list[str]:
    """The lines that say something of the server. What asks for models, health or version is most likely the wait for it."""
    return [shortened(line, LINE_LENGTH) for line in lines if line.strip(" \t^~") and not _OUR_QUESTION.search(line)]


def text_of(line: str) -> str:
    """The text of a line without what a logger writes before it; the line itself where nothing would be left."""
    return _PREFIX.sub("", line).strip() or line.strip()
