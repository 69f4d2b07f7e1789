# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a server died, read from its log: the known causes, the texts that name each, and its remedy. Pure.

The texts here are those of programs that every engine uses; an engine's own are `failure_texts` in `_engines/`.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Sequence

from .._engines import ENGINES


class Cause(NamedTuple):
    """A known cause: its name, what the log says whichever the engine (None: each engine has its own words), and what to do."""

    name: str
    pattern: str | None
    remedy: str


_MEMORY_SHARE_FLAGS = ", ".join(
    f"{engine.title}: {engine.memory_share_flag}" for engine in ENGINES.values() if engine.memory_share_flag
)

# Order matters: the first match wins, so the more exact texts stand first.
CAUSES = (
    Cause(
        "port_taken",
        r"address already in use|Errno 98\b",
        "stop what holds the port, or set inference_server_port to a free one",
    ),
    Cause(
        "key_unreadable",
        r"the API key's file cannot be read or is empty|(Permission denied|Is a directory): '/run/secrets/llmfleet_api_key'",
        "the file of inference_server_api_key_file must hold a key that the container's user (inference_server_user) may read",
    ),
    Cause(
        "gpu_memory",
        r"CUDA out of memory|torch\.OutOfMemoryError",
        f"stop other programs on the GPU, or lower the memory share ({_MEMORY_SHARE_FLAGS})",
    ),
    Cause(
        "context_too_long",
        None,
        "give the cache more memory or set a smaller --max-model-len in inference_server_extra_args",
    ),
    Cause(
        "driver_too_old",
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|unsatisfied condition: cuda",
        "upgrade the NVIDIA driver, or set inference_server_image to an image of the CUDA 12 family",
    ),
    Cause(
        "driver_libraries_mixed",
        r"Error 803\b|unsupported display driver / cuda driver combination",
        "the image's CUDA compatibility libraries stand before the host's: set inference_server_env: {LD_LIBRARY_PATH: "
        "'/usr/lib/x86_64-linux-gnu:/usr/local/nvidia/lib64:/usr/local/cuda/lib64'} without VLLM_ENABLE_CUDA_COMPATIBILITY, or "
        "inference_server_gpu_access: runtime, so that --gpus and not CDI gives the GPUs",
    ),
    Cause(
        "gpus_taken_away",
        r"Failed to initialize NVML: Unknown Error",
        "a `systemctl daemon-reload` took the container's GPUs away: deploy again, which starts it again; the preflight's check "
        "daemon_reload says how the next one keeps them",
    ),
    Cause(
        "unknown_flag",
        r"unrecognized arguments?:|error: argument .*: (invalid|expected)|invalid choice:",
        "correct inference_server_extra_args; the last log lines name the flag",
    ),
    Cause(
        "shared_memory_full",
        None,
        "give the container more shared memory; with inference_server_release published it has the host's /dev/shm: free space there",
    ),
    Cause(
        "disk_full", r"No space left on device", "free space on the disk of Docker's data root and of the model cache"
    ),
    Cause(
        "gated_model",
        r"GatedRepoError|Access to model .* is restricted|401 Client Error|You must have access to it",
        "accept the model's licence on its page and give the host a token that may read it",
    ),
    Cause(
        "model_missing",
        r"RepositoryNotFoundError|is not a local folder and is not a valid model identifier|Repo id must be in the form"
        r"|OfflineModeIsEnabled|LocalEntryNotFoundError",
        "correct inference_server_model; a directory must be mounted with inference_server_volumes",
    ),
    Cause(
        "weights_damaged",
        r"SafetensorError|Error while deserializing header",
        "a weights file is incomplete: remove it from the model's directory or cache and fetch it again",
    ),
    Cause(
        "out_of_memory",
        r"MemoryError|Cannot allocate memory|std::bad_alloc|\bKilled\b",
        "give the host or the container more memory, or ask for less (vLLM on a CPU: VLLM_CPU_KVCACHE_SPACE)",
    ),
)


def recognise(lines: Sequence[str]) -> Cause | None:
    """The first known cause that the log names; None when it names none."""
    text = "\n".join(lines)
    return next((cause for cause in CAUSES if _is_named(cause, text)), None)


def first_error(lines: Sequence[str]) -> str | None:
    """The first exception among the lines that an engine logs as errors; None when there is none.

    Where one process fails because another did, the log ends with the second one's words ("See root cause above").
    """
    found = (re.search(r"\bERROR\b.*?[\s\]]((?:\w+\.)*\w*(?:Error|Exception): .+)", line) for line in lines)
    return next((match.group(1).strip() for match in found if match), None)


def _is_named(cause: Cause, text: str) -> bool:
    own = [engine.failure_texts.get(cause.name) for engine in ENGINES.values()]
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in (cause.pattern, *own) if pattern)
