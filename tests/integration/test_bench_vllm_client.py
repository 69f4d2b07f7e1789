# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client `vllm` around a command that behaves as `vllm bench serve` does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.task import Task
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

from tests.support.bench import OPTIONS
from tests.support.simulator import Simulator, simulator
from tests.support.small_disk import small_disk

FAKE = Path(__file__).resolve().parents[1] / "support" / "fake_vllm.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Simulator]:
    with simulator(tmp_path) as running:
        yield running


KEY = "c4nary-Key-0123456789"
# Stands for `docker`: writes down what a list of processes and `docker inspect` would show, and runs the entry point.
DOCKER = f"""#!{sys.executable}
import json, os, sys
words = sys.argv[1:]
at = words.index("an-image")
with open(os.environ["FAKE_DOCKER_SEEN"], "w") as seen:
    json.dump({{"argv": words, "environment": dict(os.environ)}}, seen)
entry = words[words.index("--entrypoint") + 1]
os.execvp(entry, [entry, *words[at + 1 :]])
"""


def secured(folder: Path) -> AbstractContextManager[Simulator]:
    (folder / "key").write_text(KEY + "\n")
    return simulator(folder, api_key_file=str(folder / "key"))


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` on the path, with a `vllm` in its image; the file is what others saw of it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    vllm = f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n'
    for name, text in {"docker": DOCKER, "vllm": vllm}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER_SEEN", str(tmp_path / "seen.json"))
    return tmp_path / "seen.json"


def run(server: Simulator, folder: Path, **options: Any) -> dict[str, Any]:
    params = {
        **OPTIONS,
        "base_url": server.url,
        "client": "vllm",
        "vllm_command": [sys.executable, str(FAKE)],
        "vllm_tokenizer": "/model",
        "state_dir": str(folder / "state"),
        "validity": {"counter_mismatch": 1},  # the command sends nothing
        **options,
    }
    return Task(params).act(False)


def test_its_result_in_our_schema(server: Simulator, tmp_path: Path) -> None:
    fact = run(server, tmp_path)["benchmark"]
    assert (fact["status"], fact["client"]["name"], fact["strict"]) == ("ok", "vllm", None)
    assert (fact["metrics"]["completed"], fact["metrics"]["total_output_tokens"]) == (16, 512)
    assert (fact["metrics"]["p99_itl_ms"], fact["metrics"]["per_user_output_throughput"]) == (4.0, 250.0)
    assert (Path(fact["record_path"]).parent / "vllm-run-1.json").exists()


_POWER = """#!{python}
import pathlib, time
while True:
    now = time.time()
    stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now)) + f".{{int(now % 1 * 1000):03}}"
    print(f"{{stamp}}, GPU-a, 8.0, {{pathlib.Path({file!r}).read_text() or 545}}, 1980, 60, 0x0", flush=True)
    time.sleep(0.1)
"""


def test_the_energy_of_a_load_leaves_its_clients_start_out(
    server: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command needs a second before it sends anything, while the GPU draws 70 W; in the load it draws 545 W."""
    power, program = tmp_path / "power", tmp_path / "bin" / "nvidia-smi"
    power.write_text("70")
    program.parent.mkdir()
    program.write_text(_POWER.format(python=sys.executable, file=str(power)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.setenv("FAKE_VLLM_SLEEP", "1.5")
    monkeypatch.setenv("FAKE_VLLM_POWER", str(power))
    energy = run(server, tmp_path)["benchmark"]["energy"]
    assert energy["mean_power_w"] == pytest.approx(545, rel=0.1)
    assert energy["energy_j"] == pytest.approx(energy["mean_power_w"] * 1.5, rel=1e-6)


def test_every_run_has_a_seed_of_its_own(server: Simulator, tmp_path: Path) -> None:
    logs = [Path(run(server, tmp_path)["benchmark"]["record_path"]).parent / "vllm.log" for _ in range(2)]
    seeds = [log.read_text().split("--seed ")[1].split()[0] for log in logs]
    assert seeds[0] != seeds[1]
    assert "--endpoint /v1/chat/completions" in logs[0].read_text()


def test_exit_status_zero_is_not_enough(server: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_VLLM_FAIL", "1")
    fact = run(server, tmp_path)["benchmark"]
    assert (fact["status"], fact["errors"]["request_failed"]["count"]) == ("failed", 16)


def test_no_result_is_explained_by_its_log(server: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_VLLM_NOTHING", "1")
    with pytest.raises(UserError, match="no such tokenizer"):
        run(server, tmp_path)


def test_what_its_log_says_before_the_cause_stands_behind_it(server: Simulator, tmp_path: Path) -> None:
    command = ["sh", "-c", "echo 'no tokenizer.json'; echo 'ValueError: no such tokenizer'; exit 1"]
    with pytest.raises(
        UserError, match=r"It ended with: ValueError: no such tokenizer \(before it: .*no tokenizer\.json"
    ):
        run(server, tmp_path, vllm_command=command)


def test_no_result_on_a_full_disk_is_explained_by_the_disk(
    server: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VLLM_NOTHING", "1")
    with small_disk(tmp_path / "small") as disk:
        if disk is None:
            pytest.skip("mounts a file system, which takes root")
        monkeypatch.setenv("FAKE_VLLM_FILLS", str(disk))
        with pytest.raises(UserError, match=r"disk of .* is full"):
            run(server, tmp_path, state_dir=str(disk / "state"))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"vllm_command": None}, "image"),
        ({"dataset": "file", "dataset_path": str(FAKE)}, "dataset"),
        ({"input_tokens": 32_700}, "max_model_len"),
        ({"input_tokens": 17_010, "range_ratio": 0.92}, "max_model_len"),
        ({"vllm_command": ["no-such-vllm"]}, "no-such-vllm"),
    ],
)
def test_what_it_cannot_do(server: Simulator, tmp_path: Path, options: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError, match=part):
        run(server, tmp_path, **options)
    assert server.send_log.read_text() == ""


@pytest.mark.parametrize("fault", ["", "FAKE_VLLM_FAIL", "FAKE_VLLM_NOTHING"])
def test_the_key_reaches_the_container_and_is_seen_nowhere(
    tmp_path: Path, container: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault:
        monkeypatch.setenv(fault, "1")
    options = {"vllm_command": None, "vllm_image": "an-image", "api_key_file": str(tmp_path / "key")}
    with secured(tmp_path) as server:
        try:
            said = json.dumps(run(server, tmp_path, **options))
        except UserError as error:
            said = str(error)
    if fault != "FAKE_VLLM_NOTHING":
        assert json.loads(next(tmp_path.rglob("vllm-run-1.json")).read_text())["key_has"] == len(KEY)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != tmp_path / "key"]
    assert container in files
    assert [str(path) for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in said


def test_a_vllm_of_the_host_has_the_key_too(tmp_path: Path) -> None:
    with secured(tmp_path) as server:
        fact = run(server, tmp_path, api_key_file=str(tmp_path / "key"))["benchmark"]
    result = Path(fact["record_path"]).parent / "vllm-run-1.json"
    assert json.loads(result.read_text())["key_has"] == len(KEY)
