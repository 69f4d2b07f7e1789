# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The set-up of an AWX against the strict stand-in: the first run, the second, and all that happens to an AWX between them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx import catalog, checks, site, wanted
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx.api import Api, Login

from tests.support.awx_api import ADMIN_TOKEN, ENCRYPTED, OFFLINE, TOKEN, Awx, awx_settings, serve

WEBHOOK = {"url": "https://hooks.example.org/secret-path"}
WORKFLOW = "llmfleet deploy, bench, report"
LANDED = Path(__file__).resolve().parents[3] / "fixtures" / "awx_landed.json"
OLD_TEMPLATES = [template for template in catalog.TEMPLATES if template.questions and template.name != "begin"]


def settings(**changes):
    return awx_settings(**{"credentials": ["fleet key"], "job_slices": 3, **changes})


@pytest.fixture
def awx():
    return Awx()


class Runs:
    """Runs of the set-up against an AWX."""

    def __init__(self, awx, url):
        self.awx, self.url = awx, url

    def __call__(self, token=TOKEN, check=False, **changes):
        chosen = settings(**changes)
        assert checks.problems(chosen) == []
        return site.settle(Api(Login(self.url, token), sleep=lambda _s: None), chosen, check=check)

    def refused(self, **arguments):
        """The problems of a run that is refused, in which nothing was sent that changes anything."""
        written = len(self.awx.writes())
        with pytest.raises(UserError) as caught:
            self(**arguments)
        assert self.awx.writes()[written:] == []
        return caught.value

    def unchanged(self, **arguments):
        """A run that finds nothing to do."""
        written = len(self.awx.writes())
        done = self(**arguments)
        assert done.changes == []
        assert self.awx.writes()[written:] == []
        return done


@pytest.fixture
def run(awx):
    with serve(awx) as url:
        yield Runs(awx, url)


# -- the first run, the second, and the prediction of both -----------------------------------------------------------------


def test_everything_is_made_and_a_second_run_changes_nothing(awx, run):
    predicted = run(check=True, notification_type="webhook", notification_configuration=WEBHOOK)
    assert awx.writes() == []
    done = run(notification_type="webhook", notification_configuration=WEBHOOK)
    assert predicted.changes == done.changes
    assert set(awx.names("job_templates")) == {f"llmfleet {template.name}" for template in catalog.TEMPLATES}
    assert set(awx.names("workflow_job_templates")) == {f"llmfleet {flow.name}" for flow in catalog.WORKFLOWS}
    assert awx.names("schedules") == ["llmfleet nightly"]
    run.unchanged(notification_type="webhook", notification_configuration=WEBHOOK)
    assert {len(entry["description"]) > 0 for entry in awx.objects["job_templates"].values()} == {True}


def test_what_is_made_is_as_the_settings_say(awx, run):
    run(job_slices=4, extra_vars={"report_forms": ["json"]}, inventory_variables={"ansible_user": "ubuntu"})
    deploy, report = awx.named("job_templates", "llmfleet deploy"), awx.named("job_templates", "llmfleet report")
    assert (deploy["job_slice_count"], report["job_slice_count"]) == (4, 1)
    assert json.loads(deploy["extra_vars"]) == {"report_dir": "/tmp/llmfleet/reports", "report_forms": ["json"]}
    assert awx.members(deploy, "credentials") == ["fleet key"]
    assert json.loads(awx.named("inventories", "llmfleet")["variables"]) == {"ansible_user": "ubuntu"}
    assert awx.named("execution_environments", "llmfleet")["pull"] == "always"
    assert awx.members(awx.named("organizations", "llmfleet"), "galaxy_credentials") == ["Ansible Galaxy"]


# -- schedules and surveys (fault 1) -----------------------------------------------------------------------------------------


def schedule_of(awx):
    (schedule,) = awx.objects["schedules"].values()
    return schedule


def test_the_nightly_run_overrides_nothing_that_the_inventory_chose(awx, run):
    run()
    assert awx.run_schedule(schedule_of(awx)["id"]) == {}


def test_a_scheduled_start_hands_the_identity_of_the_run_to_each_slice_and_sets_nothing_else(awx, run):
    run(job_slices=3)
    schedule, jobs = schedule_of(awx), {}

    def perform(step, started):
        jobs[step] = started
        return "successful", {"llmfleet_run": "awx-9"} if step == "begin" else {}

    ended = awx.run_workflow(schedule["unified_job_template"], answers=schedule["extra_data"], perform=perform)
    assert ended == ("successful", ["begin", "deploy", "bench", "report"])
    assert [len(started) for started in jobs.values()] == [1, 3, 3, 1]
    named = {step: {name for job in started for name in job["extra_vars"]} for step, started in jobs.items()}
    given = {"report_dir", "llmfleet_run"}
    bench = {*given, "llmfleet_deployed_0"}
    report = {*bench, "report_max_age_s", "report_fail_on"}
    assert named == {"begin": {"report_dir"}, "deploy": given, "bench": bench, "report": report}
    assert {"stale", "missing"} < set(jobs["report"][0]["extra_vars"]["report_fail_on"])


def test_the_nightly_run_may_have_answers(awx, run):
    run(schedule_answers={"benchmark_workload": "smoke"})
    assert awx.run_schedule(schedule_of(awx)["id"]) == {"benchmark_workload": "smoke"}
    run(schedule_answers={})
    assert awx.run_schedule(schedule_of(awx)["id"]) == {}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"benchmark_workload": "fast"}, "one of published, smoke, latency, saturation"),
        ({"inference_server_backend": True}, "one of vllm, sglang, simulator"),
        ({"llmfleet_limit": 3}, "text"),
    ],
)
def test_an_answer_that_awx_would_refuse_is_refused_before(answers, expected):
    (problem,) = checks.problems(settings(schedule_answers=answers))
    assert problem.expected.startswith(expected)


def edit_survey(awx, name=WORKFLOW, **changes):
    workflow = awx.named("workflow_job_templates", name)
    survey = awx.surveys["workflow_job_templates", workflow["id"]]
    questions = [{**question, **changes} for question in survey["spec"][:3]]
    awx.surveys["workflow_job_templates", workflow["id"]] = {**survey, "spec": questions}
    return questions


def test_a_survey_that_was_edited_in_awx_is_kept_and_named(awx, run):
    run()
    questions = edit_survey(awx, question_description="ours")
    done = run.unchanged()
    assert f"{WORKFLOW}: the survey" in " ".join(done.kept)
    workflow = awx.named("workflow_job_templates", WORKFLOW)
    assert awx.surveys["workflow_job_templates", workflow["id"]]["spec"] == questions
    run(replace_surveys=True)
    assert awx.surveys["workflow_job_templates", workflow["id"]]["spec"] == catalog.WORKFLOW_QUESTIONS
    run.unchanged(replace_surveys=True)


def test_required_questions_of_an_edited_survey_are_answered_for_the_schedule_or_named(awx, run):
    run()
    edit_survey(awx, required=True, type="text", default="all")
    run()
    assert set(schedule_of(awx)["extra_data"].values()) == {"all"}
    edit_survey(awx, required=True, type="text", default="")
    error = run.refused()
    assert "awx_setup_schedule_answers" in str(error)


# -- credentials (fault 3) -----------------------------------------------------------------------------------------------------


def credential(awx, name, kind="llmfleet API key", **fields):
    return awx.put(
        "credentials", {"name": name, "credential_type": awx.named("credential_types", kind)["id"], **fields}
    )


def test_a_credential_that_was_attached_by_hand_is_kept(awx, run):
    run()
    awx.attach("job_templates", "llmfleet keys", "credentials", credential(awx, "our key")["id"])
    done = run.unchanged()
    assert awx.members(awx.named("job_templates", "llmfleet keys"), "credentials") == ["fleet key", "our key"]
    assert done.kept == ["llmfleet keys: credential our key, which was attached in AWX"]


def test_credentials_are_settings_by_their_use_and_make_way_for_their_like(awx, run):
    run()
    (
        credential(awx, "our key"),
        credential(awx, "our token", "llmfleet model hub token"),
        credential(awx, "key 2", "Machine"),
    )
    run(api_key_credential="our key", hub_token_credential="our token", credentials=["key 2"])
    assert awx.members(awx.named("job_templates", "llmfleet keys"), "credentials") == ["key 2", "our key", "our token"]
    assert awx.members(awx.named("job_templates", "llmfleet deploy"), "credentials") == ["key 2"]
    run.unchanged(api_key_credential="our key", hub_token_credential="our token", credentials=["key 2"])


# -- syncs (fault 4) and slices (fault 5) ----------------------------------------------------------------------------------------


def test_a_first_sync_that_failed_is_told_in_awx_own_words_and_repaired_by_the_next_run(awx, run):
    awx.broken = "fatal: could not read from remote repository"
    with pytest.raises(UserError) as caught:
        run()
    assert "could not read from remote repository" in str(caught.value)
    assert "awx_setup_scm_url" in str(caught.value)
    awx.broken = ""
    run()
    run.unchanged()


def test_an_awx_without_galaxy_is_recognised(awx, run):
    awx.offline = True
    with pytest.raises(UserError) as caught:
        run()
    assert OFFLINE[:30] in str(caught.value)
    assert "set awx_setup_galaxy_credentials to an empty list, []" in caught.value.first.remedy
    run(galaxy_credentials=[])
    assert awx.members(awx.named("organizations", "llmfleet"), "galaxy_credentials") == []
    run.unchanged(galaxy_credentials=[])


def test_a_project_without_our_playbooks_is_named(awx, run):
    awx.playbooks.remove("playbooks/begin.yml")
    with pytest.raises(UserError, match=r"was synced and has no playbooks/begin\.yml"):
        run()


def test_a_wait_has_an_end(awx, run, monkeypatch):
    monkeypatch.setattr(awx, "finish", lambda job: None)
    ticks = iter(range(0, 10_000, 50))
    api = Api(Login(run.url, TOKEN), sleep=lambda _s: None)
    site_ = site.Site(api, settings(sync_timeout_s=100), dry=False, clock=lambda: next(ticks))
    with pytest.raises(UserError, match="has not ended in 100 s"):
        site_.present()


def test_the_first_launch_after_the_set_up_is_sliced(awx, run):
    run(job_slices=3)
    jobs = awx.launch(awx.named("job_templates", "llmfleet deploy")["id"], {})
    assert [job["hosts"] for job in jobs] == [["gpu-01"], ["gpu-02"], ["gpu-03"]]


def test_hosts_by_the_survey_fail_no_slice_where_a_limit_would(awx, run):
    run(job_slices=3)
    deploy = awx.named("job_templates", "llmfleet deploy")["id"]
    assert {job["status"] for job in awx.launch(deploy, {"limit": "gpu-02"})} == {"failed", "successful"}
    answered = awx.launch(deploy, {"extra_vars": {"llmfleet_limit": "gpu-02"}})
    assert {job["status"] for job in answered} == {"successful"}
    assert {job["status"] for job in awx.launch(deploy, {"limit": "gpu-02", "job_slice_count": 1})} == {"successful"}


# -- what is no longer wanted (fault 6) ----------------------------------------------------------------------------------------


def test_a_changed_source_path_takes_the_old_hosts_away(awx, run):
    run()
    inventory = awx.named("inventories", "llmfleet")["id"]
    run(inventory_source_path="inventory/prod.yml")
    assert awx.names("inventory_sources") == ["llmfleet hosts"]
    assert awx.hosts_of(inventory) == ["prod-01"]
    run.unchanged(inventory_source_path="inventory/prod.yml")


def test_what_is_ours_and_no_longer_wanted_goes_and_the_rest_stays(awx, run):
    notified = {"notification_type": "webhook", "notification_configuration": WEBHOOK}
    run(**notified)
    ours = awx.named("job_templates", "llmfleet bench")
    fields = {name: value for name, value in ours.items() if name not in ("id", "url")}
    awx.put("job_templates", {**fields, "name": "llmfleet tune"})
    awx.put("job_templates", {**fields, "name": "their bench", "description": "ours"})
    run()
    assert "llmfleet tune" not in awx.names("job_templates")
    assert "their bench" in awx.names("job_templates")
    assert awx.names("notification_templates") == []
    run.unchanged()


def test_variables_that_were_set_in_awx_survive(awx, run):
    run(inventory_variables={"ansible_user": "ubuntu"})
    awx.named("inventories", "llmfleet")["variables"] = "ansible_user: ubuntu\nbenchmark_workload: smoke\n"
    run.unchanged(inventory_variables={"ansible_user": "ubuntu"})
    run(inventory_variables={"ansible_user": "root"})
    kept = json.loads(awx.named("inventories", "llmfleet")["variables"])
    assert kept == {"ansible_user": "root", "benchmark_workload": "smoke"}


def test_a_deleted_node_comes_back_with_its_edges(awx, run):
    run()
    bench = next(
        entry for entry in awx.objects["workflow_job_template_nodes"].values() if entry["identifier"] == "bench"
    )
    awx.remove("workflow_job_template_nodes", bench["id"])
    run()
    workflow = bench["workflow_job_template"]
    assert awx.run_workflow(workflow, {})[1] == ["begin", "deploy", "bench", "report"]
    run.unchanged()


def test_absent_takes_everything_of_ours_away_and_nothing_else(awx, run):
    before = {kind: set(entries) for kind, entries in awx.objects.items()}
    run(notification_type="webhook", notification_configuration=WEBHOOK)
    predicted = run(state="absent", check=True)
    done = run(state="absent")
    assert predicted.changes == done.changes
    leftover = {kind: set(entries) - before[kind] for kind, entries in awx.objects.items()}
    gone = {kind for kind, entries in leftover.items() if not entries}
    assert set(leftover) - gone <= {"project_updates", "inventory_updates"}
    run.unchanged(state="absent")


def test_absent_keeps_what_others_still_need(awx, run):
    run()
    credential(awx, "our key")
    organization = awx.named("organizations", "llmfleet")
    awx.put("projects", {"name": "theirs", "organization": organization["id"]})
    done = run(state="absent")
    assert awx.names("projects") == ["theirs"]
    assert "organization llmfleet: projects theirs" in done.kept
    assert "llmfleet API key" in awx.names("credential_types")


# -- rights (fault 7) ----------------------------------------------------------------------------------------------------------


def test_an_organisation_administrator_learns_all_that_is_missing_at_once(awx, run):
    error = run.refused(token=ADMIN_TOKEN, credentials=["GPU hosts"], galaxy_credentials=["Ansible Galaxy", "Hub"])
    text = str(error)
    assert len(error.problems) == 5
    for part in (
        "the organisation llmfleet does not exist",
        "Lambda Cloud API key",
        "no credential GPU hosts",
        "no credential Hub",
    ):
        assert part in text


def test_an_organisation_administrator_sets_up_once_the_ground_is_laid(awx, run):
    organization = awx.put("organizations", {"name": "llmfleet"})
    error = run.refused(token=ADMIN_TOKEN)
    assert "ann is no administrator of the organisation llmfleet" in str(error)
    awx.administered.add(organization["id"])
    error = run.refused(token=ADMIN_TOKEN)
    assert "credential types" in str(error.first)
    for entry in catalog.CREDENTIAL_TYPES:
        awx.put("credential_types", {"kind": "cloud", **entry})
    awx.named("credentials", "fleet key")["organization"] = organization["id"]
    error = run.refused(token=ADMIN_TOKEN)
    assert "no credential Ansible Galaxy" in str(error.first)
    awx.attach("organizations", "llmfleet", "galaxy_credentials", awx.named("credentials", "Ansible Galaxy")["id"])
    run(token=ADMIN_TOKEN)
    run.unchanged(token=ADMIN_TOKEN)


def test_a_token_that_is_not_valid_is_named(run):
    with pytest.raises(UserError, match=r"answers 401.*CONTROLLER_OAUTH_TOKEN"):
        run(token="wrong")


# -- names (fault 8), the platform -----------------------------------------------------------------------------------------------


def test_two_fleets_live_in_one_awx(awx, run):
    run()
    run(prefix="berlin", inventory_source_path="inventory/prod.yml")
    run.unchanged()
    run.unchanged(prefix="berlin", inventory_source_path="inventory/prod.yml")
    run(prefix="berlin", state="absent")
    run.unchanged()
    assert set(awx.names("workflow_job_templates")) == {f"llmfleet {flow.name}" for flow in catalog.WORKFLOWS}


def test_the_same_names_in_another_organisation_are_not_ours(awx, run):
    other = awx.put("organizations", {"name": "other"})["id"]
    theirs = [
        awx.put("inventories", {"name": "llmfleet", "organization": other}),
        awx.put("credentials", {"name": "fleet key", "organization": other, "credential_type": 1}),
    ]
    before = [dict(entry) for entry in theirs]
    own = awx.put("organizations", {"name": "llmfleet"})["id"]
    awx.named("credentials", "Ansible Galaxy")
    mine = awx.put("credentials", {"name": "fleet key", "organization": own, "credential_type": 1})
    run()
    assert theirs == before
    deploy = awx.named("job_templates", "llmfleet deploy")
    assert awx.related["job_templates", deploy["id"], "credentials"] == [mine["id"]]
    inventory = awx.objects["inventories"][deploy["inventory"]]
    assert inventory["organization"] == own


def test_an_execution_environment_of_another_organisation_is_named(awx, run):
    other = awx.put("organizations", {"name": "other"})["id"]
    awx.put("execution_environments", {"name": "llmfleet", "organization": other, "image": "theirs"})
    error = run.refused()
    assert "belongs to the organisation other" in str(error)
    run(execution_environment="llmfleet here")


def test_the_controller_of_a_platform_is_set_up_behind_its_gateway():
    awx = Awx(platform=True)
    with serve(awx) as url:
        run = Runs(awx, url)
        run()
        run.unchanged()
    posts = [path for method, path in awx.writes() if method == "POST"]
    assert posts[0] == "/api/gateway/v1/organizations/"
    assert all(path.startswith(("/api/gateway/", "/api/controller/v2/")) for path in posts)


# -- workflows -------------------------------------------------------------------------------------------------------------------


def workflow_id(awx, name=WORKFLOW):
    return awx.named("workflow_job_templates", name)["id"]


@pytest.mark.parametrize(
    ("outcomes", "status", "ran"),
    [
        ({}, "successful", ["begin", "deploy", "bench", "report"]),
        ({"deploy": "failed", "bench": "failed", "report": "failed"}, "failed", ["begin", "deploy", "bench", "report"]),
        ({"begin": "failed"}, "failed", ["begin"]),
    ],
)
def test_the_workflow_reports_whatever_became_of_the_steps_and_fails_with_the_report(awx, run, outcomes, status, ran):
    run(notification_type="webhook", notification_configuration=WEBHOOK)
    assert awx.run_workflow(workflow_id(awx), outcomes) == (status, ran)
    told = {sent.name for sent in awx.notified}
    assert all(json.loads(sent.body)["name"] == sent.name for sent in awx.notified)
    assert ("llmfleet report" in told) == ("report" in ran)
    assert (WORKFLOW in told) == (status == "failed")


def test_nothing_is_changed_before_it_is_approved(awx, run):
    run(approval_timeout_s=60)
    workflow = workflow_id(awx, "llmfleet change after approval")
    assert awx.run_workflow(workflow, {"approval": "failed"}) == ("failed", ["begin", "approval"])
    assert awx.run_workflow(workflow, {})[1] == ["begin", "approval", "deploy", "bench", "report"]
    run(approval_timeout_s=90)
    (approval,) = awx.objects["workflow_approval_templates"].values()
    assert approval["timeout"] == 90


def test_a_secret_is_the_one_thing_that_is_sent_again(awx, run):
    """AWX does not give secrets back, so it cannot be known whether they are the same."""
    configuration = {**WEBHOOK, "password": "secret-path"}
    run(notification_type="webhook", notification_configuration=configuration)
    (notification,) = awx.objects["notification_templates"].values()
    assert notification["notification_configuration"]["password"] == ENCRYPTED
    done = run(notification_type="webhook", notification_configuration=configuration)
    assert [str(change) for change in done.changes] == [
        "notification template llmfleet: changed: notification_configuration"
    ]


# -- a set-up of an earlier release ------------------------------------------------------------------------------------------------


@pytest.fixture
def landed(awx):
    """As the first release leaves an AWX: its playbook was run against the stand-in, and its schedule was mended by hand."""
    awx.restore(json.loads(LANDED.read_text()))
    return {
        kind: {entry.get("name"): number for number, entry in entries.items()} for kind, entries in awx.objects.items()
    }


@pytest.mark.parametrize("source_path", ["inventory/hosts.yml", "inventory/prod.yml"])
def test_a_set_up_of_an_earlier_release_is_brought_up_and_nothing_is_doubled(awx, run, landed, source_path):
    chosen = {
        "notification_type": "webhook",
        "notification_configuration": WEBHOOK,
        "inventory_source_path": source_path,
    }
    predicted = run(check=True, **chosen)
    assert predicted.changes == run(**chosen).changes
    for kind in set(site.REMOVED) - {"inventory_sources"}:
        now = {entry["name"]: number for number, entry in awx.objects[kind].items()}
        assert {name: now.get(name) for name in landed[kind]} == landed[kind]
    assert {name: list(landed["inventory_sources"].values()) for name in awx.names("inventory_sources")} == {
        "llmfleet hosts": list(awx.objects["inventory_sources"])
    }
    surveys = [
        awx.surveys["job_templates", landed["job_templates"][f"llmfleet {t.name}"]]["spec"] for t in OLD_TEMPLATES
    ]
    assert surveys == [template.questions for template in OLD_TEMPLATES]
    workflow = workflow_id(awx)
    assert awx.surveys["workflow_job_templates", workflow]["spec"] == catalog.WORKFLOW_QUESTIONS
    assert awx.run_workflow(workflow, {})[1] == ["begin", "deploy", "bench", "report"]
    assert awx.run_schedule(schedule_of(awx)["id"]) == {}
    assert awx.named("execution_environments", "llmfleet")["pull"] == "always"
    assert all(
        entry["description"].endswith(wanted.mark(settings()))
        for kind in site.REMOVED
        for entry in awx.objects[kind].values()
    )
    run.unchanged(**chosen)


def test_a_survey_of_an_earlier_release_that_was_edited_is_kept(awx, run, landed):
    number = landed["job_templates"]["llmfleet deploy"]
    edited = awx.surveys["job_templates", number]["spec"][:2]
    awx.surveys["job_templates", number]["spec"] = edited
    done = run()
    assert awx.surveys["job_templates", number]["spec"] == edited
    assert "llmfleet deploy: the survey, which was edited in AWX" in " ".join(done.kept)


def test_the_mark_names_the_fleet():
    assert wanted.mark(settings()) == "(llmfleet.serving awx_setup: llmfleet in llmfleet)"
