# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of every role as the action `role_settings` finds them, in a process of its own, for Ansible's loader of plugins is global.

Reads from standard input the variables of several cases; writes for each case role -> its settings. No host is asked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]


def settings_of(action_class: Any, role: Path, variables: dict[str, Any]) -> dict[str, Any]:
    """The role's settings on a host of which nothing is known, in a play that has not the role."""
    loader = DataLoader()
    around = {"group_names": [], "ansible_facts": {}, "ansible_check_mode": False, "ansible_search_path": [str(role)]}
    variables = {**around, **variables}
    task = SimpleNamespace(args={"role": role.name}, async_val=0, check_mode=False, action="role_settings")
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=""))
    templar = Templar(loader, variables=variables)
    result = action_class(task, connection, None, loader, templar, None).run(task_vars=variables)
    return result["typed"]


def main() -> None:
    init_plugin_loader([str(ROOT / "playbooks" / "collections")])
    from ansible_collections.llmfleet.serving.plugins.action.role_settings import ActionModule  # noqa: PLC0415

    roles = sorted(path.parents[1] for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))
    cases = json.load(sys.stdin)
    results = [{role.name: settings_of(ActionModule, role, case) for role in roles} for case in cases]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
