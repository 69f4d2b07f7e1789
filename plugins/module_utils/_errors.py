# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The one error of the benchmark that a user is meant to read. Private to the collection."""

from __future__ import annotations


class BenchError(Exception):
    """Something the user can mend: what was found, what was expected, and what to type next."""

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        super().__init__(f"{found} Expected: {expected} {remedy}")
