#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_fact
short_description: Keep facts as JSON files on the host
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Writes each of O(facts) to C(STATE_DIR/facts.d/NAME.fact), where M(ansible.builtin.setup) finds it
    by its O(ansible.builtin.setup#module:fact_path).
  - Returns it as an Ansible fact too, so that the play and the fact cache have it.
  - So a fact outlives the controller, the fact cache and an execution environment.
extends_documentation_fragment:
  - llmfleet.serving.attributes.change
  - llmfleet.serving.attributes.action_group
attributes:
  idempotent:
    description: An equal fact is not written again.
    support: full
options:
  state_dir:
    description: The state folder on the host.
    type: path
    default: ~/.local/state/llmfleet
  facts:
    description: The facts, name to value. A fact whose value is null is removed.
    type: dict
    default: {}
  release:
    description:
      - The run whose lock on the server of O(state_dir) is given back after the facts are written, as M(llmfleet.serving.host_info) returns
        it in C(lock.run). A lock that another run has taken over stays, with a warning.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Write the server's fact on the host
  llmfleet.serving.host_fact:
    facts:
      llmfleet_server: "{{ llmfleet_server }}"
"""

RETURN = r"""
paths:
  description: Paths of the files that were written or removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/home/me/.local/state/llmfleet/facts.d/llmfleet_server.fact]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._files import read_json, write_json
from ansible_collections.llmfleet.serving.plugins.module_utils._lease import release


def give_back(module: AnsibleModule) -> None:
    """Releases the lock; warns where another run has it by now."""
    try:
        other = release(Path(module.params["state_dir"]), module.params["release"])
    except UserError as error:
        module.fail_json(msg=str(error))
    if other is not None:
        found = f"run {other['run']}, {other['work']} of {other['owner']}, has taken the server over from this one"
        module.warn(str(Problem(found, remedy="deploy again when it has ended")))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state_dir": {"type": "path", "default": "~/.local/state/llmfleet"},
            "facts": {"type": "dict", "default": {}},
            "release": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["state_dir"]) / "facts.d"
    wanted = {folder / f"{name}.fact": value for name, value in module.params["facts"].items()}
    try:
        stale = {path: value for path, value in wanted.items() if read_json(path) != value}
        for path, value in () if module.check_mode else stale.items():
            if value is None:
                path.unlink()
            else:
                write_json(path, value, indent=2, sort_keys=True)
    except PermissionError as error:
        remedy = f'give the folder back to the user who logs in: sudo chown -R "$(id -un)" {module.params["state_dir"]}'
        module.fail_json(msg=str(Problem(f"no right to {error.filename}", remedy=remedy)))
    if module.params["release"] and not module.check_mode:
        give_back(module)
    kept = {name: value for name, value in module.params["facts"].items() if value is not None}
    module.exit_json(changed=bool(stale), paths=[str(path) for path in stale], ansible_facts=kept)


if __name__ == "__main__":
    main()
