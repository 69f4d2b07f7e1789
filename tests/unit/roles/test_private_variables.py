# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A variable `__<role>_...` belongs to that role alone: no other role, playbook or controller code reads or sets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
# `_packages` has `__packages_...`; a role's name alone counts too.
PRIVATE = re.compile(r"(?<!\w)__(" + "|".join(name.lstrip("_") for name in ROLES) + r")(?:_\w+)?\b")


def foreign(path: Path, owner: str | None) -> list[str]:
    """The private variables of other roles than `owner` in a file."""
    problems = PRIVATE.finditer(path.read_text())
    return sorted({match[0] for match in problems if owner is None or match[1] != owner.lstrip("_")})


def files(root: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file that may name a variable, with the role that it belongs to."""
    for role in ROLES:
        for path in (root / "roles" / role).rglob("*"):
            if path.suffix in (".yml", ".j2", ".md"):
                yield path, role
    yield from ((path, None) for path in (root / "playbooks").glob("*.yml"))
    yield from (
        (path, None)
        for folder in ("playbooks/tasks", "molecule", "group_vars")
        for path in (root / folder).rglob("*.yml")
    )
    yield from ((path, None) for path in (root / "plugins" / "plugin_utils").rglob("*.py"))


def test_no_role_reads_the_private_variable_of_another():
    assert {str(path.relative_to(ROOT)): names for path, owner in files(ROOT) if (names := foreign(path, owner))} == {}


@pytest.mark.parametrize(
    ("text", "owner", "problems"),
    [
        ("{{ __model_cache.commit }}", "inference_server", ["__model_cache"]),
        ("{{ __model_cache.commit }}", "model_cache", []),
        ("register: __report_contact", None, ["__report_contact"]),
        ("__packages_held: 1", "_packages", []),
        ("__packages_held: 1", "docker_engine", ["__packages_held"]),
        ("__reporter model__cache ___report", None, []),
    ],
)
def test_what_counts_as_private(tmp_path, text, owner, problems):
    path = tmp_path / "main.yml"
    path.write_text(text)
    assert foreign(path, owner) == problems
