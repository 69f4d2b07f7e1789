# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.gpu_container import verdict


def test_a_container_that_got_its_gpu():
    assert verdict({"rc": 0, "stdout": "ok", "stderr": ""}, "cdi") == {"ok": True, "message": ""}


@pytest.mark.parametrize(
    ("rc", "output", "cause"),
    [
        (125, 'could not select device driver "" with capabilities: [[gpu]].', "does not know --gpus"),
        (
            125,
            "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
            "does not know the CDI device",
        ),
        (125, "Unable to find image 'x:1' locally", "is not available"),
        (125, "nvml error: driver/library version mismatch", "old kernel module"),
        (127, 'exec: "python3": executable file not found in $PATH', "no such command"),
        (125, "nvidia-container-cli: initialization error: x", "the toolkit failed"),
        (40, "libcuda.so.1: cannot open shared object file", "libcuda"),
        (41, "cuInit: error 802", "does not start"),
        (42, "no device", "no device"),
        (43, "0 NVIDIA H100: error 46", "no CUDA context"),
        (124, "", "in time"),
        (7, "", "status 7"),
    ],
)
def test_each_cause_has_its_remedy(rc, output, cause):
    result = verdict({"rc": rc, "stdout": "", "stderr": output}, "cdi")
    assert not result["ok"]
    assert cause in result["message"] and output in result["message"] and "Remedy: " in result["message"]
