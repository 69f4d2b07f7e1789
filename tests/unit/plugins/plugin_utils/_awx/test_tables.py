# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pure parts of the set-up of AWX, as tables."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx import (
    api,
    catalog,
    checks,
    notices,
    plan,
    rights,
    wanted,
)
from ansible_collections.llmfleet.serving.plugins.plugin_utils._role_settings import ROLES
from jinja2 import sandbox

from tests.support.awx_api import awx_settings, rrule_problems, survey_problem

GOOD = "DTSTART;TZID=Etc/UTC:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (GOOD, 0),
        ("DTSTART:20260101T020000Z RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SA", 0),
        ("DTSTART:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1", 1),
        ("RRULE:FREQ=DAILY;INTERVAL=1", 1),
        (f"{GOOD} DTSTART;TZID=Etc/UTC:20260101T020000", 1),
        ("DTSTART;TZID=Etc/UTC:20260101T020000", 1),
        ("DTSTART;TZID=Etc/UTC:20260101T020000 RRULE:FREQ=DAILY", 1),
        ("DTSTART;TZID=Etc/UTC:20260101T020000 RRULE:FREQ=SECONDLY;INTERVAL=1", 1),
        (f"{GOOD};COUNT=2;UNTIL=20270101T000000Z", 1),
        (f"{GOOD};COUNT=1000", 1),
        (f"{GOOD};BYDAY=1MO", 1),
        (f"{GOOD} EXDATE:20260102T020000Z", 1),
        ("every night", 2),
    ],
)
def test_a_recurrence_is_judged_before_awx_is_asked(text, faults):
    assert len(checks.rrule_faults(text)) == faults
    assert faults or not rrule_problems(text)


@pytest.mark.parametrize(
    ("kind", "answer", "taken"),
    [
        ({"type": "integer", "min": 1, "max": 10}, 10, True),
        ({"type": "integer", "min": 1, "max": 10}, 11, False),
        ({"type": "integer"}, "900", False),
        ({"type": "integer"}, True, False),
        ({"type": "float"}, 1, True),
        ({"type": "multiplechoice", "choices": ["false", "true"]}, "true", True),
        ({"type": "multiplechoice", "choices": ["false", "true"]}, True, False),
        ({"type": "multiplechoice", "choices": "a\nb"}, "b", True),
        ({"type": "multiselect", "choices": ["a", "b"]}, ["a"], True),
        ({"type": "multiselect", "choices": ["a", "b"]}, "a", False),
        ({"type": "text", "min": 2}, "a", False),
        ({"type": "text"}, "", True),
    ],
)
def test_an_answer_is_judged_in_the_types_of_awx(kind, answer, taken):
    assert (checks.refused({"variable": "x", **kind}, answer) == "") is taken


def specs():
    found = {}
    for path in ROLES.glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            found.update(entry.get("options", {}))
    return found


@pytest.mark.parametrize("template", catalog.TEMPLATES, ids=lambda template: template.name)
def test_every_question_asks_for_a_knob_with_its_choices_and_may_stay_open(template):
    if template.questions:
        assert not survey_problem({"name": "", "description": "", "spec": template.questions})
    options = {**specs(), "llmfleet_limit": {"type": "str"}, "llmfleet_gpu_class": {"type": "str"}}
    for question in template.questions:
        knob = options[question["variable"]]
        assert (question["required"], "default" in question) == (False, False)
        offered = ["false", "true"] if knob["type"] == "bool" else knob.get("choices", question.get("choices"))
        assert question.get("choices") == offered
        assert ("min" in question and "max" in question) == (question["type"] == "integer")


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("llmfleet/serving-ee:latest", "always"),
        ("llmfleet/serving-ee", "always"),
        ("images.example.org:5000/llmfleet/serving-ee", "always"),
        ("images.example.org:5000/llmfleet/serving-ee:1.0", "missing"),
        ("llmfleet/serving-ee@sha256:0123", "missing"),
        ("llmfleet/serving-ee:latest@sha256:0123", "missing"),
    ],
)
def test_an_image_with_a_tag_that_moves_is_pulled_each_time(image, policy):
    assert wanted.pull_policy(image) == policy


@pytest.mark.parametrize(
    ("fields", "found", "merged", "changes"),
    [
        ({"forks": 5}, {"forks": 5}, (), {}),
        ({"forks": 5}, {"forks": 6}, (), {"forks": 5}),
        ({"forks": 5}, {}, (), {"forks": 5}),
        ({"variables": {"a": 1}}, {"variables": "---\na: 1\nb: 2"}, ("variables",), {}),
        ({"variables": {"a": 1}}, {"variables": "b: 2"}, ("variables",), {"variables": '{"b": 2, "a": 1}'}),
        ({"extra_data": {"a": 1}}, {"extra_data": {"b": 2}}, ("extra_data",), {"extra_data": {"b": 2, "a": 1}}),
        ({"variables": {}}, {"variables": "{no YAML"}, ("variables",), {}),
        ({"extra_data": {"a": "b"}}, {"extra_data": {"a": "b"}}, (), {}),
        ({"messages": {"error": {"body": "x"}}}, {"messages": {"error": {"body": "x"}, "started": None}}, (), {}),
    ],
)
def test_only_what_differs_is_sent(fields, found, merged, changes):
    assert plan.changed_fields(fields, found, merged) == changes


@pytest.mark.parametrize(
    ("ids", "found", "managed", "alone", "types", "change"),
    [
        ([1], [], set(), False, {}, ([1], [])),
        ([1], [{"id": 1}, {"id": 2}], set(), False, {}, ([], [])),
        ([1], [{"id": 1}, {"id": 2}], {2}, False, {}, ([], [2])),
        ([], [{"id": 1}], set(), True, {}, ([], [1])),
        ([1], [{"id": 2, "credential_type": 9}, {"id": 3, "credential_type": 8}], set(), False, {1: 9}, ([1], [2])),
    ],
)
def test_a_list_keeps_what_is_not_ours(ids, found, managed, alone, types, change):
    assert tuple(plan.membership(ids, found, managed, alone=alone, types=types)) == change


@pytest.mark.parametrize(
    ("kind", "configuration", "named"),
    [
        ("", {}, []),
        ("pigeon", {}, ["one of awssns"]),
        ("webhook", {"url": "https://x"}, []),
        ("webhook", {"url": "https://x", "headers": "a"}, ["headers"]),
        ("webhook", {"url": "https://x", "http_method": "GET"}, ["http_method"]),
        ("webhook", {}, ["url"]),
        ("slack", {"token": "t"}, ["channels"]),
        ("email", {"host": "h", "port": "25"}, ["port", "recipients", "use_tls"]),
        ("irc", {"port": True, "use_ssl": 1}, ["port in ", "use_ssl in ", "targets"]),
    ],
)
def test_a_notification_is_judged_before_awx_is_asked(kind, configuration, named):
    text = " ".join(map(str, notices.problems(kind, configuration)))
    assert (text == "") is (named == [])
    assert [part for part in named if part not in text] == []


DIGEST = {
    "totals": {"hosts": 3, "ok": 2},
    "counts": {"regressions": 1},
    "groups": [
        {
            **{"gpu": "H100", "gpu_count": 1, "engine": "vllm", "model": "m", "workload_label": "smoke", "hosts": 2},
            "metrics": {"output_throughput": 1000.0, "median_ttft_ms": None},
            "verdicts": {"output_throughput": "worse"},
        }
    ],
    "hosts": [
        {"host": "gpu-01", "status": "ok", "finished_at": "2026-11-28T02:10:00Z", "output_throughput": 1000.0},
        {"host": 'gpu-03 "x"', "status": "missing", "finished_at": None, "output_throughput": None},
    ],
    "problems": [{"host": 'gpu-03 "x"', "status": "missing", "reason": "no result"}],
    "regressions": ["output_throughput of H100 fell by 9 %"],
}


PLACES = {"report.html": "https://store.example/27/report.html", "report.json": "https://store.example/27/report.json"}


@pytest.mark.parametrize(("kind", "part"), [("slack", "message"), ("email", "body"), ("webhook", "body")])
@pytest.mark.parametrize("artifacts", [{"llmfleet_report": DIGEST, "llmfleet_report_uploaded": PLACES}, {}, None])
def test_a_notification_carries_the_digest_and_renders_without_one(kind, part, artifacts):
    """`artifacts`: of a job of the report, of one without a report, and of a workflow, which has none."""
    environment = sandbox.ImmutableSandboxedEnvironment()
    job = {
        "id": 7,
        "name": "llmfleet report",
        "status": "failed",
        **({} if artifacts is None else {"artifacts": artifacts}),
    }
    text = environment.from_string(notices.messages(kind)["error"][part]).render(job=job, url="https://awx/#/jobs/7")
    if kind == "webhook":
        assert json.loads(text)["report"] == (DIGEST if artifacts else {})
        assert json.loads(text)["uploaded"] == (PLACES if artifacts else {})
        return
    assert text.startswith("llmfleet report failed: https://awx/#/jobs/7")
    everywhere = ['gpu-03 "x": missing', "2 of 3", *PLACES.values()]
    by_mail = [
        "output_throughput 1000.0 (worse)",
        "gpu-01: ok, 1000.0 tok/s, measured until 2026-11-28T02:10:00Z",
        "fell by 9 %",
    ]
    assert [part in text for part in everywhere] == [bool(artifacts)] * len(everywhere)
    assert [part in text for part in by_mail] == [kind == "email" and bool(artifacts)] * len(by_mail)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"detail": "Not found."}, "Not found."),
        ({"playbook": ["Playbook not found for project."]}, "playbook: Playbook not found for project."),
        ({"__all__": ["taken"], "name": ["a", "b"]}, "taken; name: a b"),
        ("\x1b[31mred", "[31mred"),
    ],
)
def test_a_refusal_is_said_in_the_words_of_awx(document, text):
    assert api.refusal(document) == text


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CONTROLLER_HOST": "https://a/", "CONTROLLER_OAUTH_TOKEN": "t"}, ("https://a", "t", True)),
        (
            {"CONTROLLER_HOST": "a", "CONTROLLER_OAUTH_TOKEN": "t", "CONTROLLER_VERIFY_SSL": "False"},
            ("https://a", "t", False),
        ),
        ({"AAP_HOSTNAME": "p", "AAP_TOKEN": "t"}, ("https://p", "t", True)),
        ({"TOWER_HOST": "a", "TOWER_USERNAME": "u", "TOWER_PASSWORD": "p"}, ("https://a", "", True)),
    ],
)
def test_the_login_comes_from_the_environment(environment, expected):
    found = api.login(environment)
    assert (found.url, found.token, found.verify) == expected


@pytest.mark.parametrize(
    ("environment", "count"),
    [({}, 2), ({"CONTROLLER_HOST": "a"}, 1), ({"CONTROLLER_HOST": "a", "CONTROLLER_USERNAME": "u"}, 1)],
)
def test_what_is_missing_of_a_login_is_named_at_once(environment, count):
    with pytest.raises(UserError) as caught:
        api.login(environment)
    assert len(caught.value.problems) == count


@pytest.mark.parametrize(
    ("found", "organization", "number"),
    [
        ([{"id": 1, "organization": 5}, {"id": 2, "organization": 6}], 5, 1),
        ([{"id": 1, "organization": None}], 5, 1),
        ([{"id": 1, "organization": 6}, {"id": 2, "organization": 7}], 5, None),
        ([{"id": 1, "organization": 5, "summary_fields": {"user_capabilities": {"use": False}}}], 5, None),
        ([], 5, None),
    ],
)
def test_a_credential_is_that_of_the_organisation_or_named_as_missing(found, organization, number):
    chosen = rights.credential("key", found, organization)
    assert (chosen["id"] if isinstance(chosen, dict) else None) == number


def test_a_dry_run_shows_no_secret():
    webhook = {"url": "https://hooks.example.org/secret-path"}
    urls = {"report.html": "https://user:secret-word@store.example.org/report.html"}
    settings = awx_settings(
        extra_vars={"report_upload_urls": urls, "api_key": "secret-key-0123"},
        notification_type="webhook",
        notification_configuration=webhook,
    )
    shown = wanted.shown(wanted.wanted(settings))
    assert "secret-" not in json.dumps(shown)
    assert {"kind": "schedules", "name": "llmfleet nightly"}.items() <= shown[-1].items()


def test_the_wanted_objects_refer_only_to_what_comes_before_them():
    settings = awx_settings(notification_type="webhook", notification_configuration={"url": "https://x"})
    known = {wanted.Ref("credentials", name) for name in wanted.credentials_named(settings)}
    for entry in wanted.wanted(settings):
        named = [*entry.scope.values(), *(value for value in entry.fields.values() if isinstance(value, wanted.Ref))]
        named += [ref for members in entry.members.values() for ref in members.refs]
        assert set(named) <= known, entry.name
        known.add(entry.ref)
