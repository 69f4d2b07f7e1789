# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/awx.yml against the stand-in for the AWX API."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES

from tests.support.awx_api import ENCRYPTED, MODULES, TOKEN, Awx, serve, survey_problem

from .conftest import ROOT

SETTINGS = {
    "awx_setup_credentials": ["fleet key"],
    "awx_setup_job_slices": 3,
    "awx_setup_inventory_variables": {"ansible_user": "ubuntu"},
    "awx_setup_notification_type": "webhook",
    "awx_setup_notification_configuration": {
        "url": "https://hooks.example.org/secret-path",
        "http_method": "POST",
        "disable_ssl_verification": False,
        "username": "",
        "password": "",
        "headers": {},
    },
}


@pytest.fixture
def awx():
    return Awx()


@pytest.fixture
def play(awx, tmp_path):
    with serve(awx) as url:

        def run(*arguments, host=url, **settings):
            done = subprocess.run(
                [
                    "ansible-playbook",
                    ROOT / "playbooks" / "awx.yml",
                    "-e",
                    json.dumps({**SETTINGS, **settings}),
                    *arguments,
                ],
                env={
                    **os.environ,
                    "CONTROLLER_HOST": host,
                    "CONTROLLER_OAUTH_TOKEN": TOKEN,
                    "ANSIBLE_NOCOLOR": "1",
                    "ANSIBLE_LOCALHOST_WARNING": "false",
                },
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            output = done.stdout + done.stderr
            assert TOKEN not in output
            assert "secret-path" not in output
            return done.returncode, output

        yield run


TEMPLATES = {
    "llmfleet prepare": ["inference_server_backend"],
    "llmfleet keys": [],
    "llmfleet deploy": ["inference_server_backend", "inference_server_release", "inference_server_intent"],
    "llmfleet bench": ["benchmark_workload"],
    "llmfleet report": ["report_label", "report_baseline"],
    "llmfleet rollback": ["inference_server_ready_timeout_s"],
    "llmfleet teardown": ["inference_server_purge"],
}


def test_everything_is_made_and_a_second_run_changes_nothing(awx, play):
    rc, output = play("-vvv")
    assert rc == 0, output
    organization = check_organization(awx)
    check_project(awx, organization)
    check_job_templates(awx)
    check_workflow(awx)

    written = len(awx.writes())
    rc, output = play()
    assert rc == 0, output
    assert "changed=0" in output
    assert awx.writes()[written:] == []

    check_a_secret_is_the_one_thing_sent_again(awx, play)

    rc, output = play(host="http://127.0.0.1:1", awx_setup_dry_run=True)
    assert rc == 0, output
    for collection in MODULES:
        for entry in awx.objects[collection].values():
            assert entry.get("name", entry.get("identifier")) in output


def check_a_secret_is_the_one_thing_sent_again(awx, play):
    """AWX does not give secrets back, so its module cannot know that they are the same."""
    (notification,) = awx.objects["notification_templates"].values()
    notification["notification_configuration"]["password"] = ENCRYPTED
    written = len(awx.writes())
    configuration = {**SETTINGS["awx_setup_notification_configuration"], "password": "secret-path"}
    rc, output = play(awx_setup_notification_configuration=configuration)
    assert rc == 0, output
    assert "changed=1" in output
    ((method, path),) = awx.writes()[written:]
    assert (method, path) == ("PATCH", notification["url"])


def only(awx, collection, **expected):
    """The only object of a collection, when it is as expected."""
    (entry,) = awx.objects[collection].values()
    assert {name: entry[name] for name in expected} == expected
    return entry["id"]


def check_organization(awx):
    organization = only(awx, "organizations", name="llmfleet")
    galaxy = awx.find("credentials", {"name": "Ansible Galaxy"})[0]["id"]
    assert awx.related["organizations", organization, "galaxy_credentials"] == [galaxy]
    types = {entry["name"]: entry for entry in awx.objects["credential_types"].values()}
    assert set(types) == {"llmfleet model hub token", "llmfleet API key", "Lambda Cloud API key"}
    for entry in types.values():
        assert all(field["secret"] for field in entry["inputs"]["fields"])
        assert "extra_vars" not in entry["injectors"]
    assert set(types["llmfleet model hub token"]["injectors"]["env"]) == {"LLMFLEET_HUB_TOKEN_FILE"}
    assert set(types["llmfleet API key"]["injectors"]["env"]) == {"LLMFLEET_API_KEY_FILE"}
    only(awx, "notification_templates", name="llmfleet", notification_type="webhook", organization=organization)
    return organization


def check_project(awx, organization):
    environment = only(awx, "execution_environments", name="llmfleet", image="llmfleet/serving-ee:latest")
    project = only(
        awx,
        "projects",
        name="llmfleet serving",
        organization=organization,
        scm_type="git",
        scm_branch="main",
        default_environment=environment,
    )
    inventory = only(awx, "inventories", name="llmfleet", organization=organization)
    assert json.loads(awx.objects["inventories"][inventory]["variables"]) == {"ansible_user": "ubuntu"}
    source = {
        "source": "scm",
        "source_project": project,
        "source_path": "inventory/hosts.yml",
        "update_on_launch": True,
    }
    only(awx, "inventory_sources", inventory=inventory, execution_environment=environment, **source)
    assert (ROOT / "inventory" / "hosts.yml").exists()


def check_job_templates(awx):
    templates = {entry["name"]: entry for entry in awx.objects["job_templates"].values()}
    assert set(templates) == set(TEMPLATES)
    for name, variables in TEMPLATES.items():
        entry = templates[name]
        assert (ROOT / entry["playbook"]).exists()
        assert entry["job_slice_count"] == (1 if name == "llmfleet report" else 3)
        assert entry["use_fact_cache"]
        assert entry["ask_limit_on_launch"]
        assert entry["ask_job_type_on_launch"]
        for relation in ("credentials", "notification_templates_error"):
            assert len(awx.related["job_templates", entry["id"], relation]) == 1
        assert entry["survey_enabled"] is bool(variables)
        survey = awx.surveys.get(("job_templates", entry["id"]), {"spec": []})
        assert [question["variable"] for question in survey["spec"]] == variables
        for question in survey["spec"]:
            if question["variable"] == "inference_server_backend":
                assert question["choices"] == list(ENGINES)


def check_workflow(awx):
    workflow = only(awx, "workflow_job_templates", name="llmfleet deploy, bench, report")
    asked = [question["variable"] for question in awx.surveys["workflow_job_templates", workflow]["spec"]]
    assert asked == TEMPLATES["llmfleet deploy"] + TEMPLATES["llmfleet bench"]
    for relation in ("notification_templates_success", "notification_templates_error"):
        assert len(awx.related["workflow_job_templates", workflow, relation]) == 1
    nodes = {entry["identifier"]: entry for entry in awx.objects["workflow_job_template_nodes"].values()}
    assert set(nodes) == {"deploy", "bench", "report"}
    for step, node in nodes.items():
        template = awx.objects["job_templates"][node["unified_job_template"]]
        assert (template["name"], node["workflow_job_template"]) == (f"llmfleet {step}", workflow)
    # Whatever became of the step before: on success and on failure.
    for parent, child in (("deploy", "bench"), ("bench", "report")):
        follows = awx.related["workflow_job_template_nodes", nodes[parent]["id"], "always_nodes"]
        assert follows == [nodes[child]["id"]]
    rrule = "DTSTART;TZID=Etc/UTC:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1"
    only(awx, "schedules", name="llmfleet nightly", unified_job_template=workflow, rrule=rrule, enabled=True)


def test_a_dry_run_prints_everything_and_sends_nothing(awx, play):
    rc, output = play(host="http://127.0.0.1:1", awx_setup_dry_run=True)
    assert rc == 0, output
    for name in ("llmfleet deploy", "Lambda Cloud API key", "RRULE", "inference_server_intent"):
        assert name in output
    assert awx.requests == []


def test_a_wrong_setting_is_refused(awx, play):
    rc, output = play(awx_setup_forks="many")
    assert rc != 0
    assert "awx_setup_forks" in output
    assert awx.requests == []


def knowledge():
    class Loader(yaml.SafeLoader):
        """Reads what Ansible reads."""

    Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    return yaml.load((ROOT / "roles" / "awx_setup" / "vars" / "main.yml").read_text(), Loader)


def test_every_question_asks_for_a_knob_with_its_choices_and_default():
    specs = {}
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            specs.update(entry.get("options", {}))
    engines = {"{{ __awx_setup_engines }}": list(ENGINES)}  # what Ansible makes of it is in the surveys above
    surveys = {name: value for name, value in knowledge().items() if name.startswith("__awx_setup_question_")}
    for questions in surveys.values():
        for question in questions:
            if str(question.get("choices")) in engines:
                question["choices"] = engines[question["choices"]]
        assert not survey_problem({"name": "", "description": "", "spec": questions})
        for question in questions:
            knob = specs[question["variable"]]
            truths = {False: "false", True: "true"} if knob["type"] == "bool" else {}
            assert question["default"] == truths.get(knob["default"], knob["default"])
            assert question.get("choices") == (list(truths.values()) or knob.get("choices", question.get("choices")))
