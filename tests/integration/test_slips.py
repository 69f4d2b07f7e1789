# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a tired operator gets wrong: each slip is refused with a message, and what the message says to type mends it.

`SLIPS_TABLE=FILE` writes slip, message and command as a table. Slips with Docker are in tests/docker, those of a whole host in tests/hosts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_disk import fill

from .conftest import Fleet, Outcome, free_port


def said(outcome: Outcome, pattern: str) -> re.Match[str]:
    """What the message of a refused deployment says to type."""
    assert outcome.rc != 0, outcome.output
    text = " ".join(outcome.output.split())
    found = re.search(pattern, text)
    assert found, text[-3000:]
    table = os.environ.get("SLIPS_TABLE")
    if table:
        name = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" ")[0]
        with Path(table).open("a", encoding="utf-8") as stream:
            stream.write(f"{name} | {outcome.failures('one')} | {found.group(0)}\n")
    return found


def typed(command: str) -> None:
    """Types a command of a message into the host's shell."""
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)


def deployed(fleet: Fleet, options: str = "", **variables: Any) -> None:
    """The deployment that succeeds."""
    mended = fleet.play("deploy.yml", options=options, **variables)
    assert mended.rc == 0, mended.output


def test_wrong_group(fleet: Fleet) -> None:
    fleet.add("one", "h1000")
    groups = said(fleet.play("deploy.yml"), r"a group named like a GPU class \(([a-z0-9, ]+)\)")[1].split(", ")
    fleet.add("one", groups[groups.index("h100")])
    deployed(fleet)


def test_port_taken(fleet: Fleet) -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "http.server", str(port)], stderr=subprocess.PIPE) as other:
        assert other.stderr
        subprocess.run(["sh", "-c", f"until ss -ltn | grep -q ':{port} '; do sleep 0.1; done"], check=True, timeout=30)
        fleet.add("one", inference_server_port=port)
        typed(said(fleet.play("deploy.yml"), r"stop it \((kill [0-9 ]+)\)")[1])
        other.wait(30)
    deployed(fleet)


def test_wrong_key_path(fleet: Fleet) -> None:
    fleet.add("one", inference_server_api_key_file=f"{fleet.folder}/wrong/key")
    (fleet.folder / "wrong").mkdir()
    typed(said(fleet.play("deploy.yml"), r"make one on the host: (\(umask 077; .*? > \S+\))\.")[1])
    deployed(fleet)


def test_host_down(fleet: Fleet) -> None:
    fleet.add("two")
    fleet.add("one", ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=free_port())
    limit = said(fleet.play("deploy.yml"), r"For these alone: (--limit one)(?![\w,])")[1]
    fleet.add("one")  # it is up again
    mended = fleet.play("deploy.yml", options=limit)
    assert mended.rc == 0 and set(mended.stats["ok"]) == {"one"}, mended.output


def test_wrong_python(fleet: Fleet) -> None:
    fleet.add("one", ansible_python_interpreter="/opt/python9/bin/python3")
    choice = said(fleet.play("deploy.yml"), r"-e (ansible_python_interpreter=/[^ ,]+)")[1]
    name, _equals, value = choice.partition("=")
    deployed(fleet, **{name: value})


def test_two_groups(fleet: Fleet) -> None:
    fleet.add("one", "h100")
    (fleet.folder / "more.yml").write_text("b200: {hosts: {one: {}}}\n")
    refused = fleet.play("deploy.yml", options=f"-i {fleet.folder}/more.yml")
    said(refused, r"groups of GPU classes: b200, h100\. .*take it out of all but that of its GPU in the inventory")
    deployed(fleet)


def test_second_server(fleet: Fleet) -> None:
    home = "{{ inference_server_name | default('') | llmfleet.serving.server_state_dir | regex_replace('^~', HOME) }}"
    fleet.add("one", HOME=f"{fleet.folder}/state/home", inference_server_state_dir=home)
    deployed(fleet)
    second: dict[str, Any] = {"inference_server_name": "second"}
    free = said(
        fleet.play("deploy.yml", **second), r"inference_server_port of this server to a free one, such as (\d+)"
    )[1]
    deployed(fleet, **second, inference_server_port=int(free))


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own there; skipped where this user may not mount."""
    folder.mkdir(parents=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", *options, "none", str(folder)], check=False, capture_output=True
    ).returncode:
        pytest.skip("this user may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_disk_full(fleet: Fleet) -> None:
    with mounted(fleet.folder / "state", "-o", "size=8m"):
        fill(fleet.folder / "state")
        fleet.add("one")
        command = said(fleet.play("deploy.yml"), r"free space there: (df -h [^ '\"]+[^ '\".])")[1]
        typed(command)
        (fleet.folder / "state" / "other").unlink()
        deployed(fleet)
        assert fleet.play("teardown.yml").rc == 0


def test_read_only_home(fleet: Fleet) -> None:
    with mounted(fleet.folder / "home", "-o", "size=8m,ro"):
        fleet.add("one", inference_server_state_dir=f"{fleet.folder}/home/state")
        setting = said(fleet.play("deploy.yml"), r"set (inference_server_state_dir) to a folder")[1]
        deployed(fleet, **{setting: f"{fleet.folder}/state/one"})


SUDO = """#!{python}
import os, sys
options = sys.argv[1:]
if "-n" in options or "-S" not in options:
    sys.exit("sudo: a password is required")
sys.stderr.write(options[options.index("-p") + 1])
sys.stderr.flush()
if os.read(0, 100) != b"right\\n":
    sys.exit("Sorry, try again.")
os.execvp("/bin/sh", options[options.index("/bin/sh"):])
"""


def test_no_sudo(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo` that asks for a password, as for an ordinary user; this test's own, for root is never asked."""
    monkeypatch.setenv("ANSIBLE_BECOME_ALLOW_SAME_USER", "1")
    sudo, password = fleet.folder / "sudo", fleet.folder / "password"
    sudo.write_text(SUDO.format(python=sys.executable))
    sudo.chmod(0o755)
    password.write_text("right\n")
    fleet.add("one", inference_server_become=True, ansible_become_exe=str(sudo))
    option = said(fleet.play("deploy.yml"), r"--ask-become-pass, or (--become-password-file) FILE")[1]
    deployed(fleet, options=f"{option} {password}")
