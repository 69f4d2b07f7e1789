# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server.failure_causes import first_error, recognise


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
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() "
            "that might have already set an error? Error 803: system has unsupported display driver / cuda driver combination",
            "driver_libraries_mixed",
        ),
        ("RuntimeError: Failed to initialize NVML: Unknown Error", "gpus_taken_away"),
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


LOGS = Path(__file__).resolve().parents[3] / "fixtures" / "server_logs"


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("vllm_context_over_model", "context_too_long"),
        ("vllm_invalid_choice", "unknown_flag"),
        ("vllm_invalid_parser", "unknown_flag"),
        ("vllm_kvcache_over_memory", "out_of_memory"),
        ("vllm_kvcache_too_small", "context_too_long"),
        ("vllm_model_dir_empty", "model_missing"),
        ("vllm_model_dir_missing", "model_missing"),
        ("vllm_model_hub_offline", "model_missing"),
        ("vllm_port_taken", "port_taken"),
        ("vllm_shm_too_small", "shared_memory_full"),
        ("vllm_unknown_flag", "unknown_flag"),
        ("vllm_weights_truncated", "weights_damaged"),
    ],
)
def test_the_real_engines_log_is_recognised(log, name):
    assert recognise((LOGS / f"{log}.txt").read_text().splitlines()).name == name


@pytest.mark.parametrize("log", ["vllm_started", "vllm_memory_limit"])
def test_a_log_without_a_failure_names_no_cause(log):
    assert recognise((LOGS / f"{log}.txt").read_text().splitlines()) is None


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (
            [
                "WARNING 11-26 [x.py:1] ImportError: no such kernel",
                "(Worker pid=38) ERROR 11-26 20:28:47 [multiproc_executor.py:948] Traceback (most recent call last):",
                "(Worker pid=38) ERROR 11-26 20:28:47 [multiproc_executor.py:948] RuntimeError: only width of 4",
                "(EngineCore pid=25) ERROR 11-26 20:28:49 [core.py:1433] Exception: WorkerProc initialization failed",
            ],
            "RuntimeError: only width of 4",
        ),
        (
            ["ERROR 11-26 [core.py:1] torch.cuda.DeferredCudaCallError: CUDA call failed lazily"],
            "torch.cuda.DeferredCudaCallError: CUDA call failed lazily",
        ),
        (["RuntimeError: Engine core initialization failed. See root cause above."], None),
        (["ERROR 11-26 [core.py:1] EngineCore failed to start."], None),
        ([], None),
    ],
)
def test_the_first_error_of_a_process_is_not_the_last_of_another(lines, error):
    assert first_error(lines) == error
