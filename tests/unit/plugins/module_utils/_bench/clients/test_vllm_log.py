# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the log of `vllm bench serve`: why it left no result, and how far it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.vllm import no_result, requests_done

LOG = Path("/state/runs/r1/vllm.log")
CAUSE = "ValueError: the tokenizer of x/y has no chat template, which " + "a" * 300 + " needs: set one"
DENIED = "docker: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock."


@pytest.mark.parametrize(
    ("lines", "found", "remedy"),
    [
        (
            ["Traceback (most recent call last):", "  File x" + "y" * 2000, CAUSE, ""],
            f"It ended with: {CAUSE}",
            str(LOG),
        ),
        ([DENIED, "", "Run 'docker run --help' for more information"], f"It ended with: {DENIED}", "group docker"),
        ([DENIED, "See 'docker run --help'."], f"It ended with: {DENIED}", "group docker"),
        (["PermissionError: [Errno 13] Permission denied: '/models'"], "It ended with: PermissionError", str(LOG)),
        ([], "It ended with: nothing: the log is empty", str(LOG)),
    ],
)
def test_the_cause_comes_first_and_whole(lines: list[str], found: str, remedy: str) -> None:
    problem = no_result(lines, LOG)
    assert problem.found.removeprefix("vllm bench serve left no result. ").startswith(found)
    assert len(problem.found) < 1000 and problem.found.count(found.partition(": ")[2]) == 1
    assert remedy in problem.remedy and ("docker" in problem.remedy) == ("docker" in remedy)


@pytest.mark.parametrize(
    ("lines", "done"),
    [
        ([], 0),
        (["Starting main benchmark run..."], 0),
        (["  3%|▎         | 15/512 [00:10<05:30,  1.50it/s]"], 15),
        (["  3%|▎         | 15/512 [00:10<05:30]", "  3%|▎         | 16/512 [00:11<05:29]", "a warning"], 16),
        (["100%|██████████| 512/512 [02:29<00:00]", "====== Serving Benchmark Result ======"], 512),
        ([" 50%|█████     | 1/2 [00:01<00:01]"], 0),
        ([f"|  {'9' * 5000}/512 ["], 0),
    ],
)
def test_how_far_it_is_stands_in_its_progress_bar(lines: list[str], done: int) -> None:
    assert requests_done(lines, 512) == done
