# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

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
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import ARGUMENT_SPEC, make_settings
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.runner import (
    Run,
    new_run_id,
    run_benchmark,
    run_folder,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.target import Target
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import Access, parse_base_url

# The module's options as its defaults leave them, but for a load that is small and has no warm-up.
OPTIONS: dict[str, Any] = {
    **{name: declared.get("default") for name, declared in ARGUMENT_SPEC.items()},
    "workload": "smoke",
    "warmup": 0,
}

# Limits that let a client be late: server, client and Ansible share the test machine. What the limits mean has tests of its own.
TOLERANT: dict[str, Any] = {
    "coalesced_share": 1,
    "loop_lag_ms": 10_000,
    "closure": 1,
    "cpu_share": 2,
    "cpu_wait_share": 1,
    "send_lag_ms": 10_000,
}


def access_to(url: str, **more: Any) -> Access:
    return Access(parse_base_url(url), **more)


def go_on(phase: str, total: int, counts: Counts) -> bool:
    """Lets a load run to its end."""
    return True


def _session(access: Access, folder: Path, salt: str, options: dict[str, Any]) -> Session:
    settings = make_settings({**OPTIONS, **options}, salt=salt)
    target = Target(access, settings.timeouts.control_s)
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
