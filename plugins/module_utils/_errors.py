# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user reads when something cannot be done: problems as data, and the one error that carries them."""

from __future__ import annotations

from typing import Iterable, NamedTuple

from ._secrets import hidden


class Problem(NamedTuple):
    """One problem: what was found, what was expected, and what to do next.

    `expected` and `remedy` are empty where they go without saying.
    """

    found: str
    expected: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """The problem in sentences, without secrets."""
        parts = [self.found, self.expected and f"Expected: {self.expected}", self.remedy and f"Remedy: {self.remedy}"]
        return hidden(sentences(*parts))


# What to do about a port that is taken. After `-e` it would be the port of every host of the run.
ANOTHER_PORT = "set inference_server_port of this host alone to a free port, in the inventory"


def sentences(*texts: str) -> str:
    """The texts one after the other, each with a full stop; empty ones are left out."""
    return " ".join(_sentence(text) for text in texts if text)


def _sentence(text: str) -> str:
    """`text` with a full stop, unless it ends like a sentence already."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def listed(problems: Iterable[Problem]) -> str:
    """Several problems, one a line."""
    return "\n".join(map(str, problems))


class UserError(Exception):
    """What the user can correct: one problem or several, without the secrets that a host, a server or an option has put into them."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = tuple(Problem(*map(hidden, problem)) for problem in problems)
        super().__init__(listed(self.problems))

    @property
    def first(self) -> Problem:
        """The first problem, for callers that show found, expected and remedy separately."""
        return self.problems[0]
