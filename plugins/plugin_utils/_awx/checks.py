# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of the settings AWX would refuse, said before it is asked: all at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from . import catalog, notices

_START = re.compile(r"DTSTART(;TZID=[^:\s]+)?:\d{8}T\d{6}(Z?)(?=\s|$)")
_RULE = re.compile(r"(?:EX)?RRULE:([^\s]+)|EXRULE:([^\s]+)")
_FREQUENCIES = ("MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_LEAST = {"forks": 0, "job_slices": 1, "timeout_s": 0, "approval_timeout_s": 0, "sync_timeout_s": 10}
_NAMES = ("prefix", "organization", "project", "execution_environment", "inventory", "inventory_source_path", "scm_url")


def problems(settings: Mapping[str, Any]) -> list[Problem]:
    """All of them, in the order of the variables."""
    found = [
        Problem(f"awx_setup_{name} is empty", "a name", f"set awx_setup_{name}")
        for name in _NAMES
        if not str(settings[name]).strip()
    ]
    found += [
        Problem(f"awx_setup_{name} is {settings[name]}", f"{least} or more", f"correct awx_setup_{name}")
        for name, least in _LEAST.items()
        if settings[name] < least
    ]
    found += [
        Problem(f"awx_setup_schedule_rrule {what}", "such as the default", "correct awx_setup_schedule_rrule")
        for what in rrule_faults(settings["schedule_rrule"])
    ]
    found += answer_problems(settings["schedule_answers"], catalog.WORKFLOW_QUESTIONS)
    return found + notices.problems(settings["notification_type"], settings["notification_configuration"])


def rrule_faults(text: str) -> list[str]:
    """What AWX does not take of a rule of recurrence."""
    starts = _START.findall(text)
    rules = ["".join(rule) for rule in _RULE.findall(text)]
    faults = []
    if len(starts) != 1:
        faults.append("needs one start, DTSTART;TZID=Etc/UTC:20260101T020000")
    elif not starts[0][0] and not starts[0][1]:
        faults.append("has a start without a time zone: DTSTART;TZID=ZONE:... or a Z at its end")
    if not rules:
        faults.append("has no RRULE:")
    if re.search(r"\b(EXDATE|RDATE)\b", text, re.I):
        faults.append("has EXDATE or RDATE, which AWX does not take")
    return [*faults, *(fault for rule in rules for fault in _rule_faults(rule))]


def _rule_faults(rule: str) -> list[str]:
    parts = dict(part.split("=", 1) for part in rule.upper().split(";") if "=" in part)
    checks = {
        "has a rule without INTERVAL=": not parts.get("INTERVAL", "").isdigit(),
        f"has no FREQ= of {', '.join(_FREQUENCIES)}": parts.get("FREQ") not in _FREQUENCIES,
        "has COUNT and UNTIL, of which one is allowed": "COUNT" in parts and "UNTIL" in parts,
        "has a COUNT that is no number up to 999": "COUNT" in parts and not re.fullmatch(r"\d{1,3}", parts["COUNT"]),
        "has BYDAY with a number before the day": bool(re.match(r"[0-9]", parts.get("BYDAY", ""))),
    }
    return [fault for fault, holds in checks.items() if holds]


def answer_problems(answers: Mapping[str, Any], questions: list[catalog.Question]) -> list[Problem]:
    """Answers that AWX would refuse: it takes no text for a number, and no true for "true"."""
    return [
        Problem(
            f"awx_setup_schedule_answers has {one_line(repr(answers[name]), 60)} for {name}",
            expected,
            f"correct {name} in awx_setup_schedule_answers",
        )
        for question in questions
        for name in [question["variable"]]
        if name in answers
        for expected in [refused(question, answers[name])]
        if expected
    ]


def refused(question: catalog.Question, answer: Any) -> str:
    """What AWX expects in the place of an answer; empty where it takes it."""
    kind = question["type"]
    if kind == "multiplechoice":
        choices = choices_of(question)
        return "" if answer in choices else f"one of {', '.join(choices)}, as text"
    if kind == "multiselect":
        fits = isinstance(answer, list) and set(answer) <= set(choices_of(question))
        return "" if fits else f"a list of {', '.join(choices_of(question))}"
    numbers: dict[str, tuple[type, ...]] = {"integer": (int,), "float": (int, float)}
    if kind not in numbers:
        return _out_of_range(question, len(answer)) if isinstance(answer, str) else "text"
    is_number = type(answer) in numbers[kind]
    return _out_of_range(question, answer) if is_number else "a number, not text"


def _out_of_range(question: catalog.Question, size: float) -> str:
    low, high = question.get("min"), question.get("max")
    above, below = low in (None, "") or size >= low, high in (None, "") or size <= high
    return "" if above and below else f"between {low} and {high}"


def choices_of(question: catalog.Question) -> list[str]:
    """The choices, which AWX keeps as a list or as lines."""
    choices = question.get("choices") or []
    return choices.splitlines() if isinstance(choices, str) else list(choices)
