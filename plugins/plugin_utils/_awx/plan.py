# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One wanted object and the one found -> what to change. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

from . import catalog, checks, notices

Found = Mapping[str, Any]
_TEXTS = ("variables", "extra_vars")  # documents that AWX keeps as text
# Surveys as releases before the marks have left them: those that were not edited since may be replaced.
LANDED = frozenset(
    f"llmfleet.serving {checksum}"
    for checksum in (
        "fa47b82cdd4ca686",
        "f3c3d047fdcbbb58",
        "b62ad4723f609fe4",
        "86661dda64455caf",
        "5d42bc36759454fa",
        "b98f676391f00fad",
        "61db92894cac783b",
    )
)


def document(value: Any) -> dict[str, Any]:
    """A field that AWX keeps as the text of a document, as a dict; empty for what is none."""
    if isinstance(value, Mapping):
        return dict(value)
    try:
        parsed = yaml.safe_load(value or "") if isinstance(value, str) else None
    except yaml.YAMLError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def new_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent for an object that is not there yet."""
    return {name: _written(name, value) for name, value in fields.items()}


def _written(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _TEXTS else value


def changed_fields(fields: Mapping[str, Any], found: Found, merged: Iterable[str]) -> dict[str, Any]:
    """What is sent for an object that is there: the fields that differ. Of a merged document what others have set stays."""
    changes = {}
    for name, value in fields.items():
        if name in merged:
            before = document(found.get(name))
            if {**before, **value} != before:
                changes[name] = _written(name, {**before, **value})
        elif not _same(name, value, found):
            changes[name] = value
    return changes


def _same(name: str, value: Any, found: Found) -> bool:
    kept = found.get(name)
    if name == "notification_configuration":
        hidden, shown = notices.secrets(str(found.get("notification_type"))), kept or {}
        return all(
            not entry and not shown.get(field) if field in hidden else shown.get(field) == entry
            for field, entry in value.items()
        )
    if name == "messages":  # AWX adds those of other events
        return all((kept or {}).get(event) == messages for event, messages in value.items())
    if name == "extra_data":  # a dict, or text of one
        return document(kept) == value
    return bool(kept == value)


class Membership(NamedTuple):
    """Numbers to put into a list and to take out of it."""

    add: list[int]
    remove: list[int]


def membership(
    ids: list[int], found: Sequence[Found], managed: set[int], *, alone: bool, types: Mapping[int, Any]
) -> Membership:
    """`types`: the credential types of the wanted, where one of a type makes way for another."""
    there = {entry["id"]: entry for entry in found}
    taken = {kind for number, kind in types.items() if number in ids and kind is not None}
    remove = [
        number
        for number, entry in there.items()
        if number not in ids and (alone or number in managed or entry.get("credential_type") in taken)
    ]
    return Membership([number for number in ids if number not in there], remove)


# -- surveys ----------------------------------------------------------------------------------------------------------


class Survey(NamedTuple):
    """The survey to send, None where nothing is; and whether one that was edited in AWX is kept."""

    send: dict[str, Any] | None
    kept: bool = False


def survey(questions: list[catalog.Question], found: Found, *, replace: bool) -> Survey:
    """What becomes of a survey. Its description bears a checksum, by which one is known that was edited in AWX."""
    spec = found.get("spec") or []
    new = {"name": "", "description": _sum(questions), "spec": questions} if questions else None
    if spec == questions:
        return Survey(new if questions and found.get("description") != _sum(questions) else None)
    ours = found.get("description") == _sum(spec) or (not found.get("description") and _sum(spec) in LANDED)
    if spec and not ours and not replace:
        return Survey(None, kept=True)
    return Survey(new)


def _sum(questions: list[catalog.Question]) -> str:
    text = json.dumps(questions, sort_keys=True)
    return f"llmfleet.serving {hashlib.sha256(text.encode()).hexdigest()[:16]}" if questions else ""


def schedule_answers(answers: Mapping[str, Any], spec: list[catalog.Question]) -> tuple[dict[str, Any], list[Problem]]:
    """The answers of a schedule. AWX fills no default in for one, so those of required questions are given here."""
    required = {
        question["variable"]: question.get("default")
        for question in spec
        if question.get("required") and question["variable"] not in answers
    }
    problems = [
        Problem(
            f"the workflow's survey, as it is in AWX, requires an answer to {name}",
            "an answer of the schedule, or a default of the question",
            f"add {name} to awx_setup_schedule_answers, or set awx_setup_replace_surveys=true",
        )
        for name, default in required.items()
        if default in (None, "")
    ]
    given = {name: default for name, default in required.items() if default not in (None, "")}
    return {**given, **answers}, problems + checks.answer_problems(answers, spec)
