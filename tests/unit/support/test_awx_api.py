# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in for AWX is as strict as AWX 24.6.1: what that refuses or does is refused or done here, with its status and in its words."""

from __future__ import annotations

import pytest
import requests

from tests.support.awx_api import ADMIN_TOKEN, NO_HOSTS, OFFLINE, TOKEN, Awx, serve

RRULE = "DTSTART;TZID=Etc/UTC:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1"
ENGINE = {
    **{"question_name": "Engine", "variable": "engine", "type": "multiplechoice", "choices": ["vllm", "sglang"]},
    **{"required": True, "default": "vllm"},
}
LABEL = {"question_name": "Label", "variable": "label", "type": "text", "required": False, "default": ""}
START = {"question_name": "Start", "variable": "start_s", "type": "integer", "required": False, "min": 1, "max": 900}
PURGE = {
    "question_name": "Purge",
    "variable": "purge",
    "type": "multiplechoice",
    "required": False,
    "choices": ["false", "true"],
}


class Client:
    """A user of the API of an AWX that has an organisation, an inventory of three hosts and a project that was synced."""

    def __init__(self, awx, url):
        self.awx, self.url = awx, url

    def __call__(self, method, path, body=None, token=TOKEN):
        """Status and answer."""
        headers = {"Authorization": f"Bearer {token}"}
        reply = requests.request(method, f"{self.url}/api/v2/{path}", json=body, headers=headers, timeout=60)
        return reply.status_code, reply.json() if reply.content else None

    def make(self, kind, **fields):
        """The number of a new object."""
        status, answer = self("POST", f"{kind}/", fields)
        assert status == 201, answer
        return answer["id"]

    def sync(self, kind, number):
        """Syncs and waits; the status of the job."""
        _status, job = self("POST", f"{kind}/{number}/update/", {})
        jobs = "project_updates" if kind == "projects" else "inventory_updates"
        while self("GET", f"{jobs}/{job['id']}/")[1]["status"] == "pending":
            pass
        return self("GET", f"{jobs}/{job['id']}/")[1]["status"]

    def template(self, name="deploy", survey=(), slices=1, **fields):
        """A job template on the hosts."""
        given = {"project": self.project, "inventory": self.inventory, "playbook": "playbooks/deploy.yml"}
        asks = {f"ask_{what}_on_launch": True for what in ("limit", "variables")}
        number = self.make("job_templates", name=name, job_slice_count=slices, **given, **asks, **fields)
        if survey:
            self("POST", f"job_templates/{number}/survey_spec/", {"name": "", "description": "", "spec": list(survey)})
            self("PATCH", f"job_templates/{number}/", {"survey_enabled": True})
        return number


@pytest.fixture
def awx():
    return Awx()


@pytest.fixture
def api(awx):
    with serve(awx) as url:
        client = Client(awx, url)
        client.organization = client.make("organizations", name="ours")
        project = {"organization": client.organization, "scm_type": "git", "scm_url": "https://git.example/a.git"}
        client.project = client.make("projects", name="project", **project)
        assert client.sync("projects", client.project) == "successful"
        client.inventory = client.make("inventories", name="fleet", organization=client.organization)
        source = {"source": "scm", "source_project": client.project, "source_path": "inventory/hosts.yml"}
        client.source = client.make(
            "inventory_sources", name="hosts", inventory=client.inventory, update_on_launch=True, **source
        )
        yield client


# -- the ten points ----------------------------------------------------------------------------------------------------------


def test_1_a_schedule_and_a_launch_need_an_answer_to_each_required_question_and_a_default_is_none(api):
    template = api.template(survey=[ENGINE, LABEL])
    refused = (400, {"variables_needed_to_start": ["'engine' value missing"]})
    schedule = {"name": "nightly", "unified_job_template": template, "rrule": RRULE}
    assert api("POST", "schedules/", schedule) == refused
    assert api("POST", f"job_templates/{template}/launch/", {}) == refused
    assert api("POST", "schedules/", {**schedule, "extra_data": {"engine": "vllm"}})[0] == 201


def test_2_an_empty_default_of_a_question_that_may_stay_open_reaches_the_job(api):
    template = api.template(survey=[LABEL])
    _status, job = api("POST", f"job_templates/{template}/launch/", {})
    assert job["extra_vars"] == {"label": ""}


def test_3_a_job_template_is_refused_until_a_sync_has_succeeded_and_a_sync_that_failed_is_not_repeated(api, awx):
    awx.broken = "fatal: could not read from remote repository"
    fields = {"organization": api.organization, "scm_type": "git", "scm_url": "https://git.example/b.git"}
    project = api.make("projects", name="other", **fields)
    while api("GET", f"projects/{project}/")[1]["status"] == "pending":
        pass
    awx.broken = ""
    template = {"name": "deploy", "project": project, "inventory": api.inventory, "playbook": "playbooks/deploy.yml"}
    refused = (400, {"playbook": ["Playbook not found for project."]})
    assert api("POST", "job_templates/", template) == refused
    assert api("PATCH", f"projects/{project}/", {"scm_branch": ""})[1]["status"] == "failed"
    assert api("POST", "job_templates/", template) == refused
    assert api.sync("projects", project) == "successful"
    assert api("POST", "job_templates/", template)[0] == 201


def test_4_execution_environments_are_unique_in_all_of_awx_and_keep_their_organisation(api):
    other = api.make("organizations", name="other")
    number = api.make("execution_environments", name="ee", organization=api.organization, image="a")
    twin = {"name": "ee", "organization": other, "image": "b"}
    assert api("POST", "execution_environments/", twin)[0] == 400
    assert api("PATCH", f"execution_environments/{number}/", {"organization": other}) == (
        400,
        {"organization": ["Cannot change the organization of an execution environment"]},
    )
    api.make("inventories", name="fleet", organization=other)
    assert api("GET", "inventories/?name=fleet")[1]["count"] == 2


@pytest.mark.parametrize(("kind", "fields"), [("organizations", {}), ("credential_types", {"kind": "cloud"})])
def test_5_an_organisation_administrator_makes_no_organisation_and_no_credential_type(api, awx, kind, fields):
    awx.administered.add(api.organization)
    refused = (403, {"detail": "You do not have permission to perform this action."})
    assert api("POST", f"{kind}/", {"name": "new", **fields}, token=ADMIN_TOKEN) == refused
    inventory = {"name": "new", "organization": api.organization}
    assert api("POST", "inventories/", inventory, token=ADMIN_TOKEN)[0] == 201


def test_6_a_template_takes_one_credential_of_a_type_and_credentials_come_and_go_one_by_one(api, awx):
    template = api.template()
    kind = awx.named("credential_types", "Machine")["id"]
    first, second = (awx.put("credentials", {"name": name, "credential_type": kind})["id"] for name in ("one", "two"))
    place = f"job_templates/{template}/credentials/"
    assert api("POST", place, {"id": first}) == (204, None)
    assert api("POST", place, {"id": second}) == (400, {"error": "Cannot assign multiple Machine credentials."})
    assert api("POST", place, {"id": first, "disassociate": True}) == (204, None)
    assert api("GET", place)[1]["results"] == []


def test_7_the_slices_are_counted_by_the_hosts_that_were_known_before_the_launch(api):
    template = api.template(slices=3)
    _status, first = api("POST", f"job_templates/{template}/launch/", {})
    assert (first["type"], first["hosts"]) == ("job", ["gpu-01", "gpu-02", "gpu-03"])
    _status, second = api("POST", f"job_templates/{template}/launch/", {})
    assert (second["type"], second["is_sliced_job"], second["workflow_job"]) == ("workflow_job", True, second["id"])
    _status, nodes = api("GET", f"workflow_jobs/{second['id']}/workflow_nodes/")
    jobs = [api("GET", f"jobs/{node['job']}/")[1] for node in nodes["results"]]
    assert [job["hosts"] for job in jobs] == [["gpu-01"], ["gpu-02"], ["gpu-03"]]


def test_8_a_slice_that_holds_no_host_of_the_limit_fails(api, awx):
    template = api.template(slices=3)
    api.sync("inventory_sources", api.source)
    jobs = awx.launch(template, {"limit": "gpu-02"})
    assert [(job["status"], job["stdout"]) for job in jobs] == [
        ("failed", NO_HOSTS),
        ("successful", ""),
        ("failed", NO_HOSTS),
    ]


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        ({"url": "https://x"}, "Missing required fields for Notification Configuration: ['headers']."),
        ({"url": "https://x", "headers": "a"}, "Configuration field 'headers' incorrect type, expected object."),
        ({"url": "https://x", "headers": {}, "http_method": "GET"}, "HTTP method must be either 'POST' or 'PUT'."),
    ],
)
def test_9_a_webhook_needs_headers(api, configuration, problem):
    body = {"name": "hook", "organization": api.organization, "notification_type": "webhook"}
    status, answer = api("POST", "notification_templates/", {**body, "notification_configuration": configuration})
    assert (status, answer) == (400, {"__all__": [problem]})


@pytest.mark.parametrize(
    ("answers", "problems"),
    [
        ({"start_s": 60, "purge": "true", "label": "{{ braces }}"}, []),
        ({"start_s": "60"}, ["Value 60 for 'start_s' expected to be an integer."]),
        ({"start_s": 0}, ["'start_s' value 0 is too small (must be at least 1)."]),
        ({"start_s": 901}, ["'start_s' value 901 is too large (must be no more than 900)."]),
        ({"purge": True}, ["Value True for 'purge' expected to be one of ['false', 'true']."]),
        ({"label": 3}, ["Value 3 for 'label' expected to be a string."]),
    ],
)
def test_10_answers_are_strictly_typed_and_braces_stay_text(api, answers, problems):
    template = api.template(survey=[LABEL, START, PURGE])
    status, answer = api("POST", f"job_templates/{template}/launch/", {"extra_vars": answers})
    if problems:
        assert (status, answer) == (400, {"variables_needed_to_start": problems})
    else:
        assert (status, answer["extra_vars"]) == (201, answers)


# -- what else was seen --------------------------------------------------------------------------------------------------------


def test_without_access_to_galaxy_a_project_syncs_only_where_the_organisation_has_no_credential_for_it(api, awx):
    awx.offline = True
    place = f"organizations/{api.organization}/galaxy_credentials/"
    galaxy = awx.named("credentials", "Ansible Galaxy")["id"]
    assert api.sync("projects", api.project) == "successful"
    api("POST", place, {"id": galaxy})
    assert api.sync("projects", api.project) == "failed"
    update = max(awx.objects["project_updates"])
    assert (
        requests.get(
            f"{api.url}/api/v2/project_updates/{update}/stdout/",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        ).text
        == OFFLINE
    )
    api("POST", place, {"id": galaxy, "disassociate": True})
    assert api.sync("projects", api.project) == "successful"


def test_a_credential_of_a_person_is_hidden_from_an_organisation_administrator(api, awx):
    awx.administered.add(api.organization)
    kind = awx.named("credential_types", "Machine")["id"]
    awx.put("credentials", {"name": "ours", "credential_type": kind, "organization": api.organization})
    seen = api("GET", "credentials/", token=ADMIN_TOKEN)[1]["results"]
    assert [entry["name"] for entry in seen] == ["ours"]
    assert api("GET", "credentials/?name=fleet%20key", token=ADMIN_TOKEN)[1]["count"] == 0


def test_a_failed_step_whose_failure_leads_on_lets_the_workflow_end_as_successful(api, awx):
    template = api.template()
    workflow = api.make("workflow_job_templates", name="flow", organization=api.organization)
    nodes = [
        api.make(
            "workflow_job_template_nodes",
            identifier=name,
            workflow_job_template=workflow,
            unified_job_template=template,
        )
        for name in ("one", "two")
    ]
    api("POST", f"workflow_job_template_nodes/{nodes[0]}/always_nodes/", {"id": nodes[1]})
    assert awx.run_workflow(workflow, {"one": "failed"}) == ("successful", ["one", "two"])
    assert awx.run_workflow(workflow, {"two": "failed"}) == ("failed", ["one", "two"])


def test_what_a_step_leaves_reaches_the_next_ones_and_the_variables_of_the_workflow_beat_it(api, awx):
    template = api.template()
    workflow = api.make(
        "workflow_job_templates", name="flow", organization=api.organization, ask_variables_on_launch=True
    )
    fields = {"workflow_job_template": workflow, "unified_job_template": template}
    two = api.make(
        "workflow_job_template_nodes", identifier="two", extra_data={"a": "own", "b": "own", "c": "own"}, **fields
    )
    one = api.make("workflow_job_template_nodes", identifier="one", **fields)
    api("POST", f"workflow_job_template_nodes/{one}/success_nodes/", {"id": two})
    got = {}

    def perform(step, jobs):
        got[step] = jobs[0]["extra_vars"]
        return "successful", {"b": "left", "c": "left"}

    awx.run_workflow(workflow, answers={"c": "given"}, perform=perform)
    assert got == {"one": {"c": "given"}, "two": {"a": "own", "b": "left", "c": "given"}}


def test_a_relaunch_on_failed_hosts_has_them_as_its_limit_and_stays_in_its_slice(api, awx):
    template = api.template(slices=2)
    api.sync("inventory_sources", api.source)
    awx.ailing = {"gpu-03"}
    bad, good = awx.launch(template, {"extra_vars": {"a": 1}})
    assert (bad["failed_hosts"], good["status"]) == (["gpu-03"], "successful")
    assert api("POST", f"jobs/{good['id']}/relaunch/", {"hosts": "failed"}) == (
        400,
        {"hosts": "Cannot relaunch because previous job had 0 failed hosts."},
    )
    awx.ailing = set()
    status, again = api("POST", f"jobs/{bad['id']}/relaunch/", {"hosts": "failed"})
    assert (status, again["job"]) == (201, again["id"])
    assert [again[name] for name in ("limit", "hosts", "status", "extra_vars")] == [
        "gpu-03",
        ["gpu-03"],
        "successful",
        {"a": 1},
    ]
    assert (again["job_slice_number"], again["job_slice_count"]) == (1, 2)


def test_a_launch_ignores_what_it_is_not_asked_for_and_says_so(api):
    template = api.template(survey=[LABEL])
    api("PATCH", f"job_templates/{template}/", {"ask_variables_on_launch": False, "ask_limit_on_launch": False})
    body = {"limit": "gpu-01", "extra_vars": {"label": "a", "other": 1}}
    status, job = api("POST", f"job_templates/{template}/launch/", body)
    assert (status, job["ignored_fields"]) == (201, {"limit": "gpu-01", "extra_vars": {"other": 1}})
    assert (job["limit"], job["extra_vars"]) == ("", {"label": "a"})
