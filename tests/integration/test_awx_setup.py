# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/awx.yml as a user calls it, against the stand-in for the API. What becomes of the objects is in the unit tests of `_awx`."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess

import pytest
import requests
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx import catalog, site
from ansible_collections.llmfleet.serving.plugins.plugin_utils._awx.api import Api, Login

from tests.support.awx_api import ADMIN_TOKEN, TOKEN, Awx, awx_settings, serve

from .conftest import ROOT

SETTINGS = {
    "awx_setup_credentials": ["fleet key"],
    "awx_setup_job_slices": 3,
    "awx_setup_inventory_variables": {"ansible_user": "ubuntu"},
    "awx_setup_notification_type": "webhook",
    "awx_setup_notification_configuration": {"url": "https://hooks.example.org/secret-path"},
}


@pytest.fixture
def awx():
    return Awx()


@pytest.fixture
def play(awx, tmp_path):
    with serve(awx) as url:

        def run(*arguments, login=None, token=TOKEN, **settings):
            login = {"CONTROLLER_HOST": url, "CONTROLLER_OAUTH_TOKEN": token} if login is None else login
            done = subprocess.run(
                [
                    "ansible-playbook",
                    ROOT / "playbooks" / "awx.yml",
                    "-e",
                    json.dumps({**SETTINGS, **settings}),
                    *arguments,
                ],
                env={**os.environ, **login, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "false"},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            output = done.stdout + done.stderr
            assert TOKEN not in output
            assert "secret-path" not in output
            return done.returncode, output

        yield run


def test_check_predicts_on_an_empty_awx_the_run_makes_it_and_a_second_run_changes_nothing(awx, play):
    rc, output = play("--check", "-vvv")
    assert rc == 0, output
    assert "job template llmfleet deploy: created" in output
    assert awx.writes() == []

    rc, output = play("-vvv")
    assert rc == 0, output
    assert set(awx.names("job_templates")) == {f"llmfleet {template.name}" for template in catalog.TEMPLATES}
    assert all((ROOT / entry["playbook"]).exists() for entry in awx.objects["job_templates"].values())
    (source,) = awx.objects["inventory_sources"].values()
    assert (ROOT / source["source_path"]).exists()

    written = len(awx.writes())
    rc, output = play()
    assert rc == 0, output
    assert "changed=0" in output
    assert "AWX is as it should be" in output
    assert awx.writes()[written:] == []

    rc, output = play(awx_setup_state="absent")
    assert rc == 0, output
    assert awx.names("job_templates") == []


DOCUMENT = (ROOT / "docs" / "awx.md").read_text()
CURLS = re.findall(r"^    (curl .*)$", DOCUMENT, re.MULTILINE)
COMMANDS = re.findall(r"^    (awx .*)$", DOCUMENT, re.MULTILINE)


def launched(command, url):
    """Status and answer of a documented launch."""
    words = [
        word.replace("$api", f"{url}/api/v2").replace("$CONTROLLER_OAUTH_TOKEN", TOKEN) for word in shlex.split(command)
    ]
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    address = next(word for word in words if word.startswith("http"))
    reply = requests.post(address, headers=headers, data=words[words.index("-d") + 1], timeout=60)
    return reply.status_code, reply.json()


def launched_by_command(command, url, awx):
    """Status and answer of a launch by the command `awx`, which sends each option as a field, extra variables as text."""
    _awx, kind, _launch, name, *options = shlex.split(command)
    given = {option.removeprefix("--"): value for option, value in zip(options[::2], options[1::2], strict=True)}
    body = {field: int(value) if value.isdigit() else value for field, value in given.items()}
    address = f"{url}/api/v2/{kind}/{awx.named(kind, name)['id']}/launch/"
    reply = requests.post(address, headers={"Authorization": f"Bearer {TOKEN}"}, json=body, timeout=60)
    return reply.status_code, reply.json()


def test_the_documented_launches_are_taken_as_they_stand(awx):
    with serve(awx) as url:
        site.settle(Api(Login(url, TOKEN), sleep=lambda _s: None), awx_settings(), check=False)
        assert len(CURLS) >= 4
        for command in CURLS:
            status, answer = launched(command, url)
            assert (status, answer["ignored_fields"]) == (201, {}), answer
        assert len(COMMANDS) >= 4
        for command in COMMANDS:
            status, answer = launched_by_command(command, url, awx)
            assert (status, answer["ignored_fields"]) == (201, {}), answer
        assert launched_by_command(COMMANDS[-1].replace('"true"', "true"), url, awx)[1]["variables_needed_to_start"]
        status, answer = launched(CURLS[2].replace("1200", '"1200"'), url)
        assert (status, answer) == (
            400,
            {
                "variables_needed_to_start": [
                    "Value 1200 for 'inference_server_ready_timeout_s' expected to be an integer."
                ]
            },
        )


def test_a_dry_run_prints_everything_and_needs_no_awx(awx, play):
    rc, output = play(login={}, awx_setup_dry_run=True)
    assert rc == 0, output
    for name in (
        "llmfleet deploy",
        "Lambda Cloud API key",
        "RRULE",
        "inference_server_intent",
        "change after approval",
    ):
        assert name in output
    assert awx.requests == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"awx_setup_forks": "many"}, ["awx_setup_forks"]),
        (
            {
                "awx_setup_schedule_rrule": "RRULE:FREQ=DAILY",
                "awx_setup_job_slices": 0,
                "awx_setup_notification_configuration": {},
            },
            ["needs one start", "without INTERVAL=", "awx_setup_job_slices is 0", "has no url"],
        ),
    ],
)
def test_wrong_settings_are_refused_at_once_and_before_awx_is_asked(awx, play, settings, named):
    rc, output = play(**settings)
    assert rc != 0
    assert [part for part in named if part not in output] == []
    assert awx.requests == []


@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["run", "check"])
def test_an_organisation_administrator_learns_in_one_message_all_that_is_missing_and_nothing_is_made(
    awx, play, arguments
):
    rc, output = play(
        *arguments, token=ADMIN_TOKEN, awx_setup_credentials=["GPU hosts"], awx_setup_scm_credential="git key"
    )
    assert rc != 0
    missing = ["the organisation llmfleet does not exist", "these credential types are missing"]
    missing += [f"there is no credential {name}" for name in ("GPU hosts", "git key", "Ansible Galaxy")]
    assert [part for part in missing if part not in " ".join(output.split())] == []
    assert output.count("FAILED!") == 1
    assert awx.writes() == []


def test_a_missing_login_is_named(awx, play):
    rc, output = play(login={})
    assert rc != 0
    assert "CONTROLLER_HOST" in output and "CONTROLLER_OAUTH_TOKEN" in output
    assert awx.requests == []
