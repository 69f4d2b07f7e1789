# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One real vLLM from its first deployment to its end: unchanged, broken and taken back, changed, doubled, removed."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Fleet, Outcome
from tests.support.checkpoint import ensure_checkpoint
from tests.support.docker_engine import docker
from tests.support.progress import say

from .conftest import HOST, Host, free_port

NAME = "llmfleet-e2e-life"
SERVED = "lfm25_8b_a1b"
MODULE_CALLS = 20
BACK_S = 60  # on a machine that does nothing else: the way back is one start of the engine
BUSY = 3  # how many times slower a machine of the tests may be
EAGER = ["--enforce-eager"]  # vLLM on a CPU compiles anew at each start; what it serves is the same


class Life(Fleet):
    """The host of the other tests here, played through ansible-runner, which tells what each task did and when."""

    def play(self, playbook: str, **extra: object) -> Outcome:
        say(f"{playbook} {extra or ''} ...")
        began = time.monotonic()
        outcome = super().play(playbook, **extra)
        say(f"{playbook}: {time.monotonic() - began:.1f} s, changed={outcome.changed(HOST)}, rc={outcome.rc}")
        return outcome

    @property
    def port(self) -> int:
        return int(self.hosts[HOST][1]["inference_server_port"])


def container(name: str = NAME) -> str:
    """Which container it is and when it was started; another answer after it was replaced."""
    return docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name)


def chats(port: int) -> bool:
    """Whether the server lists its model and answers a chat."""
    url = f"http://127.0.0.1:{port}/v1"
    with urllib.request.urlopen(f"{url}/models", timeout=10) as answer:
        listed = [entry["id"] for entry in json.loads(answer.read())["data"]]
    asked = {"model": SERVED, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(asked).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return listed == [SERVED] and len(json.loads(answer.read())["choices"]) == 1


@pytest.fixture(scope="module")
def life(image: str, work_dir: Path) -> Iterator[Life]:
    """A deployed server; whatever is left of it is removed at the end."""
    folder = work_dir / "life"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    made = Life(folder)
    host = Host(folder, image, ensure_checkpoint(image, work_dir), NAME, free_port())
    made.add(HOST, "cpu", **host.variables(), inference_server_extra_args=EAGER)
    try:
        deployed = made.play("deploy.yml")
        assert deployed.rc == 0, deployed.output
        yield made
    finally:
        left = docker("ps", "--all", "--quiet", "--filter", f"name={NAME}").split()
        if left:
            docker("rm", "--force", *left)


def test_a_second_run_changes_nothing(life: Life) -> None:
    before = container()
    again = life.play("deploy.yml")
    assert (again.rc, again.changed(HOST)) == (0, 0), again.output
    assert container() == before
    assert chats(life.port)
    assert len(again.module_calls(HOST)) <= MODULE_CALLS, again.module_calls(HOST)


def test_what_the_engine_refuses_is_taken_back(life: Life) -> None:
    before = container()
    broken = life.play("deploy.yml", inference_server_extra_args=[*EAGER, "--max-model-len", "1000000"])
    told = broken.failures(HOST)
    say(f"from the failure to the end of the way back: {broken.failed_for_s():.1f} s (target {BACK_S} s)")
    assert broken.rc != 0
    assert "Known cause: context_too_long" in told and "User-specified max_model_len" in told
    assert "answers again" in told
    assert chats(life.port)
    assert broken.failed_for_s() < BUSY * BACK_S
    assert container() != before


def test_a_changed_flag_starts_another_server_and_a_second_one_stands_beside_it(life: Life) -> None:
    before = container()
    changed = life.play("deploy.yml", inference_server_extra_args=[*EAGER, "--seed", "7"], inference_server_instances=2)
    assert changed.rc == 0, changed.output
    assert changed.changed(HOST) == 2  # the containers and the facts
    assert container() != before
    assert chats(life.port) and chats(life.port + 1)
    fact = json.loads((life.folder / "state" / "facts.d" / "llmfleet_server.fact").read_text())
    assert fact["argv"][-3:] == [*EAGER, "--seed", "7"]
    assert 0 < fact["phases"]["load_s"] < fact["phases"]["ready_s"] == fact["ready_s"]
    assert fact["phases"]["image_s"] is None  # it was there
    say(f"phases of the start: {fact['phases']}")
    assert [instance["port"] for instance in fact["instances"]] == [life.port, life.port + 1]


def test_it_is_taken_away_once(life: Life) -> None:
    assert life.play("teardown.yml").changed(HOST) > 0
    assert docker("ps", "--all", "--quiet", "--filter", f"name={NAME}") == ""
    again = life.play("teardown.yml")
    assert (again.rc, again.changed(HOST)) == (0, 0), again.output
