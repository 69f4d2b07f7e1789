# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs on one server, and a run after one that was interrupted: never both, and never a dead one in the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Fleet
from .test_bench import rows
from .test_deploy import served_names

LOADS = {"startup_delay_s": 600}  # a server that is not ready as long as a test lasts


def lock_of(fleet: Fleet) -> Path:
    return fleet.folder / "state" / "one" / "lock.json"


def until(condition: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@contextmanager
def running(fleet: Fleet, playbook: str = "deploy.yml", **variables: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A playbook of another terminal that has the server's lock and has started the server."""
    fleet.write()
    log = fleet.folder / "other.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(Path(sys.executable).parent / "ansible-playbook", "-i", fleet.inventory),
                *("-e", json.dumps(variables), ROOT / "playbooks" / playbook),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: lock_of(fleet).exists() and server_started(fleet), process, log)
        yield process
    finally:
        end(process, signal.SIGKILL)
        orphans = subprocess.run(["pgrep", "-f", str(fleet.inventory)], capture_output=True, check=False, text=True)
        for pid in orphans.stdout.split():  # the tasks of a playbook that was killed go on
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def server_started(fleet: Fleet) -> bool:
    return (fleet.folder / "state" / "one" / "llmfleet-server" / "process.json").exists()


def end(process: subprocess.Popen[bytes], number: int) -> None:
    """Ends a playbook and its tasks, as a terminal does."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
    process.wait(60)


def test_a_second_run_is_refused_with_who_and_the_command_that_it_prints_works(fleet: Fleet) -> None:
    fleet.add("one")
    with running(fleet, inference_server_simulator=LOADS):
        refused = fleet.play("deploy.yml", inference_server_lock_wait_s=0)
        message = refused.failures("one")
        assert refused.rc != 0
        assert "Deploy the inference servers of " in message and "since 20" in message
        assert str(lock_of(fleet)) in message
        command = re.search(r"-e (inference_server_lock_takeover)=(\S+)", message)
        assert command, message
        assert fleet.play("teardown.yml", inference_server_lock_wait_s=0).rc != 0
        assert fleet.play("rollback.yml", inference_server_lock_wait_s=0).rc != 0
        assert server_started(fleet)
        checked = fleet.play("deploy.yml", check=True)
        assert checked.rc == 0, checked.output
        taken = fleet.play("deploy.yml", **{command[1]: command[2]})
        assert taken.rc == 0, taken.output
        assert "takes the server over from Deploy the inference servers of" in " ".join(taken.output.split())
    assert not lock_of(fleet).exists()


def test_a_second_run_waits_for_the_first_and_goes_by_what_that_left(fleet: Fleet) -> None:
    fleet.add("one")
    with running(fleet, inference_server_simulator={"startup_delay_s": 5}) as first:
        second = fleet.play(
            "deploy.yml", inference_server_simulator={"startup_delay_s": 5}, inference_server_lock_wait_s=300
        )
        assert first.wait(120) == 0, (fleet.folder / "other.log").read_text()
    assert (second.rc, second.changed("one")) == (0, 0), second.output
    assert not lock_of(fleet).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_after_an_interrupted_run_the_next_one_works_at_once(fleet: Fleet, number: int) -> None:
    fleet.add("one")
    with running(fleet, inference_server_simulator=LOADS) as first:
        end(first, number)
        assert lock_of(fleet).exists()
        again = fleet.play("deploy.yml", inference_server_lock_wait_s=0)
    assert again.rc == 0, again.output
    assert served_names(fleet.hosts["one"][1]["inference_server_port"]) == ["lfm25_8b_a1b"]
    assert not lock_of(fleet).exists()
    assert fleet.play("deploy.yml").changed("one") == 0


def test_a_run_that_fails_gives_the_server_back(fleet: Fleet) -> None:
    fleet.add("one")
    assert fleet.play("deploy.yml", inference_server_simulator={"no_such_option": 1}).rc != 0
    assert not lock_of(fleet).exists()
    assert fleet.play("deploy.yml").rc == 0
    assert fleet.play("deploy.yml", inference_server_simulator={"no_such_option": 1}).rc != 0  # and goes back
    assert not lock_of(fleet).exists()


def test_a_file_that_is_no_lock_is_refused_with_the_command_that_mends_it(fleet: Fleet) -> None:
    fleet.add("one")
    lock_of(fleet).parent.mkdir(parents=True)
    lock_of(fleet).write_text("mine")
    message = fleet.play("deploy.yml").failures("one")
    command = re.search(r"rm (\S+/lock\.json)", message)
    assert command, message
    Path(command[1]).unlink()
    assert fleet.play("deploy.yml").rc == 0


def test_teardown_and_rollback_leave_no_lock(fleet: Fleet) -> None:
    fleet.add("one")
    assert fleet.play("rollback.yml").rc != 0
    assert list((fleet.folder / "state").rglob("*")) == []
    assert fleet.play("deploy.yml").rc == 0
    assert fleet.play("deploy.yml", inference_server_served_model_name="another").rc == 0
    assert fleet.play("rollback.yml").rc == 0
    assert not lock_of(fleet).exists()
    assert fleet.play("teardown.yml").rc == 0
    assert not lock_of(fleet).exists()


SLOW = {"timing": {"decode_base_ms": 20.0, "frontend_ms": 0.1}}


def test_a_benchmark_keeps_the_server_from_changes_until_it_ends(fleet: Fleet) -> None:
    fleet.add("one")
    assert fleet.play("deploy.yml", inference_server_simulator=SLOW).rc == 0
    long = {"benchmark_num_prompts": 5000, "benchmark_output_tokens": 64}
    with running(fleet, "bench.yml", **long) as benchmark:
        refused = fleet.play("deploy.yml", inference_server_simulator=LOADS, inference_server_lock_wait_s=0)
        message = refused.failures("one")
        assert refused.rc != 0 and "another run has this server: benchmark of " in message
        assert "-e benchmark_state=cancelled of the playbook bench.yml" in message
        fleet.play("bench.yml", benchmark_state="cancelled")
        benchmark.wait(120)
    assert not lock_of(fleet).exists()
    assert fleet.play("deploy.yml", inference_server_simulator=SLOW).changed("one") == 0


def test_a_server_that_a_run_changes_is_not_measured(fleet: Fleet) -> None:
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    with running(fleet, inference_server_simulator=LOADS) as deployment:
        refused = fleet.play("bench.yml")
        assert refused.rc != 0
        assert "another run has this server: Deploy the inference servers of" in rows(fleet.report())["one"]["reason"]
        end(deployment, signal.SIGINT)
        after = fleet.play("bench.yml")  # the run is dead, and so is the server that it started
        assert "another run" not in (rows(fleet.report())["one"]["reason"] or ""), after.output
    assert fleet.play("deploy.yml").rc == 0
