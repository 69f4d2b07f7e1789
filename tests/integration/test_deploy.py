# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as server_process

from .conftest import ROOT


def files_below(folder):
    return sorted(str(path) for path in folder.rglob("*")) if folder.exists() else []


def fact_of(fleet, host):
    return json.loads((fleet.folder / "state" / host / "facts.d" / "llmfleet_server.fact").read_text())


def pid_of(fleet, host):
    return json.loads((fleet.folder / "state" / host / "llmfleet-server" / "process.json").read_text())["pid"]


def test_a_limit_touches_that_class_alone_and_a_second_run_changes_nothing(fleet):
    fleet.add("one", "h100")
    fleet.add("two", "a100")
    first = fleet.play("deploy.yml", limit="h100")
    assert first.rc == 0, first.output
    assert "two" not in first.stats["ok"]
    assert not (fleet.folder / "state" / "two").exists()
    assert first.changed("one") == 2  # the process and the fact
    again = fleet.play("deploy.yml", limit="h100")
    assert again.rc == 0, again.output
    assert again.changed("one") == 0
    assert len(again.module_calls("one")) <= 20


def test_a_changed_choice_restarts_and_a_killed_server_comes_back(fleet):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    first = pid_of(fleet, "one")
    changed = fleet.play("deploy.yml", options="--diff", inference_server_served_model_name="another")
    assert changed.rc == 0, changed.output
    assert "one: llmfleet-server is replaced: files simulator.json" in changed.output
    second = pid_of(fleet, "one")
    assert second != first
    os.kill(second, 9)
    repaired = fleet.play("deploy.yml", inference_server_served_model_name="another")
    assert repaired.rc == 0, repaired.output
    assert pid_of(fleet, "one") != second


def test_check_mode_predicts_and_writes_nothing(fleet):
    fleet.add("one")
    planned = fleet.play("deploy.yml", check=True)
    assert planned.rc == 0, planned.output
    assert planned.changed("one") == 2
    assert files_below(fleet.folder / "state") == []
    assert fleet.play("deploy.yml").rc == 0
    kept = fleet.play("deploy.yml", check=True)
    assert kept.rc == 0, kept.output
    assert kept.changed("one") == 0


@pytest.mark.parametrize(
    ("choice", "wording"),
    [
        ({"inference_server_backend": "vlm"}, "vllm, sglang, simulator"),
        ({"inference_server_tensor_parallel_size": -1}, "inference_server_tensor_parallel_size"),
        ({"inference_server_port": 0}, "1 to 65535"),
        ({"inference_server_bind_address": "0.0.0.0"}, "inference_server_api_key_file"),
        ({"inference_server_api_key_file": "/nonexistent/key"}, "the host has no such file"),
    ],
)
def test_a_wrong_choice_is_refused_before_anything_is_changed(fleet, choice, wording):
    fleet.add("one")
    refused = fleet.play("deploy.yml", **choice)
    assert refused.rc != 0
    assert wording in refused.failures("one")
    assert files_below(fleet.folder / "state") == []


def test_a_port_in_use_is_refused_and_its_holder_named(fleet):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fleet.add("one", inference_server_port=taken.getsockname()[1])
        refused = fleet.play("deploy.yml")
    assert refused.rc != 0
    assert f"(pid {os.getpid()})" in refused.failures("one")
    assert files_below(fleet.folder / "state") == []


def test_a_name_that_is_not_served_is_reported_with_those_that_are(fleet):
    fleet.add("one", inference_server_simulator={"served_model_name": "something_else"})
    refused = fleet.play("deploy.yml")
    assert refused.rc != 0
    assert "something_else" in refused.failures("one")
    assert "lfm25_8b_a1b" in refused.failures("one")


def test_a_server_that_dies_at_its_start_is_reported_with_its_log(fleet):
    fleet.add("one", inference_server_simulator={"no_such_option": 1})
    refused = fleet.play("deploy.yml")
    assert refused.rc != 0
    assert "no_such_option" in refused.failures("one")


LOGS = ROOT / "tests" / "unit" / "fixtures" / "server_logs"


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("sglang_context_over_model", "ValueError: Warning: User-specified"),
        ("sglang_memory_share_too_small", "RuntimeError: Not enough GPU memory for hybrid"),
        ("sglang_model_missing", "OSError: Repo id must be"),
    ],
)
def test_a_failed_host_prints_its_cause_first_and_once(fleet, log, cause, monkeypatch):
    # As ansible.cfg of the project has it: each line of the log is a line.
    monkeypatch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", "yaml")
    polls = 'INFO:     127.0.0.1:52068 - "GET /v1/models HTTP/1.1" 200 OK\n' * 200
    (fleet.folder / "engine.log").write_text(polls + (LOGS / f"{log}.txt").read_text() + polls)
    (fleet.folder / "engine").write_text(f"cat {fleet.folder}/engine.log\nexit 1\n")
    fleet.add(
        "one",
        "cpu",
        inference_server_backend="sglang",
        inference_server_runtime="process",
        inference_server_command=["sh", f"{fleet.folder}/engine"],
    )
    refused = fleet.play("deploy.yml")
    assert refused.rc != 0
    printed = refused.output[refused.output.index("Wait until the model is served") :].splitlines()
    assert len(printed) < 30, len(printed)
    assert refused.failures("one").count(cause) == 1
    assert refused.failures("one").startswith(f"lfm25_8b_a1b is not served at {fleet_url(fleet)}: {cause}")
    assert ".. " not in refused.failures("one")


def test_what_is_only_reported_and_fails_is_printed_in_one_line(fleet):
    fleet.add("one", inference_server_smoke={"tool_call": "report"})
    deployed = fleet.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    (line,) = [line for line in deployed.output.splitlines() if "tool_call at http" in line]
    assert fleet_url(fleet) in line
    assert fact_of(fleet, "one")["smoke"]["tool_call"] == "fail"


def fleet_url(fleet):
    return f"http://127.0.0.1:{fleet.hosts['one'][1]['inference_server_port']}"


def served_names(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5) as answer:
        return [entry["id"] for entry in json.loads(answer.read())["data"]]


@pytest.mark.parametrize(
    ("change", "wording"),
    [
        ({"inference_server_simulator": {"no_such_option": 1}}, "no_such_option"),
        (
            {"inference_server_served_model_name": "another", "inference_server_smoke": {"tool_call": "required"}},
            "tool_call",
        ),
    ],
    ids=["dies at its start", "cannot do what is required"],
)
def test_a_change_that_fails_its_proof_is_taken_back(fleet, change, wording):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    port = fleet.hosts["one"][1]["inference_server_port"]
    refused = fleet.play("deploy.yml", **change)
    assert refused.rc != 0
    assert wording in refused.failures("one")
    assert "answers again" in refused.failures("one")
    assert served_names(port) == ["lfm25_8b_a1b"]
    again = fleet.play("deploy.yml")
    assert again.rc == 0, again.output
    assert again.changed("one") == 0


def test_a_rollback_by_hand_goes_to_what_answered_before(fleet):
    fleet.add("one")
    port = fleet.hosts["one"][1]["inference_server_port"]
    assert "nothing to go back to" in fleet.play("rollback.yml").failures("one")
    assert fleet.play("deploy.yml").rc == 0
    assert fleet.play("deploy.yml", inference_server_served_model_name="another").rc == 0
    back = fleet.play("rollback.yml")
    assert back.rc == 0, back.output
    assert served_names(port) == ["lfm25_8b_a1b"]
    assert fleet.play("deploy.yml").changed("one") == 0
    assert fleet.play("rollback.yml").rc == 0
    assert served_names(port) == ["another"]


def test_two_instances_answer_and_a_second_one_that_is_not_wanted_goes(fleet):
    with socket.create_server(("127.0.0.1", 0)) as free:  # two neighbours
        port = free.getsockname()[1] + 10
    fleet.add("one", inference_server_port=port, inference_server_instances=2)
    deployed = fleet.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    assert served_names(port) == served_names(port + 1) == ["lfm25_8b_a1b"]
    assert fleet.play("deploy.yml", inference_server_instances=1).rc == 0
    with pytest.raises(urllib.error.URLError):
        served_names(port + 1)


def test_clients_files_are_written_once_and_work(fleet):
    fleet.add("one")
    assert "deploy.yml" in fleet.play("clients.yml").failures("one")
    assert fleet.play("deploy.yml").rc == 0
    play = fleet.play("clients.yml")
    assert play.rc == 0, play.output
    env = (fleet.folder / "state" / "one" / "clients" / "claude-code.env").read_text()
    port = fleet.hosts["one"][1]["inference_server_port"]
    assert f"export ANTHROPIC_BASE_URL=http://127.0.0.1:{port}\n" in env
    assert "export ANTHROPIC_MODEL=lfm25_8b_a1b\n" in env
    assert fleet.play("clients.yml").changed("one") == 0


def test_an_unreachable_host_does_not_stop_the_others(fleet):
    fleet.add("one")
    fleet.add("gone", ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1, ansible_ssh_timeout=2)
    played = fleet.play("deploy.yml")
    assert played.rc != 0
    assert played.stats["dark"] == {"gone": 1}
    assert "one" in played.stats["ok"]
    assert "one" not in played.stats["failures"]


def test_teardown_leaves_the_records_and_a_second_one_changes_nothing(fleet):
    fleet.add("one")
    assert fleet.play("deploy.yml").rc == 0
    pid = pid_of(fleet, "one")
    # What was deployed decides, not what is chosen today: a survey's answer is gone by then.
    assert fleet.play("teardown.yml", inference_server_backend="vllm").changed("one") == 2
    assert server_process.identity(pid) is None
    assert fleet.play("teardown.yml").changed("one") == 0


@pytest.fixture
def clone(tmp_path):
    """A fresh clone of what is committed and not, as git would store it."""
    target = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if (name and (ROOT / name).is_symlink()) or (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return target


def ansible_playbook(*arguments, cwd):
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_clone_works_from_another_folder_with_a_foreign_inventory(fleet, clone, tmp_path):
    fleet.add("one")
    fleet.write()
    played = ansible_playbook("-i", str(fleet.inventory), str(clone / "playbooks" / "deploy.yml"), cwd=tmp_path)
    assert played.returncode == 0, played.stdout + played.stderr


def test_a_link_that_became_a_text_file_costs_nothing(fleet, clone):
    """As git on Windows or a zip archive makes one of playbooks/group_vars: the role finds the profiles without it."""
    fleet.add("one")
    fleet.write()
    link = clone / "playbooks" / "group_vars"
    link.unlink()
    link.write_text("../group_vars")
    played = ansible_playbook("-i", str(fleet.inventory), "playbooks/deploy.yml", cwd=clone)
    assert played.returncode == 0, played.stdout + played.stderr
    assert fact_of(fleet, "one")["gpu"]["class"] == "h100"


def test_a_group_of_no_known_class_is_refused_until_the_inventory_describes_it(fleet):
    fleet.add("one", "l40s")
    refused = fleet.play("deploy.yml")
    assert refused.rc != 0
    for words in ("inference, l40s", "a100, b200, cpu, h100", "group_vars/l40s.yml", "gpu_profile: {gpu_class: l40s"):
        assert words in refused.failures("one")
    assert files_below(fleet.folder / "state") == []
    described = fleet.inventory.parent / "group_vars" / "l40s.yml"
    described.parent.mkdir()
    described.write_text("gpu_profile: {gpu_class: l40s, name: NVIDIA L40S}")
    deployed = fleet.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    assert fact_of(fleet, "one")["gpu"]["class"] == "l40s"
