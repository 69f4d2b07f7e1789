# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a server died, read from its log: the known causes, the texts that name each, its remedy, and the server's own words for it. Pure.

The texts here are those of programs that every engine uses; an engine's own are `failure_texts` in `_engines/`.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Iterable, Iterator, NamedTuple, Sequence

from .._engines.table import ENGINES
from .._errors import ANOTHER_PORT


class Cause(NamedTuple):
    """A known cause: its name, what the log says whichever the engine (None: each engine has its own words), and what to do.

    `in_process` is what to do where the server is a process instead of a container, if that is something else.
    """

    name: str
    pattern: str | None
    remedy: str
    in_process: str = ""

    def remedy_for(self, runtime: str) -> str:
        """What to do on that runtime."""
        return self.in_process if runtime == "process" and self.in_process else self.remedy


def _options(field: str) -> str:
    """An engine's option for something, of each engine that has one: `vLLM: --max-model-len, SGLang: --context-length`."""
    named = ((engine.title, getattr(engine, field)) for engine in ENGINES.values())
    return ", ".join(f"{title}: {option}" for title, option in named if option)


_SHM = r"(?<![\w./-])/dev/shm/"
_CACHE = r"(/\.(cache|triton|config)\b|huggingface|/hub/(models--|\.locks))"

# Order matters: the first match wins, so the more exact texts stand first.
CAUSES = (
    Cause(
        "inner_port_taken",
        r"failed to listen on any local network address|ZMQError: Address already in use",
        "another program holds a port that the engine's processes use among themselves, not inference_server_port: deploy again, for "
        "most take another one then; or stop what listens there (ss -ltnp)",
    ),
    Cause(
        "port_taken",
        r"address already in use|Errno 98\b",
        f"stop what holds the port, or {ANOTHER_PORT}",
    ),
    Cause(
        "key_unreadable",
        r"the API key's file cannot be read or is empty|(Permission denied|Is a directory): '/run/secrets/llmfleet_api_key'",
        "the file of inference_server_api_key_file must hold a key that the container's user (inference_server_user) may read",
    ),
    Cause(
        "memory_share_too_small",
        None,
        "the weights leave the cache too little of the memory share: raise it in inference_server_extra_args "
        f"({_options('memory_share_flag')}), or ask for fewer requests at once or a shorter context",
    ),
    Cause(
        "gpu_memory",
        r"(CUDA|HIP) out of memory|torch\.(cuda\.)?OutOfMemoryError|CUDA (driver )?error: out of memory|CUBLAS_STATUS_ALLOC_FAILED",
        f"stop other programs on the GPU, or lower the memory share ({_options('memory_share_flag')})",
    ),
    Cause(
        "context_too_long",
        None,
        f"set a shorter context in inference_server_extra_args ({_options('context_flag')}): the model's own at most, and one "
        "for which the cache has memory",
    ),
    Cause(
        "attention_backend",
        None,
        "take --attention-backend out of inference_server_extra_args: the engine then chooses one that the model can use",
    ),
    Cause(
        "driver_libraries_mixed",
        r"(?-i:Error 80[34]: )|unsupported display driver / cuda driver combination|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"
        r"|forward compatibility was attempted on non supported HW|CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
        "the image's CUDA compatibility libraries stand before the host's: set inference_server_env: {LD_LIBRARY_PATH: "
        "'/usr/lib/x86_64-linux-gnu:/usr/local/nvidia/lib64:/usr/local/cuda/lib64'} without VLLM_ENABLE_CUDA_COMPATIBILITY, or "
        "inference_server_gpu_access: runtime, so that --gpus and not CDI gives the GPUs",
        "another driver's libraries come before the host's: correct LD_LIBRARY_PATH in inference_server_env",
    ),
    Cause(
        "fabric_manager",
        r"(?-i:Error 802: )|CUDA error: system not yet initialized|CUDA_ERROR_SYSTEM_NOT_READY",
        "start the fabric manager of the driver's version: systemctl enable --now nvidia-fabricmanager",
    ),
    Cause(
        "driver_changed",
        r"Driver/library version mismatch|NVML/RM version mismatch",
        "the driver was upgraded while its old module is loaded: reboot the host",
    ),
    Cause(
        "gpus_taken_away",
        r"Failed to initialize NVML: Unknown Error",
        "a `systemctl daemon-reload` took the container's GPUs away: deploy again, which starts it again; the preflight's check "
        "daemon_reload says how the next one keeps them",
        "the driver has lost the GPUs: see nvidia-smi and dmesg on the host, and reboot it",
    ),
    Cause(
        "gpu_not_supported",
        r"no kernel image is available for execution on the device|ptxas fatal\s*: Value 'sm_\w+' is not defined",
        "this build of the engine is not for this GPU: set inference_server_image to an image of a CUDA release that knows it",
        "this build of the engine is not for this GPU: install one of a CUDA release that knows it",
    ),
    Cause(
        "driver_too_old",
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|unsatisfied condition: cuda",
        "upgrade the NVIDIA driver, or set inference_server_image to an image of the CUDA 12 family",
        "upgrade the NVIDIA driver, or install a build of the engine for the CUDA release that it runs",
    ),
    Cause(
        "unknown_flag",
        r"unrecognized arguments?:|error: argument .*: (invalid|expected)|invalid choice:",
        "correct inference_server_extra_args; the last log lines name the flag",
    ),
    Cause(
        "shared_memory_full",
        rf"{_SHM}.*No space left on device|No space left on device.*{_SHM}|Error while \w+ shared memory segment {_SHM}"
        r"|unable to \w+( \d+ bytes)?( from| to)? file </torch_|insufficient shared memory",
        "give the container more shared memory; with inference_server_release published it has the host's /dev/shm: free space there",
        "free space in the host's /dev/shm",
    ),
    Cause(
        "disk_full",
        r"No space left on device",
        "free space on the disk of Docker's data root and of the model cache",
        "free space on the disks of the state folder and of the model cache",
    ),
    Cause(
        "gated_model",
        r"GatedRepoError|Access to model .* is restricted|Cannot access gated repo|401 Client Error|Client error '401 "
        r"|You must have access to it",
        "accept the model's licence on its page and give the host a token that may read it",
    ),
    Cause(
        "hub_refuses",
        r"429 Client Error|Client error '429 |Too Many Requests for url|rate limit your IP",
        "the hub answers too many requests from this address: give the host a token of the hub, or try again later",
    ),
    Cause(
        "cache_not_writable",
        rf"(PermissionError|Permission denied|Read-only file system)\b.*{_CACHE}",
        "the server's user (inference_server_user) may not write to a cache: give it the folder of inference_server_hf_cache_dir; for a "
        "path outside of that, such as /.cache, set HOME in inference_server_env to a folder that it may write to",
        "the user of the playbook may not write to a cache: give it the folder, or set HF_HOME or HOME in inference_server_env",
    ),
    Cause(
        "model_missing",
        r"RepositoryNotFoundError|is not a local folder and is not a valid model identifier|Repo id must be in the form"
        r"|OfflineModeIsEnabled|LocalEntryNotFoundError",
        "correct inference_server_model; a directory must be mounted with inference_server_volumes",
        "correct inference_server_model: a directory must be on the host, and without the hub its weights in the cache",
    ),
    Cause(
        "model_unknown",
        r"Transformers does not recognize this architecture|Model architectures .* (are not supported|failed to be inspected)"
        r"|Unrecognized model in |has no \w+ implementation and the Transformers implementation is not compatible",
        "this release of the engine does not know the model: take a newer one (inference_server_image)",
        "this release of the engine does not know the model: install a newer one",
    ),
    Cause(
        "weights_damaged",
        r"SafetensorError|Error while deserializing header",
        "a weights file is incomplete: remove it from the model's directory or cache and fetch it again",
    ),
    Cause(
        "too_many_files",
        r"Too many open files(?!`)",  # vLLM warns of it at each start, in backquotes
        "raise the limit: nofile in inference_server_ulimits",
        "raise the limit of open files (ulimit -n) of the user of the playbook",
    ),
    Cause(
        "out_of_memory",
        # A shell says that its program was killed; a request that a client killed is none.
        r"\bMemoryError\b|_ArrayMemoryError|Cannot allocate memory|std::bad_alloc|(?-i:^\s*Killed\s*$|: line \d+:\s+\d+ Killed\b)",
        "give the host or the container more memory, or ask for less (vLLM on a CPU: VLLM_CPU_KVCACHE_SPACE)",
        "give the host more memory, or ask for less (vLLM on a CPU: VLLM_CPU_KVCACHE_SPACE)",
    ),
)

# A line of these levels names no cause: what it speaks of was tried again, or done without. The level stands first, behind the
# names of processes and the time (vLLM, SGLang, uvicorn), or before the place (glog); Python names the kind of a warning.
_QUIET = re.compile(r"(?:[(\[][^)\]]*[)\]]\s*)*(?:DEBUG|INFO|WARNING)\b|\[[IW]\d{4} |\S+:\d+: \w+Warning: ")
_ERROR = re.compile(r"(?:^|[\s\]])((?:[\w.]*(?:Error|Exception)|[\w./-]+(?: [\w-]+)?: error): \S.*)")


def recognise(lines: Sequence[str]) -> Cause | None:
    """The first known cause that the log names; None when it names none. A line that only informs or warns names none."""
    serious = _serious(lines)
    return next((cause for cause in CAUSES if any(_is_named(cause, line) for line in serious)), None)


def own_words(lines: Sequence[str], cause: Cause | None) -> str:
    """What the server itself says of its end: its last error, first of all of the known cause; without one its last line.

    Errors that only follow from another one are left out (`consequences` in `_engines/`). Empty without a log.
    """
    latest_first = _serious(lines)[::-1]
    of_the_cause = [line for line in latest_first if cause and _is_named(cause, line)]
    found = chain(_errors(of_the_cause), of_the_cause, _errors(latest_first), reversed(lines))
    return next(found, "").strip()


def _serious(lines: Sequence[str]) -> list[str]:
    """The lines that do more than inform or warn."""
    return [line for line in lines if not _QUIET.match(line)]


def _errors(lines: Iterable[str]) -> Iterator[str]:
    found = (_ERROR.search(line) for line in lines)
    consequences = [engine.consequences for engine in ENGINES.values() if engine.consequences]
    texts = (match.group(1).strip() for match in found if match)
    return (text for text in texts if not any(re.search(pattern, text) for pattern in consequences))


def _is_named(cause: Cause, line: str) -> bool:
    own = [engine.failure_texts.get(cause.name) for engine in ENGINES.values()]
    return any(re.search(pattern, line, re.IGNORECASE) for pattern in (cause.pattern, *own) if pattern)
