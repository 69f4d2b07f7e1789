# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every play, block, task and handler is named by what it does: a verb of action comes first, behind the file's prefix (`Apt | `)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]

VERBS = [
    "Add",
    "Check",
    "Compute",
    "Configure",
    "Copy",
    "Create",
    "Deploy",
    "Fail",
    "Fetch",
    "Install",
    "Launch",
    "List",
    "Lock",
    "Measure",
    "Prepare",
    "Print",
    "Pull",
    "Read",
    "Reboot",
    "Record",
    "Remove",
    "Report",
    "Roll",
    "Run",
    "Start",
    "Stop",
    "Terminate",
    "Test",
    "Unlock",
    "Upgrade",
    "Upload",
    "Wait",
    "Write",
]


def yaml_files() -> Iterator[Path]:
    yield from (ROOT / "roles").glob("*/tasks/*.yml")
    yield from (ROOT / "roles").glob("*/handlers/*.yml")
    yield from (ROOT / "playbooks").glob("*.yml")
    yield from (ROOT / "playbooks" / "tasks").glob("*.yml")
    yield from (path for path in (ROOT / "molecule").glob("*/*.yml") if path.name != "molecule.yml")


def names(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The names of plays, blocks, tasks and handlers, those inside of others too."""
    for entry in entries:
        yield entry.get("name", f"an entry without a name: {entry}")
        for section in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from names(entry.get(section) or [])


def verb(name: str) -> str:
    """The first word of a name, behind its prefix."""
    return re.split(r"\W+", name.rpartition(" | ")[2])[0]


def misnamed(problems: Iterator[str] | list[str]) -> list[str]:
    """The names whose first word, behind a prefix, is none of the verbs."""
    return [name for name in problems if verb(name) not in VERBS]


def test_every_name_begins_with_a_verb_of_action():
    wrong = {
        str(path.relative_to(ROOT)): misnamed(names(yaml.safe_load(path.read_text()) or [])) for path in yaml_files()
    }
    assert {path: problems for path, problems in wrong.items() if problems} == {}


def test_names_in_examples_do_too():
    files = [
        *(ROOT / "roles").glob("*/README.md"),
        *(ROOT / "plugins").rglob("*.py"),
        *(ROOT / "plugins").rglob("*.yml"),
    ]
    wrong = {
        str(path.relative_to(ROOT)): misnamed(re.findall(r"^ *- name: ([A-Z][a-z].*)$", path.read_text(), flags=re.M))
        for path in files
    }
    assert {path: problems for path, problems in wrong.items() if problems} == {}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("Install Docker", False), ("Apt | Install Docker", False), ("Have Docker", True), ("Apt | Have Docker", True)],
)
def test_what_counts_as_a_verb(name, wrong):
    assert bool(misnamed([name])) is wrong
