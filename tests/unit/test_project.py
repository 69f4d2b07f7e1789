# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for the project as a whole: its pins, its links, its rule on group_vars."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
from pathlib import Path

import ansible_collections
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.matrix import table

ROOT = Path(__file__).resolve().parents[2]


def shipped_version(collection):
    """The version of a collection that the installed `ansible` package brings."""
    namespace, name = collection.split(".")
    for folder in ansible_collections.__path__:
        manifest = Path(folder) / namespace / name / "MANIFEST.json"
        if manifest.exists():
            return json.loads(manifest.read_text())["collection_info"]["version"]
    return None


@pytest.mark.parametrize(
    "entry", yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"], ids=lambda e: e["name"]
)
def test_the_ansible_package_brings_the_required_collections(entry):
    version = shipped_version(entry["name"])
    assert version is not None
    assert Version(version) in SpecifierSet(entry["version"])


def test_the_requirements_hold_the_dependencies():
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]
    required = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
    assert {entry["name"]: entry["version"] for entry in required} == galaxy


def test_the_supported_core_is_installed():
    wanted = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"]
    assert Version(importlib.metadata.version("ansible-core")) in SpecifierSet(wanted)


def pinned_core(python):
    """The ansible-core that requirements.txt gives a Python."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line.rstrip("\\ ")) for line in lines if line.startswith("ansible-core==")]
    asked = {"python_version": python, "python_full_version": f"{python}.0"}
    (version,) = [str(pin.specifier).removeprefix("==") for pin in pins if pin.marker.evaluate(asked)]
    return version


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_a_checkout_gets_the_newest_core_that_its_python_allows(python):
    rows, _packages = table.read(table.TABLE.read_text())
    assert pinned_core(python) == [row.core for row in rows if python in row.pythons][-1]


@pytest.mark.parametrize(
    ("name", "at_least"),
    [
        ("requirements.txt", 16),
        ("requirements-dev.txt", 16),
        ("requirements-docs.txt", 16),
    ],
)
def test_every_package_is_pinned_with_hashes_and_no_index_is_named(name, at_least):
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert len(entries) >= at_least
    assert [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "://" not in text


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("playbooks/group_vars", "../group_vars"),
        ("playbooks/collections/ansible_collections/llmfleet/serving", "../../../.."),
    ],
)
def test_both_links_are_links(link, target):
    assert os.readlink(ROOT / link) == target


@pytest.mark.parametrize("path", sorted((ROOT / "group_vars").glob("*.yml")), ids=lambda path: path.name)
def test_group_vars_hold_knowledge_and_no_knob(path):
    """The file for all hosts holds nothing at all: it would beat what the inventory sets for a group as `gpu_profile`."""
    content = yaml.safe_load(path.read_text())
    if path.stem == "all":
        assert content is None
        return
    assert list(content) == ["gpu_profile"]
    assert set(content["gpu_profile"]) == {"gpu_class", "name", "name_pattern", "published_key"}
    assert content["gpu_profile"]["gpu_class"] == path.stem


def test_the_action_group_holds_every_module_and_each_says_so():
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    modules = sorted((ROOT / "plugins" / "modules").glob("*.py"))
    assert groups == {"serving": [path.stem for path in modules]}
    assert [path.stem for path in modules if "llmfleet.serving.attributes.action_group" not in path.read_text()] == []


@pytest.mark.parametrize("path", ["ansible.cfg", "docs/installing.md", "docs/operations.md"])
def test_a_host_that_no_longer_answers_is_given_up_within_a_minute(path):
    """Ansible tries once more when the open connection breaks; with a real sshd that was stopped it took two ConnectTimeouts then."""
    options = dict(re.findall(r"-o (\w+)=(\d+)", (ROOT / path).read_text()))
    interval, count = int(options["ServerAliveInterval"]), int(options["ServerAliveCountMax"])
    assert interval * (count + 1) + 2 * int(options["ConnectTimeout"]) < 60
