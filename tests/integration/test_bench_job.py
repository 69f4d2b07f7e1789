# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run is a detached job: it is joined, refused, cancelled and found dead."""

from __future__ import annotations

import os
import pwd
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.job import JobFolder
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.task import Task
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

from tests.support.bench import OPTIONS
from tests.support.simulator import Simulator, simulator

SLOW = {"decode_base_ms": 20.0, "frontend_ms": 0.1}  # a request of 100 tokens takes two seconds
LONG = {"input_tokens": 64, "output_tokens": 100, "num_prompts": 40, "max_concurrency": 4}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Simulator]:
    with simulator(tmp_path, timing=SLOW) as running:
        yield running


def task(server: Simulator, folder: Path, **options: Any) -> Task:
    params = {**OPTIONS, "base_url": server.url, "state_dir": str(folder / "state"), **LONG}
    return Task({**params, **options})


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(server: Simulator, folder: Path, **options: Any) -> tuple[str, JobFolder]:
    """A run that has begun to measure."""
    started = task(server, folder, wait=False, **options).act(False)
    job = JobFolder(Path(started["run_folder"]))
    until(lambda: job.progress()["state"] == "running")
    return started["run_id"], job


def test_a_run_is_joined_by_the_same_and_refuses_another(server: Simulator, tmp_path: Path) -> None:
    run_id, job = start(server, tmp_path)
    again = task(server, tmp_path, wait=False).act(False)
    assert again["run_id"] == run_id
    assert again["joined"]["started_by"].startswith(pwd.getpwuid(os.geteuid()).pw_name)
    assert again["joined"]["started_at"][:10].replace("-", "") == run_id[:8]
    different = (
        "which .* began at .*Z, .* other settings: num_prompts is 40 there and 7 here, seed is 0 there and 1 here"
    )
    with pytest.raises(UserError, match=different):
        task(server, tmp_path, num_prompts=7, seed=1).act(False)
    other_clients = {
        "client": "vllm",
        "vllm_command": ["x"],
        "vllm_image": "x",
        "vllm_tokenizer": "x",
        "vllm_volumes": ["/x:/x"],
    }
    others = {"validity": {"closure": 0.5}, "percentiles": [75], "model": "another", **other_clients}
    for options in ({name: value} for name, value in others.items()):
        with pytest.raises(UserError, match=f"other settings: {next(iter(options))}"):
            task(server, tmp_path, **options).act(False)
    with pytest.raises(UserError, match="Another load"):
        task(server, tmp_path, state_dir=str(tmp_path / "elsewhere")).act(False)
    localhost = server.url.replace("127.0.0.1", "localhost")
    assert task(server, tmp_path, base_url=localhost, state="cancelled").act(True)["run_id"] == run_id
    assert job.alive()
    task(server, tmp_path, state="cancelled").act(False)
    assert len(list((tmp_path / "state" / "runs").iterdir())) == 1


def test_a_cancelled_run_keeps_what_it_has(server: Simulator, tmp_path: Path) -> None:
    run_id, job = start(server, tmp_path)
    until(lambda: job.progress().get("done", 0) >= 4)
    result = task(server, tmp_path, state="cancelled").act(False)
    fact = result["benchmark"]
    assert (result["changed"], result["run_id"], fact["status"]) == (True, run_id, "invalid")
    assert "partial" in fact["reason"]
    assert 4 <= fact["metrics"]["completed"] < LONG["num_prompts"]
    assert fact["errors"]["cancelled"]["count"] <= LONG["max_concurrency"]
    until(lambda: not job.alive())
    assert task(server, tmp_path, state="cancelled").act(False) == {}


def test_a_run_ends_unattended_and_is_fetched_later(server: Simulator, tmp_path: Path) -> None:
    run_id, job = start(server, tmp_path, num_prompts=4, output_tokens=20)
    until(lambda: job.progress()["state"] == "done")
    result = task(server, tmp_path, run_id=run_id).act(False)
    assert result["benchmark"]["run_id"] == run_id
    assert result["benchmark"]["metrics"]["completed"] == 4
    with pytest.raises(UserError, match="no run"):
        task(server, tmp_path, run_id="20200101T000000Z-000000").act(False)


def test_a_run_without_a_waiting_caller_may_end(server: Simulator, tmp_path: Path) -> None:
    _, job = start(server, tmp_path, on_disconnect="cancel")
    long_ago = time.time() - 3600
    os.utime(job.path / "heartbeat", (long_ago, long_ago))
    until(lambda: job.progress()["state"] == "done")
    fact = job.fact()
    assert fact is not None
    assert fact["status"] != "ok"


def pids_of(job: JobFolder) -> list[int]:
    """The processes that have the job's log open: the job and its workers."""
    pids = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.readlink(process / "fd" / "1") == str(job.path / "job.log"):
                    pids.append(int(process.name))
            except OSError:
                continue
    return pids


def test_a_job_that_dies_is_found_out_and_takes_its_workers_along(server: Simulator, tmp_path: Path) -> None:
    run_id, job = start(server, tmp_path)
    parent = next(pid for pid in pids_of(job) if f"PPid:\t{pid}" in "".join(map(status, pids_of(job))))
    os.kill(parent, signal.SIGKILL)
    until(lambda: not job.alive())
    with pytest.raises(UserError, match="job died"):
        task(server, tmp_path, run_id=run_id).act(False)
    assert "benchmark" in task(server, tmp_path, num_prompts=4, output_tokens=8).act(False)


def test_the_note_of_a_dead_job_is_no_note(server: Simulator, tmp_path: Path) -> None:
    old = task(server, tmp_path, num_prompts=4, output_tokens=8).act(False)
    until(lambda: not JobFolder(tmp_path / "state" / "runs" / old["run_id"]).alive())
    _, job = start(server, tmp_path / "another", num_prompts=400)
    for options in ({"num_prompts": 4, "output_tokens": 8}, {"state": "cancelled"}):
        with pytest.raises(UserError, match="Another load"):
            task(server, tmp_path, **options).act(False)
    job.ask_to_stop()
    until(lambda: not job.alive())


def status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def test_sigterm_ends_a_job_in_order(server: Simulator, tmp_path: Path) -> None:
    run_id, job = start(server, tmp_path)
    parent = next(pid for pid in pids_of(job) if f"PPid:\t{pid}" in "".join(map(status, pids_of(job))))
    os.kill(parent, signal.SIGTERM)
    fact = task(server, tmp_path, run_id=run_id).act(False)["benchmark"]
    assert "partial" in fact["reason"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"max_concurrency": -1}, "max_concurrency is -1"),
        ({"model": "other"}, "serves: sim"),
        ({"input_tokens": 40_000}, "max_model_len"),
        ({"input_tokens": 3}, "no room"),
        ({"range_ratio": 0.95}, "no room"),
        ({"input_tokens": 20_000, "range_ratio": 0.9}, "max_model_len"),
        ({"input_tokens": 3, "endpoint_type": "openai", "num_prompts": 1000}, "cannot be made"),
        ({"api_key_file": "/nonexistent"}, "api_key_file"),
        ({"dataset": "file", "dataset_path": "/nonexistent"}, "cannot be read"),
    ],
)
def test_bad_input_sends_no_load(server: Simulator, tmp_path: Path, options: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError, match=part):
        task(server, tmp_path, **options).act(False)
    assert server.send_log.read_text() == ""
    assert not (tmp_path / "state").exists()


def test_check_mode_plans_and_sends_no_load(server: Simulator, tmp_path: Path) -> None:
    plan = task(server, tmp_path).act(True)["plan"]
    assert (plan["model"], plan["simulated"], plan["has_tokenize"]) == ("sim", True, True)
    assert plan["workload"]["num_prompts"] == LONG["num_prompts"]
    assert server.send_log.read_text() == ""
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [({"dataset": "file", "dataset_path": "/nonexistent"}, "cannot be read"), ({"input_tokens": 40_000}, "max_model")],
)
def test_check_mode_without_a_tokenizer(tmp_path: Path, options: dict[str, Any], part: str) -> None:
    with simulator(tmp_path, faults=[{"kind": "status,404", "path": "/tokenize"}]) as server:
        assert not task(server, tmp_path).act(True)["plan"]["has_tokenize"]
        with pytest.raises(UserError, match=part):
            task(server, tmp_path, **options).act(True)
        assert server.send_log.read_text() == ""


def test_relative_paths_hold_in_the_job(server: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prompts.jsonl").write_text('{"prompt": "Why?", "output_tokens": 4}\n')
    options = {"state_dir": "here", "dataset": "file", "dataset_path": "prompts.jsonl", "num_prompts": None}
    fact = task(server, tmp_path, **options).act(False)["benchmark"]
    assert fact["metrics"]["completed"] == 1
    assert Path(fact["record_path"]).is_relative_to(tmp_path / "here")


def test_a_run_that_is_cancelled_while_it_warms_up_measures_nothing(server: Simulator, tmp_path: Path) -> None:
    _, job = start(server, tmp_path, warmup=40)
    assert job.progress()["phase"] == "warmup"
    fact = task(server, tmp_path, state="cancelled").act(False)["benchmark"]
    assert (fact["status"], fact["metrics"]["completed"]) == ("failed", 0)
    assert "cancelled" in fact["reason"]
    assert {name.split("-")[0] for name in server.sent()} == {"warmup"}


def test_a_wrong_key(tmp_path: Path) -> None:
    (tmp_path / "right").write_text("right\n")
    (tmp_path / "wrong").write_text("wrong\n")
    with simulator(tmp_path, api_key_file=str(tmp_path / "right")) as server:
        for key, part in ((None, "asks for an API key"), ("wrong", "refuses the API key")):
            with pytest.raises(UserError, match=part):
                task(server, tmp_path, api_key_file=key and str(tmp_path / key)).act(False)
        quick = {"num_prompts": 2, "output_tokens": 4, "api_key_file": str(tmp_path / "right")}
        fact = task(server, tmp_path, **quick).act(False)["benchmark"]
        assert fact["metrics"]["completed"] == 2
        assert "right" not in str({**fact, "provenance": None, "record_path": None})
