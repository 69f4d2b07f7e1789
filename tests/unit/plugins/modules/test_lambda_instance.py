# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.modules import lambda_instance, lambda_instance_info

from tests.support.core import patch_module_args
from tests.support.lambda_cloud import KEY, Account, serve, ssh_banner

WANTED = {"name": "a", "instance_type": "gpu_1x_h100_sxm5", "ssh_key": "fleet", "max_usd_per_hour": 10}
ROOT = Path(__file__).parents[4]
BROKEN = (502, "bad gateway", {})


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def call(account, capsys, monkeypatch):
    """Runs the module against the account; gives its result."""
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    with serve(account) as url, ssh_banner() as port:

        def run(check=False, module=lambda_instance, fails=False, **options):
            common = {"api_url": url, "request_timeout_s": 5}
            if module is lambda_instance:
                common.update(ssh_port=port, poll_interval_s=0.02, wait_timeout_s=5, settle_timeout_s=0.3)
            arguments = {**common, **options, "_ansible_check_mode": check}
            with patch_module_args(arguments), pytest.raises(SystemExit):
                module.main()
            result = json.loads(capsys.readouterr().out)
            assert result.get("failed", False) is fails, result
            assert KEY not in json.dumps(result)
            assert "jupyter-secret" not in json.dumps(result)
            return result

        yield run


def test_it_launches_once_and_waits_for_ssh(call, account):
    account.boots_after = 3
    first = call(**WANTED, tags={"campaign": "x"})
    assert first["changed"]
    assert first["instance"]["status"] == "active"
    assert first["instance"]["tags"] == {"campaign": "x"}
    assert first["account_usd_per_hour"] == 4.29
    second = call(**WANTED)
    assert not second["changed"]
    assert second["instance"]["id"] == first["instance"]["id"]
    assert account.launches() == 1


def test_check_mode_predicts_and_launches_nothing(call, account):
    result = call(check=True, **WANTED)
    assert result["changed"]
    assert result["attempts"] == [{"region": "us-south-2", "outcome": "planned"}]
    assert account.launches() == 0
    account.add("a")
    assert not call(check=True, **WANTED)["changed"]
    assert call(check=True, name="a", state="absent")["changed"]
    assert account.live("a")


def test_a_yes_that_is_not_kept_leads_to_the_next_region(call, account):
    account.full_regions = {"us-south-2"}
    result = call(**WANTED)
    assert result["attempts"] == [
        {"region": "us-south-2", "outcome": "no_capacity"},
        {"region": "us-west-3", "outcome": "launched"},
    ]
    assert result["instance"]["region"] == "us-west-3"


def test_the_wanted_regions_come_in_their_order(call, account):
    result = call(**WANTED, regions=["us-west-3", "us-south-2"])
    assert [entry["region"] for entry in result["attempts"]] == ["us-west-3"]


def test_no_capacity_anywhere_lists_what_was_tried(call, account):
    account.full_regions = {"us-south-2", "us-west-3"}
    result = call(fails=True, **WANTED)
    assert len(result["attempts"]) == 2
    assert "us-south-2 (no_capacity)" in result["msg"]
    assert account.live("a") == []


def test_room_that_comes_later_is_waited_for(call, account):
    account.full_regions = RoomLater(account, {"us-south-2", "us-west-3"}, refusals=3)
    result = call(**WANTED, capacity_timeout_s=5)
    assert [entry["outcome"] for entry in result["attempts"]] == ["no_capacity"] * 3 + ["launched"]


class RoomLater(set):
    """Regions that are full for a number of launches."""

    def __init__(self, account, regions, refusals):
        super().__init__(regions)
        self.account = account
        self.refusals = refusals

    def __contains__(self, region):
        return self.account.launches() <= self.refusals and super().__contains__(region)


@pytest.mark.parametrize("limit", [4.28, 0])
def test_the_cost_limit_refuses(call, account, limit):
    result = call(fails=True, **{**WANTED, "max_usd_per_hour": limit})
    assert "max_usd_per_hour" in result["msg"]
    assert account.launches() == 0


def test_the_cost_limit_counts_what_runs_already(call, account):
    account.add("other", "gpu_8x_b200_sxm6")
    call(fails=True, **{**WANTED, "max_usd_per_hour": 52})
    assert call(**{**WANTED, "max_usd_per_hour": 53})["account_usd_per_hour"] == 52.21


def test_an_unknown_type_lists_those_that_are(call):
    assert "gpu_1x_a100_sxm4" in call(fails=True, **{**WANTED, "instance_type": "gpu_1x_none"})["msg"]


def test_a_lost_answer_of_a_launch_that_worked_is_found_by_name(call, account):
    account.lose_launch = "after"
    result = call(**WANTED)
    assert result["attempts"] == [{"region": "us-south-2", "outcome": "lost"}]
    assert result["changed"]
    assert account.launches() == 1
    assert len(account.live("a")) == 1


def test_a_lost_answer_of_a_launch_that_did_not_work_is_not_sent_again(call, account):
    account.lose_launch = "before"
    result = call(fails=True, **WANTED)
    assert "run this again" in result["msg"]
    assert account.launches() == 1
    call(**WANTED)
    assert len(account.live("a")) == 1


def test_the_run_after_a_lost_answer_launches_nothing(call, account):
    """The instance turns up only after the first run gave up."""
    account.answers["/instance-operations/launch"] = [BROKEN]
    call(fails=True, **WANTED)
    account.add("a")
    result = call(**WANTED)
    assert not result["changed"]
    assert account.launches() == 1


def test_a_clash_of_types_is_refused(call, account):
    account.add("a", "gpu_1x_a100_sxm4")
    assert "gpu_1x_a100_sxm4" in call(fails=True, **WANTED)["msg"]
    assert account.launches() == 0


def test_two_of_one_name_are_not_chosen_from(call, account):
    ids = [account.add("a")["id"], account.add("a")["id"]]
    message = call(fails=True, **WANTED)["msg"]
    assert all(id_ in message for id_ in ids)


def test_one_that_is_terminating_is_no_instance(call, account):
    account.add("a", status="terminating")
    assert call(**WANTED)["changed"]


def test_absent_terminates_all_of_the_name_and_no_other(call, account):
    for name in ("a", "a", "b"):
        account.add(name)
    result = call(name="a", state="absent")
    assert result["changed"]
    assert len(result["terminated_ids"]) == 2
    assert account.live("a") == []
    assert len(account.live("b")) == 1
    assert not call(name="a", state="absent")["changed"]


def test_one_that_dies_while_booting(call, account):
    account.add("a", status="unhealthy")
    assert "unhealthy" in call(fails=True, **WANTED)["msg"]


def test_a_wait_without_ssh_ends_with_a_warning_of_the_bill(call, account):
    result = call(fails=True, **{**WANTED, "ssh_port": 1, "wait_timeout_s": 0.1})
    assert "bills" in result["msg"]
    assert result["instance"]["id"]


def test_without_waiting(call, account):
    account.boots_after = 1000
    assert call(**WANTED, wait=False)["instance"]["status"] == "booting"


def test_secrets_stay_out_of_the_result(call):
    result = call(**WANTED, user_data="#!/bin/sh\nexport TOKEN=hidden-in-user-data")
    assert "hidden-in-user-data" not in json.dumps(result)


def test_a_name_that_is_too_long(call, account):
    call(fails=True, **{**WANTED, "name": "x" * 65})
    assert account.requests == []


def test_results_are_as_documented(call, account):
    account.add("b")
    result = call(**WANTED)
    documented = yaml.safe_load(lambda_instance.RETURN)
    assert set(documented) == set(result) - {"changed", "invocation"}
    assert set(documented["instance"]["contains"]) == set(result["instance"])
    listed = call(module=lambda_instance_info)
    documented = yaml.safe_load(lambda_instance_info.RETURN)
    assert set(documented) == set(listed) - {"changed", "invocation"}
    kind = documented["instance_types"]["contains"]["gpu_1x_h100_sxm5"]["contains"]
    assert set(kind) == set(listed["instance_types"]["gpu_1x_h100_sxm5"])


def test_info_picks_by_tag(call, account):
    account.add("a", tags=[{"key": "campaign", "value": "x"}])
    account.add("b", "gpu_1x_a100_sxm4")
    listed = call(module=lambda_instance_info, tags={"campaign": "x"})
    assert [entry["name"] for entry in listed["instances"]] == ["a"]
    assert listed["account_usd_per_hour"] == 6.28


# --- the count of managed nodes (extensions/audit/event_query.yml) -------------------------------------------------------


def test_the_query_of_managed_nodes_reads_what_the_module_documents():
    queries = yaml.safe_load((ROOT / "extensions" / "audit" / "event_query.yml").read_text())
    (query,) = [entry["query"] for entry in queries.values()]
    documented = yaml.safe_load(lambda_instance.RETURN)
    read = re.findall(r"(?<![\w.])\.(\w+)", query)
    assert set(queries) == {"llmfleet.serving.lambda_instance"}
    assert read[0] in documented
    assert set(read[1:]) <= set(documented["instance"]["contains"])


@pytest.mark.skipif(not shutil.which("jq"), reason="there is no jq here")
def test_the_query_gives_one_node_for_an_instance_and_none_without(call, account):
    query = yaml.safe_load((ROOT / "extensions" / "audit" / "event_query.yml").read_text())
    query = query["llmfleet.serving.lambda_instance"]["query"]
    results = [call(**WANTED), call(name="nobody", state="absent"), {"msg": "failed"}]
    text = "\n".join(json.dumps(result) for result in results)
    done = subprocess.run(["jq", "-c", query], input=text, capture_output=True, text=True, check=True)
    (node,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert node["name"] == node["canonical_facts"]["id"] == results[0]["instance"]["id"]
