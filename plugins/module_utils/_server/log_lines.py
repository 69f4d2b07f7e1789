# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server's log as a reader wants it: without the questions that we ask ourselves, and no line longer than a screen or two. Pure."""

from __future__ import annotations

import re
from typing import Iterable

from .._openai.models import VERSION_PATHS

LINE_LENGTH = 600  # SGLang writes its arguments as one line of 14 500 characters
_ASKED = "|".join(map(re.escape, ("/v1/models", "/health", "/metrics", *VERSION_PATHS)))
_OUR_QUESTION = re.compile(rf'"GET (?:{_ASKED}) HTTP/[\d.]+" \d{{3}}')


def informative(lines: Iterable[str]) -> list[str]:
    """The lines that say something of the server. What asks for models, health or version is most likely the wait for it."""
    return [_short(line) for line in lines if line.strip(" \t^~") and not _OUR_QUESTION.search(line)]


def _short(line: str) -> str:
    return line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]} ... ({len(line)} characters)"
