# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user may not do of what is to be done, all at once and before anything is made. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

SYSTEM = "a system administrator of AWX"


def problems(
    user: Mapping[str, Any], organization: Mapping[str, Any] | None, name: str, writes: Iterable[tuple[str, str]]
) -> list[Problem]:
    """`organization` as found, None where it is missing; `writes`: kind and name of each object that would be changed."""
    writes = list(writes)
    if user.get("is_superuser") or not writes:
        return []
    who = str(user.get("username", "this user"))
    types = [entry for kind, entry in writes if kind == "credential_types"]
    return [*_organization(who, organization, name), *([_types(who, types)] if types else [])]


def _organization(who: str, organization: Mapping[str, Any] | None, name: str) -> list[Problem]:
    if organization is None:
        found = f"the organisation {name} does not exist, or {who} may not see it; {who} is no system administrator"
        make, other = f"let one make it and make {who} its administrator", f"one that {who} administers"
        return [Problem(found, f"{SYSTEM} makes organisations", f"{make}, or set awx_setup_organization to {other}")]
    if _may_edit(organization):
        return []
    remedy = f"let an administrator give it: in AWX, Organizations, {name}, Access"
    return [Problem(f"{who} is no administrator of the organisation {name}", f"the role Admin of {name}", remedy)]


def _types(who: str, types: list[str]) -> Problem:
    return Problem(
        f"these credential types are missing or different: {', '.join(types)}; {who} is no system administrator",
        f"{SYSTEM} makes credential types",
        "let one run this playbook once; the rest of it, and all later runs, an administrator of the organisation may do",
    )


def _may_edit(entry: Mapping[str, Any]) -> bool:
    return bool((entry.get("summary_fields") or {}).get("user_capabilities", {}).get("edit"))


def credential(name: str, found: Sequence[Mapping[str, Any]], organization: int | None) -> Mapping[str, Any] | Problem:
    """The credential of a name: that of the organisation before the others. A Problem where there is none, or not one."""
    mine = [entry for entry in found if entry.get("organization") == organization] or found
    if len(mine) == 1:
        usable = (mine[0].get("summary_fields") or {}).get("user_capabilities", {}).get("use", True)
        if usable:
            return mine[0]
        return Problem(f"the credential {name} may not be used", "the role Use of it", "let its administrator give it")
    if mine:
        return Problem(
            f"{len(mine)} credentials have the name {name}",
            "one",
            "rename the others, or move one into the organisation",
        )
    return Problem(
        f"there is no credential {name}, or it cannot be seen: one that belongs to a person is hidden from others",
        "a credential of the organisation",
        f"make {name} in AWX with an organisation, or take it out of the awx_setup_ variables",
    )
