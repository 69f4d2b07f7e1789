# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of tasks that are included by a name with a template.

Before 2.19 ansible-core evaluates that name once more, without a host, for each file that the included one imports; where it cannot, the
run ends.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = [*sorted((ROOT / "roles").glob("*/tasks")), ROOT / "playbooks", ROOT / "playbooks" / "tasks"]
FILES = [file for folder in FOLDERS for file in sorted(folder.glob("*.yml"))]
STEPS = ("image", "adapters", "weights", "orphans", "containers", "runtime_process", "runtime_no_docker")


def tasks_in(node: Any) -> list[dict[str, Any]]:
    """Every task below a node of parsed YAML."""
    if isinstance(node, list):
        return [task for child in node for task in tasks_in(child)]
    if not isinstance(node, dict):
        return []
    return [node] + [task for key in ("block", "rescue", "always", "tasks") for task in tasks_in(node.get(key))]


def name_of(task: dict[str, Any], module: str) -> str:
    given = task.get(f"ansible.builtin.{module}") or ""
    return given["file"] if isinstance(given, dict) else given


def read(file: Path) -> list[dict[str, Any]]:
    return tasks_in(yaml.safe_load(file.read_text()))


def imports(file: Path) -> bool:
    """Whether a file imports another one, itself or through what it includes."""
    tasks = read(file) if file.exists() else []
    included = [name for name in (name_of(task, "include_tasks") for task in tasks) if name and "{{" not in name]
    return any(name_of(task, "import_tasks") for task in tasks) or any(imports(file.parent / name) for name in included)


def candidates(name: str, folder: Path) -> list[Path]:
    """The files that a name with a template can mean."""
    if "__inference_server_step" in name:
        return [folder / f"{step}.yml" for step in STEPS]
    words = re.findall(r"'(\w+)'", re.sub(r"default\([^)]*\)|== '\w+'", "", name))
    return [folder / f"{word}.yml" for word in words] or sorted((folder / name).parent.glob("*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_name_with_a_template_can_be_evaluated_without_a_host(file):
    for task in read(file):
        name = name_of(task, "include_tasks")
        if "{{" in name and "default(" not in name:
            assert [found.name for found in candidates(name, file.parent) if imports(found)] == [], name


def test_there_are_such_names():
    names = [name_of(task, "include_tasks") for file in FILES for task in read(file)]
    assert len([name for name in names if "{{" in name]) > 5
    assert imports(ROOT / "roles" / "inference_server" / "tasks" / "roll_back.yml")
