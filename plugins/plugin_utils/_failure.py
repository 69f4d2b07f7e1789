# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of a task that failed: its message, and how an action hands it over so that it is printed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

# What others say, Docker and Ansible, and what helps.
_REMEDIES = (
    (
        re.compile("proxyconnect tcp|Proxy Authentication Required"),
        "correct docker_engine_proxy and run prepare.yml; on the host `docker info | grep -i proxy` shows Docker's",
    ),
)


def failure_text(result: Mapping[str, Any]) -> str:
    """The result's message, with a remedy where others say it; of a loop the messages of its failed items, each once."""
    items = [item for item in result.get("results") or [] if item.get("failed")]
    texts = [str(item["msg"]) for item in items or [result] if item.get("msg")]
    return "; ".join(dict.fromkeys(map(_with_remedy, texts))) or "a task failed without a message"


def _with_remedy(text: str) -> str:
    remedy = next((remedy for pattern, remedy in _REMEDIES if pattern.search(text)), None)
    return f"{text} Remedy: {remedy}" if remedy and "Remedy: " not in text else text


class _Failure(AnsibleActionFail):
    """A failed result that stands for itself."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        own = {**result, "failed": True}
        # From ansible-core 2.21 on the core takes the result from there, before that from the property.
        super().__init__(str(result.get("msg", "")), result=own)
        self._own = own

    @property
    def result_contribution(self) -> Mapping[str, Any]:
        """The result as it is."""
        return self._own

    @property
    def omit_exception_key(self) -> bool:
        """No second print of the message."""
        return True


def shortly(result: dict[str, Any], verbosity: int, *details: str) -> dict[str, Any]:
    """A failed result without `details`, which its message has already; with `-v` they are shown."""
    if not result.get("failed") or verbosity > 0:
        return result
    return {name: value for name, value in result.items() if name not in details}


def said_once(result: dict[str, Any]) -> dict[str, Any]:
    """The result of an action, or of the module behind it.

    From ansible-core 2.19 on a failed result is printed twice: as `[ERROR]` with the lines of the task around it, and as `fatal`. What was
    found, expected and to be done is in the message; the lines of the task say nothing more. A module that crashed keeps both.
    """
    crashed = "module_stderr" in result or "module_stdout" in result
    if not result.get("failed") or crashed or not hasattr(AnsibleActionFail, "omit_exception_key"):
        return result
    raise _Failure({name: value for name, value in result.items() if name != "exception"})
