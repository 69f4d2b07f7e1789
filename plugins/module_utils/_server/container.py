# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Docker says of a container: its state, how it ended, and its log. A Docker that hangs is not waited for."""

# By subprocess: run_command knows no limit, and reads a log to its end.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import subprocess
import threading
from typing import NamedTuple

from .._text import one_line

DOCKER_S = 30.0  # for an answer, also of a host that is busy


class ContainerState(NamedTuple):
    """What `docker inspect` says of a container, with the fields of `STATE_FORMAT`. `started_at` is the time of the last start."""

    status: str
    exit_code: int
    restarts: int
    oom_killed: bool
    started_at: str


STATE_FORMAT = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}} {{.State.OOMKilled}} {{.State.StartedAt}}"
SIGKILLED = 128 + 9
_WORDS = 200  # characters of what Docker says, in a message
_KILLED = (
    ": it was killed, most likely by the kernel because the host's memory was used up (see dmesg). Give the host more memory, "
    "or ask for less (fewer instances, a smaller --max-model-len; vLLM on a CPU: VLLM_CPU_KVCACHE_SPACE)"
)


def docker(*words: str) -> tuple[bool, str, str]:
    """Whether a command of Docker's went well, what it printed, and its errors, or why there is nothing."""
    try:
        done = subprocess.run(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DOCKER_S,
            check=False,
        )
    except OSError as error:
        return False, "", f"docker cannot be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return False, "", f"no answer within {DOCKER_S:g} s"
    return done.returncode == 0, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def container_gone(container: str, said: str) -> str:
    """Why nothing is known of a container, as half a sentence, by what Docker said in place of its state."""
    if "no such" in said.lower():
        return f"container {container} does not exist"
    return f"Docker does not say how container {container} is ({one_line(said, _WORDS)})"


def container_state(printed: str) -> ContainerState:
    """The state as `docker inspect --format STATE_FORMAT` prints it."""
    status, exit_code, restarts, oom_killed, started_at = printed.split()
    return ContainerState(status, int(exit_code), int(restarts), oom_killed == "true", started_at)


def container_end(container: str, state: ContainerState, restarts_before: int) -> str | None:
    """How a container ended, as half a sentence; None while it runs. `restarts_before` is their count when the wait began."""
    if state.oom_killed:
        return f"container {container} was killed for memory"
    if state.status in ("exited", "dead", "restarting"):
        ended = f"container {container} ended with exit code {state.exit_code} (restarts: {state.restarts})"
        return ended + (_KILLED if state.exit_code == SIGKILLED else "")
    if state.restarts > restarts_before:
        return f"container {container} ended and was started again by Docker (restarts: {state.restarts})"
    return None


def container_log_head(container: str, started_at: str, at_most_bytes: int) -> list[str]:
    """The first lines of a container's log since the start at that time ("": of all that is kept); empty without Docker."""
    since = ["--since", started_at] if started_at else []
    try:
        # The two streams as one, in the order in which they were written.
        logs = subprocess.Popen(["docker", "logs", *since, container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        return []
    limit = threading.Timer(DOCKER_S, logs.kill)
    limit.start()
    with logs:
        output = logs.stdout.read(at_most_bytes) if logs.stdout else b""
        limit.cancel()
        logs.kill()  # the log may be much longer
    return output.decode("utf-8", "replace").splitlines()
