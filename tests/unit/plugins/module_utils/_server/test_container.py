# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server.container import container_end, container_state


@pytest.mark.parametrize(
    ("printed", "pattern"),
    [
        ("running 0 0 false", None),
        ("running 0 2 false", None),
        ("created 0 0 false", None),
        ("running 0 3 false", r"started again by Docker \(restarts: 3\)"),
        ("exited 1 2 false", r"exit code 1 \(restarts: 2\)$"),
        ("restarting 137 3 false", r"exit code 137 .*memory.*VLLM_CPU_KVCACHE_SPACE"),
        ("exited 137 0 true", "was killed for memory$"),
    ],
)
def test_the_end_of_a_container_is_described(printed, pattern):
    end = container_end("mine", container_state(f"{printed} 2026-11-22T18:50:01.123456789Z\n"), restarts_before=2)
    if pattern is None:
        assert end is None
    else:
        assert end.startswith("container mine ")
        assert re.search(pattern, end)
