# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of bench_serve: starts the run, shows how far it is, fetches the result.

Between start and result the target is asked only for one small file, so a long run costs no module calls, and a
connection that drops in between is simply opened again.
"""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import ARGUMENT_SPEC
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line
from ansible_collections.llmfleet.serving.plugins.plugin_utils._border import Number, Record, Text, bounded, cross
from ansible_collections.llmfleet.serving.plugins.plugin_utils._this_run import patiently

display = Display()

_NAMES, _FIGURES = (
    ("state", "phase"),
    ("done", "failed", "total", "tokens", "share", "output_tok_s", "elapsed_s", "eta_s"),
)
_PROGRESS = Record({**dict.fromkeys(_NAMES, Text(longest=60)), **dict.fromkeys(_FIGURES, Number(least=0))})
_MOST_BYTES = 64 * 1024  # of a file of a few hundred
_LONGEST_LINE = 200  # characters on the terminal
_INTERVAL_S: float = ARGUMENT_SPEC["progress_interval"]["default"]
_FIRST_POLL_S = 0.1
_LONGEST_POLL_S = 2.0
_RECONNECT_S = 300.0
_SILENT_S = 60.0  # a live load reports its progress every second


class ActionModule(ActionBase):
    """See the module bench_serve for the options."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = dict(self._task.args)
        if self._runs_as_it_is(options):
            return self._module(options, task_vars)
        begin = {**options, "wait": False}
        started = patiently(
            lambda _wait_s, run: self._module({**begin, **({"lock_takeover": run} if run else {})}, task_vars), 0.0
        )
        started.pop("held", None)
        if started.get("failed") or "run_id" not in started:
            return started
        self._say_joined(started, task_vars or {})
        interval = options.get("progress_interval")
        self._follow(started["run_folder"], _INTERVAL_S if interval is None else float(interval), task_vars or {})
        finished = self._module({**options, "run_id": started["run_id"]}, task_vars)
        joined = {"joined": started["joined"]} if "joined" in started else {}
        return {"run_id": started["run_id"], **joined, **within_bounds(finished)}

    def _runs_as_it_is(self, options: dict[str, Any]) -> bool:
        """True where there is nothing to follow: check mode, a cancellation, async, or a caller that does not wait."""
        waits = options.get("wait") is None or boolean(options["wait"])
        return self._task.check_mode or bool(self._task.async_val) or not waits or options.get("state") == "cancelled"

    def _say_joined(self, started: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """Prints that this call measures nothing of its own, and whose run it waits for."""
        begun = started.get("joined")
        if isinstance(begun, dict):
            whose = f"which {begun.get('started_by')} began at {begun.get('started_at')}"
            host, run_id = task_vars.get("inventory_hostname", ""), started["run_id"]
            display.display(one_line(f"{host}: joins run {run_id}, {whose}; no second load is started", _LONGEST_LINE))

    def _module(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        name = "llmfleet.serving.bench_serve"
        return self._execute_module(
            module_name=name, module_args=options, task_vars=task_vars, wrap_async=self._task.async_val
        )

    def _follow(self, folder: str, interval_s: float, task_vars: dict[str, Any]) -> None:
        """Polls the run until it has ended or fallen silent, and shows its progress every `interval_s` seconds."""
        host = task_vars.get("inventory_hostname", "")
        command = f"touch {shlex.quote(folder)}/heartbeat && head -c {_MOST_BYTES} {shlex.quote(folder)}/progress.json"
        poll_s, last = _FIRST_POLL_S, None
        shown_at = answered_at = changed_at = time.monotonic()
        while True:
            time.sleep(poll_s)
            poll_s = min(poll_s * 1.5, _LONGEST_POLL_S)
            progress = self._ask(command)
            now = time.monotonic()
            if progress is None and now - answered_at < _RECONNECT_S:
                continue
            if progress is None or progress.get("state") not in ("starting", "running"):
                return
            answered_at = now
            if progress != last:
                last, changed_at = progress, now
            elif now - changed_at > _SILENT_S:
                return  # the job may have died: the task that waits for its result reports it
            if interval_s and now - shown_at >= interval_s and progress["state"] == "running":
                shown_at = now
                display.display(f"{one_line(host, _LONGEST_LINE)}: {describe(progress)}")

    def _ask(self, command: str) -> dict[str, Any] | None:
        """The run's progress, or None while the target cannot be reached."""
        try:
            answer = self._low_level_execute_command(command, sudoable=True)
        except AnsibleConnectionFailure:
            self._connection.reset()
            return None
        return read(answer["stdout"]) if answer["rc"] == 0 else None


def within_bounds(result: dict[str, Any]) -> dict[str, Any]:
    """The result of the module, or a failure where the fact in it is larger or deeper than any that this collection writes."""
    fault = bounded(result.get("benchmark") or {})[1]
    return {"failed": True, "msg": f"the result of this host's run cannot be used: {fault}"} if fault else result


def read(text: str) -> dict[str, Any] | None:
    """What a host says of its run; None when that is no such document."""
    try:
        document = cross(json.loads(text), _PROGRESS)
    except (ValueError, RecursionError):
        return None
    return None if document.fault else document.value


def describe(progress: dict[str, Any]) -> str:
    """One line for a person: `run-1 24 %, 0/128 requests, 6,980 tok/s, ETA 1m52s`."""
    share, eta_s, rate = progress.get("share"), progress.get("eta_s"), progress.get("output_tok_s")
    parts = [f"{progress.get('phase') or 'run'}" + (f" {share * 100:.0f} %" if share is not None else "")]
    parts.append(f"{progress.get('done') or 0:.0f}/{progress.get('total') or 0:.0f} requests")
    if progress.get("failed"):
        parts.append(f"{progress['failed']:.0f} failed")
    if rate is not None:
        parts.append(f"{rate:,.0f} tok/s")
    if eta_s is not None:
        minutes, seconds = divmod(round(eta_s), 60)
        parts.append(f"ETA {minutes}m{seconds:02d}s" if minutes else f"ETA {seconds}s")
    return one_line(", ".join(parts), _LONGEST_LINE)
