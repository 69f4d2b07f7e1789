# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a container, from what `docker inspect` prints, and the beginning of its log."""

# By subprocess: run_command reads to the end, and a log may be long.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import subprocess
from typing import NamedTuple


class ContainerState(NamedTuple):
    """What `docker inspect` says of a container, with the fields of `STATE_FORMAT`. `started_at` is the time of the last start."""

    status: str
    exit_code: int
    restarts: int
    oom_killed: bool
    started_at: str


STATE_FORMAT = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}} {{.State.OOMKilled}} {{.State.StartedAt}}"
SIGKILLED = 128 + 9
_KILLED = (
    ": it was killed, most likely by the kernel because the host's memory was used up (see dmesg). Give the host more memory, "
    "or ask for less (fewer instances, a smaller --max-model-len; vLLM on a CPU: VLLM_CPU_KVCACHE_SPACE)"
)


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
        docker = subprocess.Popen(
            ["docker", "logs", *since, container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError:
        return []
    with docker:
        output = docker.stdout.read(at_most_bytes) if docker.stdout else b""
        docker.kill()  # the log may be much longer
    return output.decode("utf-8", "replace").splitlines()
