# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of server_ready: waits in slices, and shows each server's stage between two of them,
with the text of its last log line and for how long that has been the last.

A server that answers within the first slice costs one module call. With `smoke` module server_smoke is called after that.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line
from ansible_collections.llmfleet.serving.plugins.plugin_utils._border import Items, Number, Record, Text, cross
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once, shortly
from ansible_collections.llmfleet.serving.plugins.plugin_utils._smoke import tested

display = Display()

_SLICE = Record(
    {
        "attempts": Number(least=0),
        "waiting": Items(Record(dict.fromkeys(("base_url", "stage", "last_line"), Text(longest=300)))),
    }
)
_LONGEST_LINE = 400  # characters on the terminal
_DETAILS = ("attempts", "cause", "elapsed_s", "log_tail", "models")  # of a failure; the message has what counts of them
_DEFAULTS_S = {"progress_interval": 15.0, "timeout_s": 900.0}  # of the module
_ROOM_S = 120.0  # for a module's start and end on a slow host, after the limit that it keeps itself
_ENDLESS = (
    "The host still says `waiting` after {:.0f} s. Expected: an end by timeout_s, which the module there keeps. "
    "Remedy: look at the host's clock and load."
)


class ActionModule(ActionBase):
    """See the module server_ready for the options."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = dict(self._task.args)
        smoke = options.pop("smoke", None)
        ready = self._waited(options, task_vars)
        if smoke is None or ready.get("failed") or self._task.check_mode or self._task.async_val:
            return ready
        return self._with_tests(ready, {**of_both(options), **smoke}, task_vars)

    def _with_tests(
        self, ready: dict[str, Any], options: dict[str, Any], task_vars: dict[str, Any] | None
    ) -> dict[str, Any]:
        """What was returned of servers that are ready, with the outcome of the tests, or the failure of one."""
        found = tested(self, options, task_vars)
        if found.get("failed") or found.get("unreachable"):
            return {**found, "elapsed_s": ready.get("elapsed_s")}
        return {**ready, "smoke": {name: found.get(name) for name in ("results", "summary")}}

    def _waited(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """What the module returns once the servers are ready, or once the time is up."""
        try:
            slice_s, timeout_s = (seconds(options.get(name), default) for name, default in _DEFAULTS_S.items())
        except (TypeError, ValueError):
            slice_s = timeout_s = 0.0  # the module says what is wrong with them
        if self._task.check_mode or self._task.async_val or slice_s <= 0:
            return said_once(self._module(options, task_vars))
        limit_s = timeout_s + slice_s + _ROOM_S
        result = self._by_slices({**options, "slice_s": slice_s}, limit_s, task_vars or {})
        return said_once(shortly(result, display.verbosity, *_DETAILS))

    def _by_slices(self, options: dict[str, Any], limit_s: float, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Waits in slices until the module there ends it, or until `limit_s` has passed."""
        began, attempts, lines = time.monotonic(), 0, Lines()
        while True:
            result = self._module({**options, "waited_s": time.monotonic() - began}, task_vars)
            said = cross(result, _SLICE).value
            attempts += said.get("attempts") or 0
            if "waiting" not in result:
                return {**result, "attempts": attempts} if attempts else result
            now = time.monotonic()
            if now - began > limit_s:
                return {"failed": True, "attempts": attempts, "msg": _ENDLESS.format(now - began)}
            for server in filter(None, said.get("waiting") or []):
                host = task_vars.get("inventory_hostname", "")
                display.display(describe(host, server, now - began, lines.age_s(server, now)))

    def _module(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        name = "llmfleet.serving.server_ready"
        return self._execute_module(
            module_name=name, module_args=options, task_vars=task_vars, wrap_async=self._task.async_val
        )


def of_both(options: dict[str, Any]) -> dict[str, Any]:
    """The options of module server_smoke that are those of this one."""
    named: dict[str, Any] = {
        name: options[name] for name in ("served_model_name", "adapters", "api_key_file") if name in options
    }
    return {"base_urls": [server["base_url"] for server in options["servers"]], **named}


def seconds(value: Any, default: float) -> float:
    """An option in seconds; its default where it is not given. Raises TypeError or ValueError for what is no number."""
    return default if value is None else float(value)


class Lines:
    """The last line of each server's log, and since when it has been the last."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, float]] = {}

    def age_s(self, server: dict[str, Any], now: float) -> float:
        """Seconds for which this has been the server's last line, as far as was seen; 0 for a new one."""
        url, line = server.get("base_url") or "", server.get("last_line") or ""
        known, since = self._since.get(url, ("", now))
        if line != known:
            since = now
        self._since[url] = line, since
        return now - since


def describe(host: str, server: dict[str, Any], elapsed_s: float, age_s: float) -> str:
    """One line for a person: `gpu-01 http://127.0.0.1:8000: loading weights, 45 s: Loading shards: 50% (for 30 s)`."""
    line = f"{host} {server.get('base_url')}: {server.get('stage')}, {elapsed_s:.0f} s"
    if server.get("last_line"):
        line += f": {server['last_line']}" + (f" (for {age_s:.0f} s)" if age_s >= 1 else "")
    return one_line(line, _LONGEST_LINE)
