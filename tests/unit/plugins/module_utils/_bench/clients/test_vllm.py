# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients import vllm
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.vllm import load_window

# Its process ran from second 1000 to 1100 of an epoch whose second 900 was the monotonic clock's zero.
RAN = {"began_s": 1000.0, "written_s": 1100.0, "monotonic_s": 900.0}


@pytest.mark.parametrize(
    ("document", "window"),
    [
        ({"duration": 60.0, "start_times": [131.5, 130.0, 140.0]}, (1030.0, 1090.0)),
        ({"duration": 60.0}, (1040.0, 1100.0)),
        ({"duration": 60.0, "start_times": []}, (1040.0, 1100.0)),
        ({"duration": 60.0, "start_times": [5.0]}, (1040.0, 1100.0)),
        ({"duration": 60.0, "start_times": [1e9]}, (1040.0, 1100.0)),
        ({"duration": 60.0, "start_times": [float("nan")]}, (1040.0, 1100.0)),
        ({"duration": 60.0, "start_times": ["x"]}, None),
        ({"duration": 60.0, "start_times": 7}, None),
        ({"duration": None, "start_times": [130.0]}, None),
        ({"duration": 0, "start_times": [130.0]}, None),
        ({"duration": float("inf"), "start_times": [130.0]}, None),
        ({}, None),
    ],
)
def test_when_the_load_of_a_result_file_ran(document: dict[str, Any], window: tuple[float, float] | None) -> None:
    assert load_window(document, **RAN) == window


def test_a_result_from_which_the_key_was_taken_still_says_when_it_was_written(tmp_path: Path) -> None:
    key, result = "c4nary-Key-0123456789", tmp_path / "vllm-run-1.json"
    result.write_text(f'{{"errors": ["refused {key}"]}}')
    os.utime(result, (1090, 1100))
    vllm._hide_in(result, key)
    assert key not in result.read_text() and "refused" in result.read_text()
    assert result.stat().st_mtime == 1100
    assert list(tmp_path.iterdir()) == [result]
