#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_fact
short_description: Keep one fact as a JSON file on the host
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Writes O(value) to C(STATE_DIR/facts.d/NAME.fact), where M(ansible.builtin.setup) finds it again
    by its O(ansible.builtin.setup#module:fact_path).
  - Returns it as an Ansible fact too, so that the play and the fact cache have it.
  - So a fact outlives the controller, the fact cache and an execution environment.
attributes:
  check_mode:
    description: Predicts the change and makes none.
    support: full
  idempotent:
    description: An equal fact is left alone.
    support: full
options:
  state_dir:
    description: The state folder on the host.
    type: path
    default: ~/.local/state/llmfleet
  name:
    description: Name of the fact.
    type: str
    required: true
  value:
    description: The fact. Required with O(state=present).
    type: dict
  state:
    description: Whether the fact is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Keep the server's fact on the host
  llmfleet.serving.host_fact:
    name: llmfleet_server
    value: "{{ llmfleet_server }}"
"""

RETURN = r"""
path:
  description: Path of the file.
  returned: success
  type: str
  sample: /home/me/.local/state/llmfleet/facts.d/llmfleet_server.fact
"""

import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def read(path: Path) -> object:
    """The fact in the file; None when there is none or it is not JSON."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def write(path: Path, value: dict) -> None:
    """Writes the fact so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    fresh.chmod(0o600)
    fresh.replace(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state_dir": {"type": "path", "default": "~/.local/state/llmfleet"},
            "name": {"type": "str", "required": True},
            "value": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ("value",))],
        supports_check_mode=True,
    )
    path = Path(module.params["state_dir"]) / "facts.d" / f"{module.params['name']}.fact"
    present = module.params["state"] == "present"
    changed = read(path) != module.params["value"] if present else path.exists()
    if changed and not module.check_mode:
        if present:
            write(path, module.params["value"])
        else:
            path.unlink()
    facts = {module.params["name"]: module.params["value"]} if present else {}
    module.exit_json(changed=changed, path=str(path), ansible_facts=facts)


if __name__ == "__main__":
    main()
