"""bench_serve without Ansible: the same code, called in a process of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.base import (
    Measurement,
    OnTick,
    Session,
    observed,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.native import NativeClient
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.progress import Counts
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import make_settings
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.runner import (
    Run,
    new_run_id,
    run_benchmark,
    run_folder,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.target import Target
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import Access, parse_base_url

# The options of bench_serve that have no default of their own, and a small load.
OPTIONS: dict[str, Any] = {
    "workload": "smoke",
    "dataset": "random",
    "dataset_path": None,
    "input_tokens": None,
    "output_tokens": None,
    "range_ratio": 0.0,
    "prefix_tokens": 0,
    "num_prompts": None,
    "max_concurrency": None,
    "request_rate": "inf",
    "burstiness": "1",
    "endpoint_type": "openai-chat",
    "seed": 0,
    "salt": None,
    "ignore_eos": None,
    "sampling": {"temperature": 0.0, "top_p": 1.0},
    "continuous_usage": False,
    "warmup": 0,
    "sweep": None,
    "repeats": 1,
    "repeat_until": 0.0,
    "slo": {},
    "percentiles": [50, 90, 99],
    "workers": 0,
    "real_time": False,
    "timeouts": {},
    "validity": {},
}

# The other options of the module.
TASK_OPTIONS: dict[str, Any] = {
    **OPTIONS,
    "model": None,
    "client": "native",
    "vllm_command": None,
    "vllm_image": None,
    "vllm_tokenizer": None,
    "vllm_volumes": [],
    "api_key_file": None,
    "validate_certs": True,
    "ca_path": None,
    "server_fact": {},
    "state": "measured",
    "run_id": None,
    "wait": True,
    "on_disconnect": "continue",
}


def access_to(url: str, **more: Any) -> Access:
    return Access(parse_base_url(url), **more)


def go_on(phase: str, total: int, counts: Counts) -> bool:
    """Lets a load run to its end."""
    return True


def _session(access: Access, folder: Path, salt: str, options: dict[str, Any]) -> Session:
    settings, target = make_settings({**OPTIONS, **options}, salt=salt), Target(access)
    return Session(settings, access, target, target.inspect(None, settings.workload.endpoint_type), folder)


def measure(
    url: str, folder: Path, access: Access | None = None, on_tick: OnTick = go_on, **options: Any
) -> Measurement:
    """One measurement, with its records."""
    session = _session(access or access_to(url), folder, new_run_id(), options)
    try:
        return observed(NativeClient(session), session, "test", session.settings.workload.max_concurrency, on_tick)
    finally:
        session.target.close()


def benchmark(url: str, folder: Path, **options: Any) -> dict[str, Any]:
    """A whole run: the fact."""
    run_id = new_run_id()
    session = _session(access_to(url), run_folder(folder, run_id), run_id, options)
    client = NativeClient(session)
    client.verify()
    return run_benchmark(Run(run_id, session, folder, {}, ""), client, go_on)
