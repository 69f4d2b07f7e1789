# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that answers its load and then holds what asks it for its counters: the run ends, by itself or when it is told to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.job import JobFolder
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.task import Task

from tests.support.bench import OPTIONS
from tests.support.hostile_server import GOOD, HostileServer, Peer, answer, hostile_server

LOAD: dict[str, Any] = {"input_tokens": 64, "output_tokens": 8, "num_prompts": 6, "max_concurrency": 2}
METRICS = answer(b"vllm:prompt_tokens_total 1\nvllm:generation_tokens_total 1\n")


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """`/metrics` is answered once, before the load; after it one byte a second comes."""
    questions = []

    def metrics(peer: Peer) -> None:
        questions.append(peer)
        peer.send(METRICS) if len(questions) == 1 else peer.drip(METRICS * 100, 1.0)

    with hostile_server({**GOOD, "/metrics": metrics}) as running:
        yield running


def task(server: HostileServer, folder: Path, **options: Any) -> Task:
    return Task({**OPTIONS, "base_url": server.url, "state_dir": str(folder / "state"), **LOAD, **options})


def hanging_job(server: HostileServer, folder: Path) -> JobFolder:
    """A run whose load has ended, and which asks for the counters since."""
    job = JobFolder(Path(task(server, folder, wait=False).act(False)["run_folder"]))
    until(lambda: [path for path, _headers in server.asked].count("/metrics") == 2)
    time.sleep(0.5)
    assert job.alive()
    return job


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def job_of(log: Path) -> int:
    """The process that has the log open."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.readlink(process / "fd" / "1") == str(log):
                    return int(process.name)
            except OSError:
                continue
    raise AssertionError("no job")


def test_a_run_that_hangs_in_its_end_is_over_at_its_limit(server: HostileServer, tmp_path: Path) -> None:
    began = time.monotonic()
    fact = task(server, tmp_path, timeouts={"control_s": 1}).act(False)["benchmark"]
    assert time.monotonic() - began < 5
    assert (fact["metrics"]["completed"], fact["server_counters"]["generation_tokens"]) == (LOAD["num_prompts"], None)


@pytest.mark.parametrize("how", ["sigterm", "cancelled"])
def test_a_run_that_hangs_in_its_end_can_be_ended_and_frees_the_server(
    server: HostileServer, tmp_path: Path, how: str
) -> None:
    job = hanging_job(server, tmp_path)
    began = time.monotonic()
    if how == "sigterm":
        os.kill(job_of(job.path / "job.log"), signal.SIGTERM)
    else:
        threading.Thread(target=task(server, tmp_path, state="cancelled").act, args=(False,)).start()
    until(lambda: not job.alive(), 5)
    assert time.monotonic() - began < 5
    server.behaviours["/metrics"] = GOOD["/metrics"]
    again = task(server, tmp_path).act(False)["benchmark"]
    assert again["metrics"]["completed"] == LOAD["num_prompts"]
