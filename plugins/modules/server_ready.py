#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_ready
short_description: Wait until an inference server serves its model
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Polls C(/v1/models) until the served name is listed and C(/health) answers well. C(/health) alone proves only the process.
  - Shows on the controller, while it waits, what each server is doing and the last line of its log.
  - Watches the process or container meanwhile. When it dies, the wait fails at once, with the error that its log ends with and, where
    the log shows a known cause, the remedy.
extends_documentation_fragment:
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: Asks once, waits for nothing and never fails.
    support: full
options:
  servers:
    description: The servers to wait for, all at once.
    type: list
    elements: dict
    required: true
    suboptions:
      base_url:
        description: Where the server answers, without C(/v1).
        type: str
        required: true
      process_dir:
        description: The C(server_dir) of M(llmfleet.serving.server_process), to watch that process.
        type: path
      container:
        description: Name of the container to watch.
        type: str
  served_model_name:
    description: The name that C(/v1/models) must list.
    type: str
    required: true
  adapters:
    description: Names of LoRA adapters that C(/v1/models) must list besides.
    type: list
    elements: str
    default: []
  api_key_file:
    description: File on the host that holds the servers' key.
    type: path
  timeout_s:
    description: Longest time to wait in seconds.
    type: float
    default: 900
  poll_interval_s:
    description: Seconds between two questions.
    type: float
    default: 0.5
  progress_interval:
    description: Seconds between two lines of progress on the controller; 0 shows none.
    type: float
    default: 15
  smoke:
    description:
      - Options of M(llmfleet.serving.server_smoke), which is called once the servers are ready; those that both modules have are
        O(servers), O(served_model_name), O(adapters) and O(api_key_file) of this one. A test that fails, fails the task. Not in check mode.
      - For the action plugin.
    type: dict
  slice_s:
    description:
      - Longest time of one call in seconds; the call then ends with RV(ready=false).
      - For the action plugin, which shows the progress and calls again. Leave it unset.
    type: float
  waited_s:
    description: Seconds that calls before this one took. For the action plugin too.
    type: float
    default: 0
notes:
  - The controller calls the module once every O(progress_interval); a server that is ready at once costs one call.
"""

EXAMPLES = r"""
- name: Wait for the model
  llmfleet.serving.server_ready:
    servers:
      - base_url: http://127.0.0.1:8000
        container: llmfleet-server
    served_model_name: lfm25_8b_a1b
"""

RETURN = r"""
ready:
  description: Whether every server serves the model. It can be false in check mode, and at the end of O(slice_s).
  returned: success
  type: bool
elapsed_s:
  description: Seconds waited, until the last server was ready.
  returned: always
  type: float
  sample: 41.2
attempts:
  description: How often servers were asked.
  returned: always
  type: int
  sample: 80
models:
  description: The names that C(/v1/models) lists, of the first server or of the server that failed.
  returned: always
  type: list
  elements: str
  sample: [lfm25_8b_a1b]
smoke:
  description: The outcome of O(smoke), C(results) and C(summary), as M(llmfleet.serving.server_smoke) returns them.
  returned: success, with O(smoke), not in check mode
  type: dict
engine_version:
  description:
    - The version in the first server's C(/version), or in C(/server_info) of SGLang, which has no such path.
    - Null where the server has neither.
  returned: success
  type: str
  sample: 0.32.0
engine:
  description: The engine whose timing a simulator imitates; null for a real engine.
  returned: success
  type: str
  sample: vllm
simulated:
  description: Whether the server says of itself that it is a simulator.
  returned: success
  type: bool
phases:
  description:
    - Seconds of each phase of the start, as the engine's log has them; of several servers the longest, of an engine with several
      processes the slowest.
    - Null where the log does not have them, as that of a server that started long ago.
  returned: success
  type: dict
  contains:
    weights_s:
      description: The engine's own download of the weights, in seconds; null where the cache had them.
      type: float
      returned: always
      sample: null
    load_s:
      description: Reading the weights into memory, in seconds.
      type: float
      returned: always
      sample: 12.9
    compile_s:
      description: C(torch.compile), CUDA graphs and warming up, in seconds.
      type: float
      returned: always
      sample: 35.22
    ready_s:
      description: The whole wait, as RV(elapsed_s).
      type: float
      returned: always
      sample: 72.1
waiting:
  description: What each server that is not ready is doing.
  returned: at the end of O(slice_s)
  type: list
  elements: dict
  contains:
    base_url:
      description: The server.
      type: str
      returned: always
      sample: http://127.0.0.1:8000
    stage:
      description: V(starting), V(loading weights), V(compiling and warming up) or V(started).
      type: str
      returned: always
      sample: loading weights
    last_line:
      description: Text of the last line of its log that this wait itself did not cause, without the logger's time and place.
      type: str
      returned: always
log_tail:
  description: The last lines of the server's log, each at most 600 characters, without the lines that this wait itself causes.
  returned: failure
  type: list
  elements: str
cause:
  description: The known cause that the log names; null when it names none.
  returned: failure
  type: str
  sample: port_taken
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError, sentences
from ansible_collections.llmfleet.serving.plugins.module_utils._files import log_head, log_tail
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.client import NoAnswer, ask
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import parse_base_url
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.key import read_key
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.models import (
    Identity,
    Verdict,
    identify,
    judge,
    with_health,
    with_key,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden, mask
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as server_process
from ansible_collections.llmfleet.serving.plugins.module_utils._server.container import (
    STATE_FORMAT,
    container_end,
    container_gone,
    container_log_head,
    container_state,
    docker,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._server.failure_causes import own_words, recognise
from ansible_collections.llmfleet.serving.plugins.module_utils._server.log_lines import informative, text_of
from ansible_collections.llmfleet.serving.plugins.module_utils._server.start_phases import phases, slowest, stage
from ansible_collections.llmfleet.serving.plugins.module_utils._text import shortened

ASK_TIMEOUT_S = 10
LAST_ASK_S = 0.25  # a server is asked at least once, and by that much a wait may outlast its limit
SILENCE = "nothing answers at"  # of a server that has ended it goes without saying
HURRIED_S = 1.0  # no answer within less than that says nothing new: the server, or this host, may only have been busy


def ask_limit_s(ends: float) -> float:
    """The longest time for one question in a wait that ends at `ends` (monotonic)."""
    return min(ASK_TIMEOUT_S, max(LAST_ASK_S, ends - time.monotonic()))


def asked(url: str, headers: dict[str, str], ends: float) -> tuple[int | None, bytes]:
    """Status and body of one GET in a wait that ends at `ends`; None and the reason when nothing answered."""
    try:
        answer = ask(url, headers, ask_limit_s(ends))
    except NoAnswer as error:
        return None, f"{SILENCE} {url} ({error})".encode()
    if answer.location:
        return answer.status, answer.excerpt.encode()
    return answer.status, answer.body


# vLLM prints the reason some 60 lines before the end: the tracebacks of its other processes come after it.
SEARCHED_LINES = 400
SHOWN_LINES = 20
WORDS_LENGTH = 500
LAST_LINE_LENGTH = 200
# What is read of a log: of the end as many lines as polls can stand between two of the server's, of a start its first hours.
TAIL_LINES = 5000
TAIL_BYTES = 1024 * 1024
START_BYTES = 8 * 1024 * 1024


class Server:
    """One server: where it answers, and the process or container behind it with its end and its log."""

    def __init__(self, module: AnsibleModule, described: dict, key: str | None) -> None:
        self.module = module
        self.base_url = parse_base_url(described["base_url"]).url
        self.folder = Path(described["process_dir"]) if described["process_dir"] else None
        self.container = described["container"]
        self.runtime = "process" if self.folder else "docker"
        self.key, self.headers = key, {} if key is None else {"Authorization": f"Bearer {key}"}
        self.restarts_before: int | None = None  # a server may have restarted long ago; a loop restarts while we watch
        self.started_at = ""
        self.said: Verdict | None = None

    def verdict(self, served_model_name: str, ends: float) -> Verdict:
        """The answer of `/v1/models`, judged. A server that lists the name counts when it does not do so without the key, and when
        `/health` does not object. `ends` is when the whole wait does.
        """
        models, hurried = f"{self.base_url}/v1/models", ask_limit_s(ends) < HURRIED_S
        status, body = asked(models, self.headers, ends)
        if status is None and hurried and self.said:
            return self.said
        verdict = judge(status, body, served_model_name, self.module.params["adapters"])
        if verdict.state == "ready" and self.headers:
            verdict = with_key(verdict, asked(models, {}, ends)[0])
        if verdict.state == "ready":
            verdict = with_health(verdict, asked(f"{self.base_url}/health", {}, ends)[0])
        self.said = verdict
        return verdict

    def death(self) -> str | None:
        """How it ended, as half a sentence; None while it runs or when nothing is watched."""
        if self.folder:
            return None if server_process.running_pid(self.folder) else "the server's process ended"
        if self.container:
            return self._container_death()
        return None

    def _container_death(self) -> str | None:
        known, printed, errors = docker("inspect", "--format", STATE_FORMAT, self.container)
        if not known:
            return container_gone(self.container, errors)
        state = container_state(printed)
        self.started_at = state.started_at
        if self.restarts_before is None:
            self.restarts_before = state.restarts
        return container_end(self.container, state, self.restarts_before)

    def log(self) -> list[str]:
        """The last informative lines of the log."""
        return informative(self._end_of_log())[-SEARCHED_LINES:]

    def _end_of_log(self) -> list[str]:
        if self.folder:
            return log_tail(self.folder / server_process.LOG, TAIL_LINES, TAIL_BYTES)
        if self.container:
            known, out, err = docker("logs", "--tail", str(TAIL_LINES), self.container)
            return (out + err).splitlines() if known else []
        return []

    def start_log(self) -> list[str]:
        """The informative lines of the log since the last start: from its beginning, for a start is not at the end of a log."""
        if self.folder:
            return informative(log_head(self.folder / server_process.LOG, START_BYTES))
        if self.container:
            return informative(container_log_head(self.container, self.started_at, START_BYTES))
        return []

    def now(self) -> dict:
        """What a server that is not ready is doing, as an item of `waiting`."""
        lines = self.start_log()
        last = shortened(hidden(text_of(lines[-1]), self.key), LAST_LINE_LENGTH) if lines else ""
        return {"base_url": self.base_url, "stage": stage(lines), "last_line": last}

    def identity(self, ends: float) -> Identity:
        """What `/version`, or the path of an engine without it, says of the engine."""
        try:
            return identify(lambda path: ask(self.base_url + path, self.headers, ask_limit_s(ends)))
        except NoAnswer:
            return Identity(None, None, False)


class Wait:
    """One wait for all servers: asks, judges, and ends with success or with a reason."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        key = read_key(module.params["api_key_file"])
        mask(module, key)
        self.servers = [Server(module, described, key) for described in module.params["servers"]]
        self.began = time.monotonic() - self.params["waited_s"]
        self.gives_up = self.began + self.params["timeout_s"]
        self.ends = time.monotonic() + self.params["slice_s"] if self.params["slice_s"] else None
        self.attempts = 0

    def once(self) -> list[Verdict]:
        """Each server asked once."""
        self.attempts += len(self.servers)
        return [server.verdict(self.params["served_model_name"], self.gives_up) for server in self.servers]

    def until_ready(self) -> list[Verdict]:
        """Asks until each server serves the model; fails the module when a server never will or the time is over.

        Ends the module at the end of its slice of the wait.
        """
        ready: dict[str, Verdict] = {}
        while True:
            for server in self.servers:
                if server.base_url in ready:
                    continue
                # Asked before the answer is judged: another server on the same port must not hide that ours died.
                death = server.death()
                self.attempts += 1
                verdict = server.verdict(self.params["served_model_name"], self.gives_up)
                if verdict.state == "ready" and not death:
                    ready[server.base_url] = verdict
                else:
                    self._refuse(server, verdict, death)
            if len(ready) == len(self.servers):
                return [ready[server.base_url] for server in self.servers]
            if self.ends and time.monotonic() > self.ends:
                waiting = [server.now() for server in self.servers if server.base_url not in ready]
                self.module.exit_json(changed=False, ready=False, waiting=waiting, models=[], **self.spent())
            time.sleep(max(0.0, min(self.params["poll_interval_s"], self.gives_up - time.monotonic())))

    def _refuse(self, server: Server, verdict: Verdict, death: str | None) -> None:
        """Fails the module for a server that died, serves another model or took too long."""
        if death:
            also = "" if verdict.reason.startswith(SILENCE) else f"; {verdict.reason}"
            self.fail(server, death + also, verdict, died=True)
        if verdict.state == "wrong":
            self.fail(server, verdict.reason, verdict)
        if time.monotonic() > self.gives_up:
            limit = f"not ready after {self.params['timeout_s']:g} s (inference_server_ready_timeout_s)"
            self.fail(server, f"{limit}: {verdict.reason}", verdict)

    def fail(self, server: Server, reason: str, verdict: Verdict, *, died: bool = False) -> None:
        """Fails with what the log says of a death, the reason and the known remedy; the log's end is in the result."""
        log = server.log()
        cause = recognise(log)
        words = hidden(own_words(log, cause), server.key)[:WORDS_LENGTH] if died else ""
        known = f"Known cause: {cause.name}" if cause else ""
        what = sentences(words, reason, known)
        problem = Problem(
            f"{self.params['served_model_name']} is not served at {server.base_url}: {what}",
            remedy=cause.remedy_for(server.runtime) if cause else "",
        )
        self.module.fail_json(
            msg=str(problem),
            cause=cause.name if cause else None,
            log_tail=[hidden(line, server.key) for line in log[-SHOWN_LINES:]],
            models=verdict.models,
            **self.spent(),
        )

    def spent(self) -> dict:
        """Seconds and attempts of the wait."""
        return {"elapsed_s": round(time.monotonic() - self.began, 3), "attempts": self.attempts}


def main() -> None:
    server = {
        "base_url": {"type": "str", "required": True},
        "process_dir": {"type": "path"},
        "container": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "servers": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": server,
                "mutually_exclusive": [("process_dir", "container")],
            },
            "served_model_name": {"type": "str", "required": True},
            "adapters": {"type": "list", "elements": "str", "default": []},
            "api_key_file": {"type": "path", "no_log": False},
            "timeout_s": {"type": "float", "default": 900},
            "poll_interval_s": {"type": "float", "default": 0.5},
            "progress_interval": {"type": "float", "default": 15},
            "smoke": {"type": "dict"},
            "slice_s": {"type": "float"},
            "waited_s": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    mask(module)
    try:
        wait = Wait(module)
    except UserError as error:
        module.fail_json(msg=str(error))
    verdicts = wait.once() if module.check_mode else wait.until_ready()
    spent = wait.spent()
    start_phases = slowest([phases(server.start_log()) for server in wait.servers])
    identity = wait.servers[0].identity(wait.gives_up)
    module.exit_json(
        changed=False,
        ready=all(verdict.state == "ready" for verdict in verdicts),
        models=verdicts[0].models,
        phases={**start_phases, "ready_s": spent["elapsed_s"]},
        engine_version=identity.version,
        engine=identity.engine,
        simulated=identity.simulated,
        **spent,
    )


if __name__ == "__main__":
    main()
