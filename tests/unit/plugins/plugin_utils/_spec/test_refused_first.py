# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host does not allow is refused before anything is changed, with a remedy that works there."""

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.validation import (
    folder_problems,
    key_file_problems,
    limit_problems,
)

WANT = {"backend": "vllm", "state_dir": "/s", "hf_cache_dir": "/c", "api_key_file": "/k"}


def disk(path="/s", **changes):
    return {"path": path, "measured_path": path, "free_mib": 100, "readable": True, "writable": True, **changes}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], []),
        ([disk(), disk("/c")], []),
        ([disk(writable=None, free_mib=None, measured_path=None)], []),
        (
            [disk(writable=False, measured_path="/")],
            ["inference_server_state_dir is /s, and / cannot be written", "sudo mkdir -p /s"],
        ),
        ([disk(free_mib=0)], ["its disk is full", "df -h /s"]),
        (
            [disk("/c", free_mib=0, writable=False)],
            [],
        ),  # a cache that is full, or mounted read-only, may hold the weights
    ],
)
def test_a_folder_that_cannot_be_written(entries, said):
    text = " ".join(map(str, folder_problems(WANT, {"disk": entries})))
    assert bool(text) == bool(said)
    assert all(word in text for word in said), text


@pytest.mark.parametrize(("readable", "refused"), [(True, False), (None, False), (False, True)])
def test_a_key_that_this_user_may_not_read(readable, refused):
    found = key_file_problems(WANT, {"disk": [disk("/k", readable=readable)]})
    assert ['sudo chown "$(id -un)" /k' in str(problem) for problem in found] == [True] * refused


@pytest.mark.parametrize(
    ("ulimits", "most", "possible"),
    [
        (["memlock:-1:-1"], {}, None),
        (["memlock:-1:-1"], {"stack": 5}, None),
        (["memlock:-1:-1", "stack:4"], {"memlock": 8, "stack": 5}, '["memlock:8:8", "stack:4"]'),
        (["nofile:10:99"], {"nofile": 20}, '["nofile:10:20"]'),
        (["memlock=unlimited", "memlock:x"], {"memlock": 8}, None),
    ],
)
def test_limits_that_the_engine_cannot_give(ulimits, most, possible):
    found = limit_problems(ulimits, {"docker": {"limits": most}})
    assert [f"set inference_server_ulimits: {possible}" in str(problem) for problem in found] == [True] * bool(possible)
