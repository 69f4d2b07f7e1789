from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server_causes import recognise


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("OSError: [Errno 98] Address already in use", "port_taken"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "gpu_memory"),
        (
            "ValueError: Free memory on device (10/80 GiB) on startup is less than desired GPU memory utilization",
            "gpu_memory",
        ),
        ("ValueError: No available memory for the cache blocks.", "context_too_long"),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 12040)", "driver_too_old"),
        ("vllm: error: unrecognized arguments: --bogus", "unknown_flag"),
        ("OSError: [Errno 28] No space left on device", "disk_full"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error", "gated_model"),
        ("OSError: /x is not a local folder and is not a valid model identifier listed on the hub", "model_missing"),
        ("MemoryError", "out_of_memory"),
    ],
)
def test_a_known_text_has_a_cause_and_a_remedy(line, name):
    cause = recognise(["INFO starting", line, "INFO bye"])
    assert cause.name == name
    assert cause.remedy


@pytest.mark.parametrize("lines", [[], ["INFO all is well"], ["killed_by = none"]])
def test_an_unknown_log_has_no_cause(lines):
    assert recognise(lines) is None
