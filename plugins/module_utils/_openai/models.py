# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an answer of `/v1/models` means for somebody who waits for a server. Pure; private to this collection."""

from __future__ import annotations

import json
from typing import NamedTuple


class Verdict(NamedTuple):
    """`state` is ready, waiting or wrong; a wrong server will not become right by waiting. `reason` is one sentence."""

    state: str
    reason: str
    models: list[str]


class ContainerState(NamedTuple):
    """What `docker inspect` tells of a container, with the fields of `STATE_FORMAT`. `started_at` is of the last start."""

    status: str
    exit_code: int
    restarts: int
    oom_killed: bool
    started_at: str


STATE_FORMAT = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}} {{.State.OOMKilled}} {{.State.StartedAt}}"
SIGKILLED = 128 + 9
_KILLED = (
    ": it was killed; where nobody did, the kernel did because the host's memory was used up (dmesg tells). Give the host more memory, "
    "or ask for less (fewer instances, a smaller --max-model-len; vLLM on a CPU: VLLM_CPU_KVCACHE_SPACE)"
)


def container_state(printed: str) -> ContainerState:
    """The state as `docker inspect --format STATE_FORMAT` prints it."""
    status, exit_code, restarts, oom_killed, started_at = printed.split()
    return ContainerState(status, int(exit_code), int(restarts), oom_killed == "true", started_at)


def judge(status: int | None, body: bytes, served_model_name: str) -> Verdict:
    """Judges one answer of `/v1/models`; `status` is None when nothing answered and `body` then says why."""
    if status is None:
        return Verdict("waiting", body.decode(errors="replace"), [])
    if status in (401, 403):
        return Verdict(
            "wrong", f"/v1/models answers {status}: the key in inference_server_api_key_file is not the server's", []
        )
    if status == 503:
        return Verdict("waiting", "/v1/models answers 503: the server is loading", [])
    if status != 200:
        return Verdict("wrong", f"/v1/models answers {status}, expected 200: this is no OpenAI-compatible server", [])
    models = _model_names(body)
    if models is None:
        return Verdict("wrong", "/v1/models answers no list of models: this is no OpenAI-compatible server", [])
    if served_model_name in models:
        return Verdict("ready", f"{served_model_name} is served", models)
    return Verdict(
        "wrong",
        f"/v1/models lists {', '.join(models) or 'nothing'}, expected {served_model_name}: "
        "set inference_server_served_model_name to a listed name, or redeploy the server",
        models,
    )


def with_health(verdict: Verdict, status: int | None) -> Verdict:
    """The verdict on a server that lists its model, after `/health` answered with `status`; a server without that page is well."""
    if status in (200, 204, 404):
        return verdict
    return Verdict(
        "waiting", f"{verdict.reason}, but /health answers {status or 'nothing'}, expected 200", verdict.models
    )


def with_key(verdict: Verdict, status: int | None) -> Verdict:
    """A ready server that is to ask for a key: wrong when `/v1/models` has answered 200 without one."""
    if verdict.state != "ready" or status != 200:
        return verdict
    return Verdict(
        "wrong",
        "/v1/models answers without the key of inference_server_api_key_file: this server is open to everybody; "
        "another one may hold the port, or the key did not reach it",
        verdict.models,
    )


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


def _model_names(body: bytes) -> list[str] | None:
    try:
        return [str(entry["id"]) for entry in json.loads(body.decode())["data"]]
    except (ValueError, KeyError, TypeError):
        return None
