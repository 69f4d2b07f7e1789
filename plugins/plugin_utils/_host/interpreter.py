# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python of a host: is it one that ansible-core and this collection run on?"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.plugin_utils._version import at_least

# What `plugins/modules` and `plugins/module_utils` are written for.
LOWEST = "3.8"
_INSTALL = "install one (Debian, Ubuntu: apt-get install python3; RHEL, Rocky: dnf install python3.12)"
_NOT_FOUND = 127  # the status of a shell that does not find a program
_QUESTION = "import platform; print(platform.python_version())"


def judged(action: Any, result: dict[str, Any], task_vars: Mapping[str, Any], basic: object) -> dict[str, Any]:
    """The result of a host's first module, or the reason why its Python cannot be used.

    `action` is the action plugin that ran the module, `basic` the `ansible.module_utils.basic` beside it. The host is asked only where
    the module failed, or where an older core takes what this collection does not: else a fleet would pay for a call more.
    """
    lowest = lowest_of_core(basic)
    if result.get("unreachable") or (not result.get("failed") and at_least(lowest, LOWEST)):
        return result
    python = program(action._templar.template(task_vars.get("ansible_python_interpreter")), task_vars)
    said = action._low_level_execute_command(f"{shlex.quote(python)} -c {shlex.quote(_QUESTION)}")
    if said.get("rc") == _NOT_FOUND:
        problem: Problem | None = missing(python, _others(action, lowest))
    else:
        problem = problem_of(python, said.get("stdout", "").strip(), lowest)
    return {"failed": True, "msg": str(problem)} if problem else result


def _others(action: Any, lowest: str) -> str:
    """A Python of the host that can be used; empty where there is none."""
    said = action._low_level_execute_command(
        f"python=$(command -v python3) && $python -c {shlex.quote(_QUESTION)} && echo $python"
    )
    version, _line, path = said.get("stdout", "").strip().partition("\n")
    return path if path.startswith("/") and not problem_of(path, version.strip(), lowest) else ""


def lowest_of_core(basic: object) -> str:
    """The lowest Python of hosts that ansible-core takes. Up to 2.16, which takes 3.6 and 2.7, it only says whether they are reached."""
    floor: Any = getattr(basic, "_PY_MIN", None)
    return f"{floor[0]}.{floor[1]}" if isinstance(floor, tuple) else "3.6"


def program(chosen: object, task_vars: Mapping[str, Any]) -> str:
    """The program that runs modules: the one that the user chose, or the one that Ansible found."""
    if isinstance(chosen, str) and chosen and not chosen.startswith("auto"):
        return chosen
    return str((task_vars.get("ansible_facts") or {}).get("discovered_interpreter_python") or "python3")


def missing(python: str, other: str) -> Problem:
    """A Python that is not on the host; `other` is one that is there."""
    remedy = f"-e ansible_python_interpreter={other}, or this in the inventory" if other else _INSTALL
    return Problem(f"there is no {python} on this host", remedy=remedy)


def problem_of(python: str, version: str, lowest: str) -> Problem | None:
    """What keeps a Python from being used, None where nothing does or its version is unknown."""
    needed = lowest if at_least(lowest, LOWEST) else LOWEST
    if not version[:1].isdigit() or at_least(version, needed):
        return None
    return Problem(
        f"the Python of this host, {python}, is {version}",
        expected=f"Python {needed} or newer, for this ansible-core and this collection",
        remedy=f"{_INSTALL}, and set ansible_python_interpreter to it where Ansible does not find it by itself",
    )
