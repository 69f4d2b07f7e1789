# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin as `ansible-inventory` runs it, against the stand-in account."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.lambda_cloud import KEY, Account, serve

ROOT = Path(__file__).resolve().parents[4]


def plain(value):
    """A string as it is, where ansible-inventory marks it as not to be templated."""
    return value.get("__ansible_unsafe", value)


@pytest.fixture
def account():
    cloud = Account()
    cloud.add("one", tags=[{"key": "campaign", "value": "x"}])
    cloud.add("two", "gpu_1x_a100_sxm4", region={"name": "us-east-1", "description": "Virginia"})
    cloud.add("booting", status="booting", ip=None)
    cloud.add("twin")
    cloud.add("twin")
    cloud.instances["bare"] = {"id": "bare", "status": "active"}
    return cloud


@pytest.fixture
def inventory(account, tmp_path):
    """Runs ansible-inventory; gives its output."""
    with serve(account) as url:

        def run(*arguments, key=KEY, fails=False, **options):
            source = tmp_path / "fleet.lambda_cloud.yml"
            source.write_text(yaml.safe_dump({"plugin": "llmfleet.serving.lambda_cloud", "api_url": url, **options}))
            done = subprocess.run(
                ["ansible-inventory", "-i", source, "--playbook-dir", ROOT / "playbooks", "--list", *arguments],
                env={**os.environ, "LAMBDA_API_KEY": key, "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true"},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode != 0) is fails, done.stderr
            assert KEY not in done.stdout + done.stderr
            assert "jupyter-secret" not in done.stdout + done.stderr
            return done.stderr if fails else json.loads(done.stdout[done.stdout.index("{") :], object_hook=plain)

        yield run


def test_hosts_groups_and_variables(inventory, account):
    listed = inventory("-vvv")
    hosts = listed["_meta"]["hostvars"]
    twins = [entry["id"] for entry in account.live("twin")]
    assert set(hosts) == {"one", "two", "bare", *twins}
    assert set(listed["h100"]["hosts"]) == {"one", *twins}
    assert listed["a100"]["hosts"] == ["two"]
    assert {"h100", "a100"} <= set(listed["inference"]["children"])
    assert listed["tag_campaign_x"]["hosts"] == ["one"]
    assert listed["region_us_east_1"]["hosts"] == ["two"]
    assert "two" in listed["status_active"]["hosts"]
    assert hosts["one"]["ansible_host"] == account.ip
    assert hosts["one"]["ansible_user"] == "ubuntu"
    assert hosts["one"]["lambda_usd_per_hour"] == 4.29
    assert hosts["bare"]["ansible_host"] == "bare"


def test_filters_compose_and_keyed_groups(inventory):
    listed = inventory(
        statuses=["active", "booting"],
        regions=["us-west-3"],
        tags={"campaign": "x"},
        compose={"inference_server_tensor_parallel_size": "lambda_gpus"},
        groups={"dear": "lambda_usd_per_hour > 4"},
        keyed_groups=[{"key": "lambda_instance_type", "prefix": "type"}],
        strict=True,
    )
    assert list(listed["_meta"]["hostvars"]) == ["one"]
    assert listed["_meta"]["hostvars"]["one"]["inference_server_tensor_parallel_size"] == 1
    assert listed["dear"]["hosts"] == ["one"]
    assert listed["type_gpu_1x_h100_sxm5"]["hosts"] == ["one"]


def test_the_cache_saves_questions_and_keeps_no_secret(inventory, account, tmp_path):
    options = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    first = inventory(**options)
    asked = len(account.requests)
    assert inventory(**options) == first
    assert len(account.requests) == asked
    kept = "".join(path.read_text() for path in (tmp_path / "cache").iterdir())
    assert "one" in kept
    assert "jupyter-secret" not in kept
    account.instances.clear()
    for path in (tmp_path / "cache").iterdir():  # as --flush-cache does, which ansible-inventory has since core 2.19
        path.unlink()
    assert inventory(**options)["_meta"]["hostvars"] == {}


def test_pages(inventory, account):
    account.page_size = 2
    assert len(inventory()["_meta"]["hostvars"]) == 5


def test_a_wrong_key_says_so(inventory):
    assert "LAMBDA_API_KEY" in inventory("-vvv", key="wrong", fails=True)


def test_a_busy_api_is_asked_again(inventory, account):
    account.answers["/instances"] = [
        (429, {"error": {"code": "x", "message": "y"}}, {"Retry-After": "0.1"}),
        (500, "", {"Retry-After": "0.1"}),
    ]
    assert len(inventory()["_meta"]["hostvars"]) == 5


def test_what_members_of_the_account_wrote_is_no_template(account, tmp_path):
    """A name or a tag with a template in it is text; Ansible before 2.19 would render it, on the controller."""
    template = f"{{{{ lookup('pipe', 'touch {tmp_path}/ran') }}}}"
    account.instances["bare"]["name"] = template
    account.instances["bare"]["tags"] = [{"key": "note", "value": template}]
    with serve(account) as url:
        source = tmp_path / "fleet.lambda_cloud.yml"
        source.write_text(yaml.safe_dump({"plugin": "llmfleet.serving.lambda_cloud", "api_url": url}))
        play = {
            "hosts": "tag_note*",
            "gather_facts": False,
            "connection": "local",
            "tasks": [{"ansible.builtin.debug": {"msg": "{{ lambda_name }} {{ lambda_tags }}"}}],
        }
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            ["ansible-playbook", "-i", source, tmp_path / "play.yml"],
            env={
                **os.environ,
                "LAMBDA_API_KEY": KEY,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "lookup(" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "ran").exists()


HOSTILE = (
    *("h100", "b200", "inference", "all", "ALL", "ungrouped", "localhost", "127.0.0.1", "x:!y", "h100[0]", "h100:&x"),
    *("*", "~.*", "@/etc/passwd", "a,b", "one:22", "-l", "tag_campaign_x", "status_active", "gateway", "::1", "x y"),
)
PATTERNS = ("h100", "a100", "b200", "inference", "all", "x", "h100[0]", "tag_campaign_x", "localhost", "gateway")


SELECT = """
import json, sys
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
manager = InventoryManager(DataLoader(), [sys.argv[1]])
print(json.dumps({pattern: sorted(host.name for host in manager.get_hosts(pattern)) for pattern in sys.argv[2:]}))
"""


def selected(source):
    """The hosts that Ansible takes each pattern to mean."""
    done = subprocess.run(
        [sys.executable, "-c", SELECT, source, *PATTERNS],
        env={
            **os.environ,
            "LAMBDA_API_KEY": KEY,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections"),
        },
        cwd=source.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_no_name_from_outside_changes_what_a_pattern_selects(account, tmp_path):
    """Instances of no GPU class whose names, regions and tags are those of groups, or patterns, come to no group but their own."""
    source = tmp_path / "fleet.lambda_cloud.yml"
    with serve(account) as url:
        options = {"keyed_groups": [{"key": "lambda_tags.role", "prefix": "", "separator": ""}]}
        source.write_text(yaml.safe_dump({"plugin": "llmfleet.serving.lambda_cloud", "api_url": url, **options}))
        before = selected(source)
        entries = {}
        for number, name in enumerate(HOSTILE):
            entries[f"id{number}"] = {
                "id": f"id{number}",
                "name": name,
                "status": "active",
                "region": {"name": name},
                "tags": [{"key": "role", "value": name}, {"key": name, "value": ""}],
            }
        account.instances.update(entries)
        after = selected(source)
    everything = {"inference", "all"}  # these are of the account's hosts, whatever they are called
    assert {name: after[name] for name in PATTERNS if name not in everything} == {
        name: before[name] for name in PATTERNS if name not in everything
    }
    for pattern in everything:
        assert after[pattern] == sorted([*before[pattern], *entries])


def test_a_host_of_another_source_is_not_taken_over(account, tmp_path):
    account.instances["bare"]["name"] = "gpu-01.example.org"
    (tmp_path / "a_hosts.yml").write_text("inference: {children: {h100: {hosts: {gpu-01.example.org: }}}}")
    with serve(account) as url:
        source = tmp_path / "fleet.lambda_cloud.yml"
        source.write_text(yaml.safe_dump({"plugin": "llmfleet.serving.lambda_cloud", "api_url": url}))
        done = subprocess.run(
            ["ansible-inventory", "-i", tmp_path, "--playbook-dir", ROOT / "playbooks", "--list"],
            env={**os.environ, "LAMBDA_API_KEY": KEY},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    listed = json.loads(done.stdout, object_hook=plain)
    assert "ansible_host" not in listed["_meta"]["hostvars"].get("gpu-01.example.org", {})
    assert listed["_meta"]["hostvars"]["bare"]["lambda_id"] == "bare"
    assert "'gpu-01.example.org' as bare" in " ".join(done.stderr.split())
