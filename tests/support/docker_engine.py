# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker engine for the tests: the one that runs, or one installed and started for them and stopped again.

Suites that run side by side share it: who started it stops it, once nobody uses it any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.progress import StepFailed, run_step, say, tail

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_REMEDY = "start a Docker engine (for example: sudo systemctl start docker), or run this as root on Debian or Ubuntu"


class NoEngine(RuntimeError):
    """No Docker engine runs, and none may be started; the message says what to do."""


def docker(*arguments: str | Path, timeout_s: float = 120.0) -> str:
    """Run one short docker command and return what it printed; raises StepFailed with its own words."""
    argv = ["docker", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0:
        raise StepFailed(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout.strip()


def server_version() -> str | None:
    """The version of the engine that answers, or None."""
    try:
        return docker("version", "--format", "{{.Server.Version}}", timeout_s=10.0)
    except (FileNotFoundError, StepFailed, subprocess.TimeoutExpired):
        return None


@contextmanager
def docker_engine(work_dir: Path) -> Iterator[str]:
    """Give the version of a running engine; one that had to be started is stopped at the end.

    Raises NoEngine when none runs and this is not root on a system with apt.
    """
    with _lock_file("turn") as turn, _lock_file("users") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)  # one at a time finds, starts or stops an engine
        with _engine(work_dir) as (version, started):
            fcntl.flock(users, fcntl.LOCK_SH)
            fcntl.flock(turn, fcntl.LOCK_UN)
            try:
                yield version
            finally:
                if started:
                    fcntl.flock(turn, fcntl.LOCK_EX)
                    fcntl.flock(users, fcntl.LOCK_EX)


def _lock_file(name: str) -> IO[str]:
    return Path(tempfile.gettempdir(), f"llmfleet-tests-docker-{os.getuid()}-{name}").open("a", encoding="utf-8")


@contextmanager
def _engine(work_dir: Path) -> Iterator[tuple[str, bool]]:
    """The version of an engine, and whether it was started here."""
    version = server_version()
    if version is not None:
        say(f"Docker engine {version} is running")
        yield version, False
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoEngine(f"no Docker engine answers: {_REMEDY}")
    if shutil.which("dockerd") is None:
        _install(work_dir)
    version = server_version()
    if version is not None:
        say(f"Docker engine {version} was started by its package")
        try:
            yield version, True
        finally:
            run_step("stop the Docker engine", ["service", "docker", "stop"], work_dir / "stop.log", timeout_s=60)
        return
    with _daemon(work_dir / "dockerd.log") as version:
        yield version, True


def _install(work_dir: Path) -> None:
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    run_step("apt-get update", ["apt-get", "update"], work_dir / "apt-update.log", timeout_s=300, env=env)
    argv = ["apt-get", "install", "--yes", "--no-install-recommends", "docker.io", "iptables"]
    run_step("install Docker", argv, work_dir / "apt-install.log", timeout_s=600, env=env)


def _with_hook(folder: Path) -> Path:
    """A folder with a hook that does nothing: by it an engine knows, when it starts, that it can bind GPUs, pretended ones too."""
    folder.mkdir(parents=True, exist_ok=True)
    hook = folder / "nvidia-container-runtime-hook"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    return folder.absolute()


@contextmanager
def _daemon(log: Path) -> Iterator[str]:
    say("start dockerd ...")
    log.parent.mkdir(parents=True, exist_ok=True)
    path = f"{_with_hook(log.parent / 'hook')}:{os.environ['PATH']}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": path},
        )
    try:
        version = _wait_until_it_answers(process, log)
        say(f"Docker engine {version} started")
        yield version
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        say("Docker engine stopped")


def _wait_until_it_answers(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NoEngine(f"dockerd exited with status {process.returncode}: {_REMEDY}. Its log:\n{tail(log)}")
        version = server_version()
        if version is not None:
            return version
        time.sleep(0.2)
    raise NoEngine(f"dockerd did not answer within {_START_TIMEOUT_S:.0f} s: {_REMEDY}. Its log:\n{tail(log)}")
