# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host import interpreter

CORE_216 = SimpleNamespace(_PY3_MIN=True, _PY2_MIN=False, _PY_MIN=True)
CORE_217 = SimpleNamespace(_PY_MIN=(3, 7))
CORE_219 = SimpleNamespace(_PY_MIN=(3, 8))
CORE_221 = SimpleNamespace(_PY_MIN=(3, 9))
FAILED = {"failed": True, "msg": "No start of json char found", "module_stderr": "SyntaxError: invalid syntax"}
FINE = {"changed": False, "ansible_facts": {}}


class Host:
    """Stands for the action plugin: a host whose Python says `version`."""

    def __init__(self, version: str, rc: int = 0) -> None:
        self.version, self.rc, self.commands = version, rc, []
        self._templar = SimpleNamespace(template=lambda value: value)

    def _low_level_execute_command(self, command: str) -> dict[str, object]:
        self.commands.append(command)
        return {"stdout": f"{self.version}\n", "rc": self.rc}


@pytest.mark.parametrize(
    ("core", "result", "version", "needed"),
    [
        (CORE_216, FAILED, "2.7.18", "3.8"),
        (CORE_216, FAILED, "3.6.8", "3.8"),
        (CORE_216, FINE, "3.6.8", "3.8"),  # this core runs there, this collection does not
        (CORE_217, FINE, "3.7.16", "3.8"),
        (CORE_219, FAILED, "3.7.16", "3.8"),
        (CORE_221, FAILED, "3.8.18", "3.9"),
    ],
)
def test_a_python_that_is_too_old_is_refused_with_what_is_needed(core, result, version, needed):
    host = Host(version)
    judged = interpreter.judged(host, result, {"ansible_python_interpreter": "/usr/bin/python3"}, core)
    assert judged["failed"]
    assert "module_stderr" not in judged
    for part in ("/usr/bin/python3", version, f"Python {needed}", "apt-get install", "ansible_python_interpreter"):
        assert part in judged["msg"]


@pytest.mark.parametrize(
    ("core", "result", "version"),
    [
        (CORE_216, FINE, "3.8.18"),
        (CORE_219, FAILED, "3.8.18"),  # failed for another reason, which stays
        (CORE_219, FAILED, "no version"),
        (CORE_219, FAILED, ""),
        (CORE_216, {"unreachable": True, "msg": "no route"}, "3.6.8"),
        (CORE_221, {"unreachable": True, "failed": True, "msg": "no route"}, "3.6.8"),
    ],
)
def test_any_other_result_stays(core, result, version):
    assert interpreter.judged(Host(version), result, {}, core) == result


@pytest.mark.parametrize(
    ("other", "to_type"),
    [
        ("3.11.2\n/usr/bin/python3", "-e ansible_python_interpreter=/usr/bin/python3"),
        ("3.6.8\n/usr/bin/python3", "apt-get install python3"),
        ("", "apt-get install python3"),
        ("Welcome to this host\n/usr/bin/python3", "-e ansible_python_interpreter=/usr/bin/python3"),
    ],
)
def test_a_python_that_is_not_there_is_said_with_what_to_type(other, to_type):
    judged = interpreter.judged(Host(other, rc=127), FAILED, {"ansible_python_interpreter": "/opt/python9"}, CORE_219)
    assert judged["failed"] and "there is no /opt/python9 on this host" in judged["msg"]
    assert to_type in judged["msg"]


def test_a_host_that_answers_is_not_asked_once_more():
    host = Host("3.12.1")
    assert interpreter.judged(host, FINE, {}, CORE_219) is FINE
    assert host.commands == []


@pytest.mark.parametrize(
    ("chosen", "facts", "program"),
    [
        ("/opt/python/bin/python3", {"discovered_interpreter_python": "/usr/bin/python3.6"}, "/opt/python/bin/python3"),
        ("auto_silent", {"discovered_interpreter_python": "/usr/bin/python3.6"}, "/usr/bin/python3.6"),
        (None, {"discovered_interpreter_python": "/usr/bin/python3.6"}, "/usr/bin/python3.6"),
        (None, {}, "python3"),
    ],
)
def test_program(chosen, facts, program):
    assert interpreter.program(chosen, {"ansible_facts": facts}) == program
