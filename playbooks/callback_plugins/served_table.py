# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is served where, printed once when a run has ended.

Ansible loads it because it lies beside the playbooks, from a checkout and installed. A task could not do it: a play whose hosts all fail,
or more of them than max_fail_percentage, is the last one, and with `serial` a task comes once a batch.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.llmfleet.serving.plugins.module_utils._text import printable
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import failure_text
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import mapping, plain
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import served

DOCUMENTATION = """
name: served_table
type: aggregate
short_description: Prints what is served where, when a run has ended
description:
  - Prints one table over all hosts of the plays that set C(__served_table), whatever became of the hosts.
"""


class CallbackModule(CallbackBase):
    """Collects what becomes of each host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "served_table"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.run = served.Run()
        self.listens = False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self.listens = bool(play.get_vars().get("__served_table"))
        if self.listens:
            hosts = play.get_variable_manager().get_vars(play=play).get("ansible_play_hosts_all") or []
            self.run.expect(map(str, hosts), predicted=bool(play.check_mode))

    def v2_runner_on_ok(self, result: Any) -> None:
        if not self.listens:
            return
        task, returned = part(result, "task"), mapping(part(result, "result"))
        facts = mapping(returned.get("ansible_facts")) if task.action == served.RECORDS else {}
        changed = bool(returned.get("changed"))
        self.run.done(host_of(result), task.action, task.get_name(), changed=changed, facts=plain(facts))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if self.listens and not ignore_errors:
            self.run.failed(host_of(result), failure_text(plain(part(result, "result"))))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if self.listens:
            self.run.unreachable(host_of(result), failure_text(plain(part(result, "result"))))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        lost = {host for host in stats.processed if stats.failures.get(host) or stats.dark.get(host)}
        text = self.run.table(lost)
        if text:
            self._display.display(f"{printable(text)}\n")


def part(result: Any, name: str) -> Any:
    """A part of a result; before ansible-core 2.19 its name begins with an underscore."""
    return getattr(result, name) if hasattr(result, name) else getattr(result, f"_{name}")


def host_of(result: Any) -> str:
    """The name of a result's host."""
    return str(part(result, "host").get_name())
