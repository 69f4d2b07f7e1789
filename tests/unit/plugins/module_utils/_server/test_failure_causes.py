# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server.failure_causes import (
    CAUSES,
    own_words,
    recognise,
)


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
        ("server.sh: line 1:    77 Killed                  python3 -m sglang.launch_server", "out_of_memory"),
        ("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "memory_share_too_small"),
        (
            "RuntimeError: Hybrid (mamba/linear-attention) state cache is too small to serve any requests.",
            "memory_share_too_small",
        ),
        (
            "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.2.",
            "memory_share_too_small",
        ),
        ("AssertionError: Lfm2MoeForCausalLM does not support triton attention backend, as the", "attention_backend"),
        (
            "NCCL WARN Error: failed to extend /dev/shm/nccl-nMgBXu to 33030532 bytes, error: No space left on device (28)",
            "shared_memory_full",
        ),
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver",
            "driver_libraries_mixed",
        ),
        ("Failed to initialize NVML: Unknown Error", "gpus_taken_away"),
        ("RuntimeError: CUDA error: Error 802: system not yet initialized", "fabric_manager"),
        (
            "RuntimeError: CUDA error: no kernel image is available for execution on the device",
            "gpu_not_supported",
        ),
        ("Failed to initialize NVML: Driver/library version mismatch", "driver_changed"),
        ("requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://x", "hub_refuses"),
        (
            "PermissionError: [Errno 13] Permission denied: '/root/.cache/huggingface/hub/models--a--b'",
            "cache_not_writable",
        ),
        (
            "ValueError: The checkpoint you are trying to load has model type `lfm9` but Transformers does not recognize "
            "this architecture.",
            "model_unknown",
        ),
        ("OSError: [Errno 24] Too many open files", "too_many_files"),
    ],
)
def test_a_known_text_has_a_cause_and_a_remedy(line, name):
    cause = recognise(["INFO starting", line, "INFO bye"])
    assert cause.name == name
    assert cause.remedy


@pytest.mark.parametrize(
    "lines", [[], ["INFO all is well"], ["killed_by = none"], ["INFO request abc was killed by client"]]
)
def test_an_unknown_log_has_no_cause(lines):
    assert recognise(lines) is None


# Inputs from public reports, each with the cause that is right: the kind matters, so several spellings of one.
REPORTED = [
    ("shared_memory_full", "OSError: [Errno 28] No space left on device: '/dev/shm/psm_1234'"),
    ("shared_memory_full", "RuntimeError: unable to write to file </torch_2324_1>: No space left on device (28)"),
    (
        "shared_memory_full",
        "RuntimeError: unable to mmap 67108864 bytes from file </torch_2324_1>: Cannot allocate memory (12)",
    ),
    (
        "shared_memory_full",
        "gpu01:12:34 [0] misc/shmutils.cc:72 NCCL WARN Error: failed to extend /dev/shm/nccl-nMgBXu to 33030532 bytes, error: "
        "No space left on device (28)",
    ),
    (
        "shared_memory_full",
        "g:1:2 [0] NCCL WARN Call to posix_fallocate failed : No space left on device\n"
        "g:1:2 [0] NCCL WARN Error while creating shared memory segment /dev/shm/nccl-Z2nIDw (size 9637888)",
    ),
    (
        "shared_memory_full",
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
    ),
    ("disk_full", "OSError: [Errno 28] No space left on device: '/root/.cache/huggingface/hub/models--a--b/blobs/x'"),
    ("disk_full", "OSError: [Errno 28] No space left on device: '/data/dev/shm/x'"),
    ("disk_full", "64 GiB are free in /dev/shm\nOSError: [Errno 28] No space left on device"),
    (
        "driver_libraries_mixed",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling "
        "NumCudaDevices() that might have already set an error? Error 803: system has unsupported display driver / cuda driver "
        "combination",
    ),
    (
        "driver_libraries_mixed",
        "torch.AcceleratorError: CUDA error: system has unsupported display driver / cuda driver combination",
    ),
    ("driver_libraries_mixed", "RuntimeError: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
    ("driver_libraries_mixed", "RuntimeError: Error 804: forward compatibility was attempted on non supported HW"),
    ("fabric_manager", "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized"),
    ("fabric_manager", "torch.AcceleratorError: CUDA error: system not yet initialized"),
    ("gpu_not_supported", "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device"),
    ("gpu_not_supported", "ptxas fatal   : Value 'sm_103a' is not defined for option 'gpu-name'"),
    ("driver_changed", "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95"),
    ("driver_changed", "pynvml.NVMLError_LibRmVersionMismatch: RM has detected an NVML/RM version mismatch."),
    ("hub_refuses", "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://hub/api/a"),
    (
        "hub_refuses",
        "huggingface_hub.errors.HfHubHTTPError: Client error '429 Too Many Requests' for url 'https://hub/api/a'",
    ),
    ("gated_model", "Cannot access gated repo for url https://hub/m/resolve/main/config.json."),
    ("gated_model", "httpx.HTTPStatusError: Client error '401 Unauthorized' for url 'https://hub/api/a'"),
    ("cache_not_writable", "PermissionError: [Errno 13] Permission denied: '/root/.cache'"),
    ("cache_not_writable", "PermissionError: [Errno 13] Permission denied: '/.cache'"),
    ("cache_not_writable", "OSError: [Errno 30] Read-only file system: '/data/hf/hub/models--a--b'"),
    ("cache_not_writable", "OSError: PermissionError at /root/.cache/huggingface/hub/models--x when downloading x."),
    ("model_unknown", "  Value error, has model type `x` but Transformers does not recognize this architecture. This"),
    ("model_unknown", "ValueError: Model architectures ['Lfm9ForCausalLM'] are not supported for now. Supported: []"),
    (
        "model_unknown",
        "ValueError: Lfm9 has no SGlang implementation and the Transformers implementation is not compatible with SGLang.",
    ),
    ("model_unknown", "ValueError: Unrecognized model in /models/x. Should have a `model_type` key in its config.json"),
    ("too_many_files", "OSError: [Errno 24] Too many open files: '/model/a.safetensors'"),
    ("too_many_files", "zmq.error.ZMQError: Too many open files"),
    ("gpu_memory", "torch.cuda.OutOfMemoryError: CUDA error: out of memory"),
    ("gpu_memory", "torch.AcceleratorError: CUDA error: out of memory"),
    ("port_taken", "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use"),
    (
        "inner_port_taken",
        "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. port: 29500, "
        "useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
    ),
    ("inner_port_taken", "zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:5557')"),
    ("out_of_memory", "Killed"),
]  # fmt: skip

# What looks like a cause and is none: a request that was killed, a warning about what was tried again, a number.
HARMLESS = [
    "INFO 11-26 request abc was killed by client",
    "request cmpl-1 was Killed by client",
    "[2026-11-26 13:46:24] Request abc: Killed",
    "(EngineCore pid=25) ERROR 11-26 20:28:47 [core.py:802] ERROR 802 tokens",
    "the tracing system not yet initialized",
    '10.0.0.1:3 - "POST /v1/chat/completions HTTP/1.1" 429 Too Many Requests',
    "WARNING 11-26 20:28:47 [x.py:1] 429 Client Error: Too Many Requests for url: https://x. Retrying in 1s [Retry 1/5].",
    "(Worker_TP0 pid=38) WARNING 11-26 20:28:47 [x.py:1] no kernel image is available for execution on the device, falling back",
    "WARNING: PermissionError: [Errno 13] Permission denied: '/root/.cache/vllm/torch_compile_cache', caching disabled",
    "[2026-11-26 13:46:24 TP0] WARNING: CUDA out of memory, trying a smaller batch",
    "[W1126 18:06:45.525458018 utils.cpp:41] Warning: Address already in use",
    "/site-packages/x.py:1731: UserWarning: CUDA out of memory",
    "INFO 11-26 [x.py:1] MemoryError handler installed",
    "(APIServer pid=1) WARNING 11-26 [model.py:2660] User-specified max_model_len (4000000) is greater than the derived max_model_len",
    "WARNING 11-26 TransformersForCausalLM has no vLLM implementation, falling back to Transformers implementation.",
    "PermissionError: [Errno 13] Permission denied: '/data/secret.txt'",
    "This can cause fd limit errors like `OSError: [Errno 24] Too many open files`. Consider increasing with ulimit -n",
]


@pytest.mark.parametrize(("name", "text"), REPORTED)
def test_what_was_reported_has_its_cause(name, text):
    cause = recognise(["INFO starting", *text.splitlines()])
    assert cause is not None and cause.name == name


@pytest.mark.parametrize("line", HARMLESS)
def test_what_only_looks_like_a_cause_is_none(line):
    assert recognise(["INFO starting", line]) is None


@pytest.mark.parametrize("line", HARMLESS)
def test_what_only_looks_like_a_cause_hides_none(line):
    lines = [line, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.69 GiB", line]
    cause = recognise(lines)
    assert cause is not None and cause.name == "gpu_memory"
    assert own_words(lines, cause).startswith("torch.OutOfMemoryError")


def test_a_warning_is_not_the_servers_last_error():
    assert own_words(["RuntimeError: only width of 4", "WARNING 11-26 [x.py:1] ImportError: no such kernel"], None) == (
        "RuntimeError: only width of 4"
    )


LOGS = Path(__file__).resolve().parents[3] / "fixtures" / "server_logs"


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("sglang_attention_backend", "attention_backend"),
        ("sglang_context_over_model", "context_too_long"),
        ("sglang_invalid_parser", "unknown_flag"),
        ("sglang_memory_share_too_small", "memory_share_too_small"),
        ("sglang_model_missing", "model_missing"),
        ("sglang_out_of_gpu_memory", "gpu_memory"),
        ("sglang_unknown_flag", "unknown_flag"),
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


@pytest.mark.parametrize("log", ["sglang_started", "vllm_started", "vllm_memory_limit"])
def test_a_log_without_a_failure_names_no_cause(log):
    assert recognise((LOGS / f"{log}.txt").read_text().splitlines()) is None


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("sglang_attention_backend", "AssertionError: Lfm2MoeForCausalLM does not support triton attention backend"),
        ("sglang_context_over_model", "ValueError: Warning: User-specified context_length (200000) is greater"),
        ("sglang_invalid_parser", "sglang serve: error: argument --tool-call-parser: invalid choice: 'lfm3'"),
        ("sglang_memory_share_too_small", "RuntimeError: Not enough GPU memory for hybrid"),
        ("sglang_model_missing", "OSError: Repo id must be in the form"),
        ("sglang_out_of_gpu_memory", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.69 GiB"),
        ("sglang_unknown_flag", "sglang serve: error: unrecognized arguments: --no-such-flag 1"),
        ("vllm_context_over_model", "Value error, User-specified max_model_len"),
        ("vllm_kvcache_over_memory", "ValueError: Available memory on node 0"),
        ("vllm_kvcache_too_small", "ValueError: To serve at least one request"),
        ("vllm_port_taken", "OSError: [Errno 98] Address already in use"),
        ("vllm_shm_too_small", "RuntimeError: Insufficient space in /dev/shm"),
        ("vllm_unknown_flag", "vllm: error: unrecognized arguments: --max-modellen 5"),
        ("vllm_weights_truncated", "safetensors._safetensors_rust.SafetensorError: Error while deserializing header"),
    ],
)
def test_the_servers_own_words_are_the_first_error_and_not_what_follows_from_it(log, words):
    lines = (LOGS / f"{log}.txt").read_text().splitlines()
    assert own_words(lines, recognise(lines)).startswith(words)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (
            [
                "WARNING 11-26 [x.py:1] ImportError: no such kernel",
                "(Worker pid=38) ERROR 11-26 20:28:47 [multiproc_executor.py:948] Traceback (most recent call last):",
                "(Worker pid=38) ERROR 11-26 20:28:47 [multiproc_executor.py:948] RuntimeError: only width of 4",
                "(EngineCore pid=25) ERROR 11-26 20:28:49 [core.py:1433] Exception: WorkerProc initialization failed",
                "RuntimeError: Engine core initialization failed. See root cause above.",
            ],
            "RuntimeError: only width of 4",
        ),
        (
            ["ERROR 11-26 [core.py:1] torch.cuda.DeferredCudaCallError: CUDA call failed lazily"],
            "torch.cuda.DeferredCudaCallError: CUDA call failed lazily",
        ),
        (["ValueError: one", "KeyError: 'two'", "INFO bye"], "KeyError: 'two'"),
    ],
)
def test_without_a_known_cause_the_last_error_counts_that_does_not_follow_from_another(lines, error):
    assert own_words(lines, None) == error


def test_without_an_error_the_last_line_counts():
    assert own_words(["INFO starting", " bye "], None) == "bye"
    assert own_words([], None) == ""


def remedy(name, runtime="docker"):
    return next(cause for cause in CAUSES if cause.name == name).remedy_for(runtime)


def test_too_small_a_memory_share_has_the_opposite_remedy_of_too_large_a_one():
    assert "raise" in remedy("memory_share_too_small") and "lower the memory share" in remedy("gpu_memory")
    assert all("SGLang: --mem-fraction-static" in remedy(name) for name in ("memory_share_too_small", "gpu_memory"))


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_process_has_no_remedy_of_containers(cause):
    words = (
        "mounted",
        "container",
        "Docker",
        "inference_server_volumes",
        "inference_server_image",
        "inference_server_ulimits",
    )
    assert cause.name == "key_unreadable" or not [word for word in words if word in cause.remedy_for("process")]
