# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One formatter for what a user reads."""

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError, listed, sentences


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("port is 0"), "port is 0."),
        (Problem("port is 0", "1 to 65535"), "port is 0. Expected: 1 to 65535."),
        (Problem("port is 0.", "1 or more.", "Correct it!"), "port is 0. Expected: 1 or more. Remedy: Correct it!"),
        (Problem("no key", remedy="set one"), "no key. Remedy: set one."),
    ],
)
def test_a_problem_in_sentences(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_sentences_have_one_full_stop_each_and_empty_ones_are_left_out() -> None:
    assert sentences("no more memory.", "", "it ended", "why?") == "no more memory. it ended. why?"
    assert sentences("", "") == ""


def test_an_error_carries_its_problems_as_data() -> None:
    problems = Problem("a", "b", "c"), Problem("d")
    error = UserError(*problems)
    assert (error.problems, error.first) == (problems, problems[0])
    assert str(error) == listed(problems) == "a. Expected: b. Remedy: c.\nd."
