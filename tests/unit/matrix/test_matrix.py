# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import zipfile

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.matrix import __main__ as program
from tests.matrix import checks, environment, notices, table

ROWS, PACKAGES = table.read(table.TABLE.read_text())
TWO = [
    table.Row("2.16.19", ("3.10", "3.11"), "9.13.0", "3.13.3", ci=True),
    table.Row("2.18.19", ("3.12",), "11.13.0", "4.8.5"),
]


def names(choices):
    return [(choice.row.name, choice.version) for choice in choices]


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_holds_every_core_from_the_one_that_the_collection_asks_for():
    wanted = SpecifierSet(yaml.safe_load((environment.ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"])
    minors = [Version(row.core).minor for row in ROWS]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert all(Version(row.core) in wanted for row in ROWS)
    assert Version(f"2.{minors[0] - 1}.99") not in wanted


def test_the_table_begins_with_the_community_docker_that_the_collection_asks_for():
    wanted = SpecifierSet(
        yaml.safe_load((environment.ROOT / "galaxy.yml").read_text())["dependencies"]["community.docker"]
    )
    assert all(Version(row.community_docker) in wanted for row in ROWS)
    assert {Version(row.community_docker).major for row in ROWS} == {3, 4, 5}
    assert Version("3.12.99") not in wanted


def test_ci_runs_the_two_ends():
    assert [row.name for row in ROWS if row.ci] == [ROWS[0].name, ROWS[-1].name]


def test_the_documentation_says_what_the_table_says():
    lines = (environment.ROOT / "docs" / "installing.md").read_text().splitlines()
    for row in ROWS:
        (line,) = [line for line in lines if line.startswith(f"| {row.name} |")]
        first, *_between, last = sorted(row.pythons, key=Version)
        docker = row.community_docker.rpartition(".")[0]
        assert f"| {first} to {last} |" in line
        assert line.endswith(f"| {docker} |")


# --- choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "ends", "here", "chosen"),
    [
        ([], False, ["3.10", "3.12"], [("2.16", "3.10"), ("2.18", "3.12")]),
        ([], True, ["3.10", "3.12"], [("2.16", "3.10")]),
        (["2.18"], False, ["3.12"], [("2.18", "3.12")]),
        ([], False, ["3.11"], [("2.16", "3.11"), ("2.18", None)]),
    ],
)
def test_choose(asked, ends, here, chosen):
    assert names(table.choose(TWO, asked, ends, lambda version: version if version in here else None)) == chosen


@pytest.mark.parametrize(("asked", "words"), [("2.15", "2.16, 2.18"), ("2.18", "Python 3.12")])
def test_a_core_that_cannot_be_run_is_refused_where_it_is_asked_for(asked, words):
    with pytest.raises(table.Refused, match=re.escape(words)):
        table.choose(TWO, [asked], False, lambda version: None)


# --- what Ansible prints ----------------------------------------------------------------------------------------------

OUTPUT = """
TASK [one] ***
[WARNING]: a long warning that goes
on in the next line
ok: [demo-h100] =>
    msg: a task's own words
[DEPRECATION WARNING]: an old name. This feature will be removed from version
2.23.

PLAY RECAP ***
"""


def test_notices_are_found_whole():
    assert notices.notices(OUTPUT) == [
        "[WARNING]: a long warning that goes on in the next line",
        "[DEPRECATION WARNING]: an old name. This feature will be removed from version 2.23.",
    ]
    assert notices.notices("ok: [one] => msg: '[WARNING]: said by a task'") == []


def test_a_rule_explains_its_own_notice_alone():
    rules = {"why": re.compile("an old name")}
    assert notices.ours(OUTPUT, rules) == ["[WARNING]: a long warning that goes on in the next line"]


RECAP = "demo-b200 : ok=12 changed={} unreachable=0 failed={} skipped=2\ndemo-h100 : ok=9 changed=0 unreachable=0 failed=0\n"
ALL = RECAP + "demo-a100 : ok=9 changed=0 unreachable=0 failed=0\n"


@pytest.mark.parametrize(
    ("title", "output", "faults"),
    [
        ("deploy-second", ALL.format(0, 0), []),
        ("deploy-second", ALL.format(2, 0), ["demo-b200 changed=2"]),
        ("deploy-first", ALL.format(2, 0), ["demo-h100 changed=0", "demo-a100 changed=0"]),
        ("bench-first", ALL.format(1, 1), ["demo-b200 failed"]),
        ("bench-first", RECAP.format(0, 0), ["the recap names ['demo-b200', 'demo-h100']"]),
        ("bench-first", "", ["the recap names []"]),
    ],
)
def test_recap(title, output, faults):
    assert checks.recap_faults(title, output) == [f"{title}: {fault}" for fault in faults]


# --- community.docker -------------------------------------------------------------------------------------------------


class Documented:
    """A runner whose community.docker has these options."""

    def __init__(self, tasks, documentation):
        self.answers = [tasks, documentation]

    def output(self, *_words):
        return 0, json.dumps(self.answers.pop(0)), ""


def test_an_option_that_the_release_lacks_is_named():
    tasks = [{"block": [{"community.docker.docker_container": {"name": "n", "new": 1}, "loop": []}]}]
    known = {"container": {"aliases": ["name"]}, "image": {}}
    documentation = {"community.docker.docker_container": {"doc": {"options": known}}}
    assert list(checks.docker_options(Documented(tasks, documentation))) == [
        "community.docker.docker_container has no option new"
    ]
    assert list(checks.docker_options(Documented(tasks, {}))) == [
        "community.docker has no community.docker.docker_container"
    ]


# --- the environment and the result -----------------------------------------------------------------------------------


def test_only_the_collections_that_are_needed_are_unpacked(tmp_path):
    wheel, target = tmp_path / "a.whl", tmp_path / "to"
    kept = "ansible_collections/community/docker/MANIFEST.json"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(kept, json.dumps({"collection_info": {"version": "3.13.3"}}))
        archive.writestr("ansible_collections/community/docker_other/x", "")
        archive.writestr("ansible_collections/community/general/x", "")
    environment.unpack(wheel, target)
    assert [str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()] == [kept]
    environment.check_version(TWO[0], target)
    with pytest.raises(table.Refused, match=r"3\.13\.3"):
        environment.check_version(TWO[1], target)


def test_a_run_has_nothing_of_the_callers_ansible(tmp_path):
    given = {"PATH": "/bin", "ANSIBLE_JINJA2_NATIVE": "1", "PYTHONPATH": "/x", "HOME": "/root"}
    variables = environment.Environment(tmp_path).variables(given)
    assert "ANSIBLE_JINJA2_NATIVE" not in variables
    assert "PYTHONPATH" not in variables
    assert variables["HOME"] == "/root"


def test_the_results_are_a_table_and_a_document(tmp_path):
    good = program.Result(table.Choice(TWO[0], "3.10", "/p"), [], {"playbooks": 60.4, "unit tests": 20.2})
    bad = program.Result(table.Choice(TWO[1], "3.12", "/p"), ["deploy-first: x"], {"playbooks": 1.0})
    absent = program.Result(table.Choice(TWO[1], None, None))
    assert good.cells == ("2.16.19", "3.10", "3.13.3", "passed", "81")
    assert [bad.word, absent.word] == ["failed", "skipped: no Python 3.12 here"]
    program.write(tmp_path / "new" / "result.json", [good, bad])
    document = json.loads((tmp_path / "new" / "result.json").read_text())
    assert [entry["result"] for entry in document] == ["passed", "failed"]
    assert document[1]["faults"] == ["deploy-first: x"]
