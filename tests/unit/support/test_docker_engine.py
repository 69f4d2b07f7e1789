# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine's care, against stand-ins for docker and dockerd: shell scripts that meet in one file, `up`."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from tests.support.docker_engine import NoEngine, docker_engine

CLIENT = """#!/bin/sh
[ -e up ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
echo 20.10.24
"""
DAEMON = """#!/bin/sh
trap 'rm -f up; exit 0' TERM
touch up
while :; do sleep 0.1; done
"""
DYING_DAEMON = """#!/bin/sh
echo "failed to mount overlay"
exit 3
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A folder that is both the PATH and the working directory, with a shell's own tools linked into it."""
    for tool in ("sh", "touch", "rm", "sleep"):
        (tmp_path / tool).symlink_to(
            next(path for path in (Path("/bin") / tool, Path("/usr/bin") / tool) if path.exists())
        )
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script.replace("#!/bin/sh", f"#!{folder}/sh"))
    (folder / name).chmod(0o755)


def test_a_running_engine_is_used_and_left_running(machine):
    put(machine, "docker", CLIENT)
    (machine / "up").touch()
    with docker_engine(machine / "work") as version:
        assert version == "20.10.24"
    assert (machine / "up").exists()


def test_an_engine_that_is_down_is_started_and_stopped_again(machine):
    for name, script in {"docker": CLIENT, "dockerd": DAEMON, "apt-get": "#!/bin/sh\nexit 9\n"}.items():
        put(machine, name, script)
    with docker_engine(machine / "work") as version:
        assert version == "20.10.24"
        assert (machine / "up").exists()
    assert not (machine / "up").exists()


def test_it_is_not_stopped_while_another_suite_uses_it(machine):
    for name, script in {"docker": CLIENT, "dockerd": DAEMON, "apt-get": "#!/bin/sh\nexit 9\n"}.items():
        put(machine, name, script)
    first = docker_engine(machine / "work")
    first.__enter__()
    with docker_engine(machine / "other"):
        leaving = threading.Thread(target=first.__exit__, args=(None, None, None))
        leaving.start()
        leaving.join(0.5)
        assert leaving.is_alive() and (machine / "up").exists()
    leaving.join(30)
    assert not leaving.is_alive() and not (machine / "up").exists()


def test_it_is_stopped_also_when_the_tests_fail(machine):
    for name, script in {"docker": CLIENT, "dockerd": DAEMON, "apt-get": "#!/bin/sh\nexit 9\n"}.items():
        put(machine, name, script)
    with pytest.raises(ValueError, match="a test"), docker_engine(machine / "work"):
        raise ValueError("a test")
    assert not (machine / "up").exists()


def test_an_engine_that_dies_is_reported_with_its_log(machine):
    for name, script in {"docker": CLIENT, "dockerd": DYING_DAEMON, "apt-get": "#!/bin/sh\nexit 9\n"}.items():
        put(machine, name, script)
    with pytest.raises(NoEngine, match="failed to mount overlay"), docker_engine(machine / "work"):
        pytest.fail("there is no engine")


@pytest.mark.parametrize("root", [True, False])
def test_where_none_may_be_started_one_line_says_what_to_do(machine, monkeypatch, root):
    put(machine, "docker", CLIENT)
    if not root:
        put(machine, "apt-get", "#!/bin/sh\nexit 9\n")
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoEngine) as refusal, docker_engine(machine / "work"):
        pytest.fail("there is no engine")
    assert "systemctl start docker" in str(refusal.value)
    assert "\n" not in str(refusal.value)
