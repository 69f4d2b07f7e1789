"""playbooks/awx.yml against the stand-in for the AWX API."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import yaml

from tests.support.awx_api import TOKEN, Awx, serve, survey_problem

from .conftest import ROOT

SETTINGS = {
    "awx_setup_credentials": ["fleet key"],
    "awx_setup_job_slices": 3,
    "awx_setup_inventory_variables": {"ansible_user": "ubuntu"},
    "awx_setup_notification_type": "webhook",
    "awx_setup_notification_configuration": {
        "url": "https://hooks.example.org/secret-path",
        "http_method": "POST",
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


def test_everything_is_made_and_a_second_run_changes_nothing(awx, play):
    rc, output = play("-vvv")
    assert rc == 0, output
    assert awx.names("organizations") == ["llmfleet"]
    assert len(awx.objects["credential_types"]) == 3
    assert awx.names("projects") == ["llmfleet serving"]
    assert awx.names("workflow_job_templates") == ["llmfleet deploy, bench, report"]
    assert awx.names("schedules") == ["llmfleet nightly"]
    check_job_templates(awx)
    check_workflow(awx)

    written = len(awx.writes())
    rc, output = play()
    assert rc == 0, output
    assert "changed=0" in output
    assert awx.writes()[written:] == []


def check_job_templates(awx):
    templates = {entry["name"]: entry for entry in awx.objects["job_templates"].values()}
    assert templates["llmfleet bench"]["job_slice_count"] == 3
    assert templates["llmfleet report"]["job_slice_count"] == 1
    for entry in templates.values():
        assert awx.related["job_templates", entry["id"], "credentials"]
        assert awx.related["job_templates", entry["id"], "notification_templates_error"]
    survey = awx.surveys["job_templates", templates["llmfleet deploy"]["id"]]
    assert "inference_server_backend" in [question["variable"] for question in survey["spec"]]


def check_workflow(awx):
    nodes = {entry["identifier"]: entry["id"] for entry in awx.objects["workflow_job_template_nodes"].values()}
    assert set(nodes) == {"deploy", "bench", "report"}
    for parent, child in (("deploy", "bench"), ("bench", "report")):
        assert awx.related["workflow_job_template_nodes", nodes[parent], "always_nodes"] == [nodes[child]]


def test_a_dry_run_prints_everything_and_asks_nobody(awx, play):
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
    for name in ("server", "workload"):
        questions = knowledge()[f"__awx_setup_question_{name}"]
        assert not survey_problem({"name": "", "description": "", "spec": questions})
        for question in questions:
            knob = specs[question["variable"]]
            assert question["default"] == knob["default"]
            assert question["choices"] == knob.get("choices", question["choices"])


def test_every_job_template_has_its_playbook():
    for template in knowledge()["__awx_setup_job_templates"]:
        assert (ROOT / template["playbook"]).exists()
