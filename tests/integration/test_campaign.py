# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole campaign on the stand-in for Lambda Cloud; its instances are simulated hosts on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.support.bench import TOLERANT
from tests.support.lambda_cloud import KEY, Account, serve, ssh_banner

from .conftest import ROOT, free_port


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def play(account, tmp_path):
    """Runs a playbook of the project; gives its exit status and output."""
    inventory = tmp_path / "inventory.yml"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "inference_server_backend": "simulator",
        "inference_server_port": "{{ lambda_campaign_ports[inventory_hostname] }}",
        "inference_server_state_dir": f"{tmp_path}/state/{{{{ inventory_hostname }}}}",
        "benchmark_workload": "smoke",
        "benchmark_validity": TOLERANT,
        "report_dir": f"{tmp_path}/reports",
    }
    inventory.write_text(yaml.safe_dump({"lambda_campaign": {"vars": variables}}))
    with serve(account) as url, ssh_banner() as port:

        def run(playbook, *arguments, **options):
            wanted = {
                "lambda_campaign_api_url": url,
                "lambda_campaign_ssh_port": port,
                "lambda_campaign_poll_interval_s": 0.1,
                "lambda_campaign_ssh_key": "fleet",
                "lambda_campaign_max_usd_per_hour": 10,
                "lambda_campaign_instances": [
                    {"name": "one", "instance_type": "gpu_1x_h100_sxm5"},
                    {"name": "two", "instance_type": "gpu_1x_a100_sxm4"},
                ],
                "lambda_campaign_ports": {"one": free_port(), "two": free_port()},
                **options,
            }
            done = subprocess.run(
                [
                    "ansible-playbook",
                    "-i",
                    inventory,
                    ROOT / "playbooks" / playbook,
                    "-e",
                    json.dumps(wanted),
                    *arguments,
                ],
                env={**os.environ, "LAMBDA_API_KEY": KEY, "ANSIBLE_NOCOLOR": "1", "TZ": "UTC-9"},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=170,
                check=False,
            )
            assert KEY not in done.stdout + done.stderr
            return done.returncode, done.stdout + done.stderr

        yield run
    for record in tmp_path.glob("state/*/*/process.json"):
        with suppress(ProcessLookupError):
            os.kill(json.loads(record.read_text())["pid"], 9)


def report(folder: Path) -> dict:
    return json.loads((folder / "reports" / "latest" / "report.json").read_text())


def names(account):
    return {entry["name"] for entry in account.instances.values()}


def nothing_runs(account):
    return all(entry["status"] == "terminating" for entry in account.instances.values())


def test_a_campaign_measures_and_leaves_nothing_running(account, play, tmp_path):
    one = [{"name": "one", "instance_type": "gpu_1x_h100_sxm5"}]
    began = int(time.time())
    rc, output = play("campaign.yml", "-vvv", lambda_campaign_instances=one, lambda_campaign_max_hours=1)
    assert rc == 0, output
    assert names(account) == {"one"}, output
    assert nothing_runs(account)
    tags = {tag["key"]: tag["value"] for tag in next(iter(account.instances.values()))["tags"]}
    assert tags["campaign"] == "llmfleet"
    assert 0 <= int(tags["expires"]) - began - 3600 < 600
    assert [row["status"] for row in report(tmp_path)["hosts"]] == ["ok"]


def test_hosts_that_fail_are_reported_and_terminated(account, play, tmp_path):
    """One cannot be launched, the other does not start its server."""
    account.full_regions = {"us-east-1"}
    rc, output = play("campaign.yml", inference_server_simulator={"no-such-option": 1})
    assert rc != 0
    assert names(account) == {"one"}, output
    assert nothing_runs(account), output
    reasons = {row["host"]: row["reason"] for row in report(tmp_path)["hosts"]}
    assert "no region has room" in reasons["two"]
    assert "process ended" in reasons["one"]


def test_the_cost_limit_counts_the_whole_campaign_and_a_failing_report_keeps_nothing_alive(account, play, tmp_path):
    (tmp_path / "file").write_text("")
    options = {"lambda_campaign_max_usd_per_hour": 5, "report_dir": f"{tmp_path}/file/below"}
    rc, output = play("campaign.yml", inference_server_simulator={"no-such-option": 1}, **options)
    assert rc != 0
    assert "max_usd_per_hour" in output
    assert len(names(account)) == 1
    assert nothing_runs(account), output


def test_without_a_cost_limit_nothing_is_launched(account, play):
    rc, output = play("campaign.yml", lambda_campaign_max_usd_per_hour=0)
    assert rc != 0
    assert "lambda_campaign_max_usd_per_hour" in output
    assert account.requests == []


def test_names_that_would_select_other_hosts_are_refused(account, play):
    kinds = [
        {"name": name, "instance_type": "gpu_1x_h100_sxm5"} for name in ("one", "h100", "all", "x:!y", "localhost")
    ]
    rc, output = play("campaign.yml", lambda_campaign_instances=kinds)
    assert rc != 0
    refused = [
        name for name in ("one", "h100", "all", "x:!y", "localhost") if f"has the name {name}. Expected" in output
    ]
    assert refused == ["h100", "all", "x:!y", "localhost"]
    assert "Remedy: give the instance another name" in output
    assert account.requests == []


def test_an_instance_of_no_known_class_is_not_launched(account, play, tmp_path):
    rc, output = play("campaign.yml", lambda_campaign_instances=[{"name": "one", "instance_type": "gpu_1x_a10"}])
    assert rc != 0
    assert "group_vars/a10.yml" in output
    assert account.launches() == 0
    [row] = report(tmp_path)["hosts"]
    assert "no GPU profile for groups a10" in row["reason"]


def test_a_rehearsal_launches_nothing(account, play):
    _rc, output = play("campaign.yml", "--check")
    assert account.launches() == 0, output


def test_the_sweep_terminates_what_is_overdue_and_nothing_else(account, play):
    def tags(campaign, expires):
        return [{"key": "campaign", "value": campaign}, {"key": "expires", "value": str(expires)}]

    account.add("overdue", tags=tags("llmfleet", int(time.time()) - 3600))
    account.add("running", tags=tags("llmfleet", int(time.time()) + 3600))
    account.add("another", tags=tags("other", 1))
    account.add("mine")
    rc, output = play("campaign_sweep.yml", "-vvv")
    assert rc == 0, output
    assert not account.live("overdue")
    assert all(account.live(name) for name in ("running", "another", "mine"))


def roles_of(file: Path) -> list[str]:
    """The roles that a file of tasks or a playbook imports, in their order, itself or by files that it imports."""
    named = re.compile(r"import_tasks: (\S+\.yml)|import_role:\s+name: (\S+)")
    found = named.findall(file.read_text())
    return [name for tasks, role in found for name in ([role] if role else roles_of(file.parent / tasks))]


def test_a_campaign_deploys_what_deploy_deploys():
    """campaign.yml repeats the parts of deploy.yml, because no later play runs once all hosts of one have failed."""
    deploy = roles_of(ROOT / "playbooks" / "tasks" / "deploy_docker.yml")
    campaign = roles_of(ROOT / "playbooks" / "campaign.yml")
    assert len(deploy) == 4 and [role for role in campaign if role in deploy] == deploy
