#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_process
short_description: Keep an inference server running as a detached process
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Starts a server as a process of its own session, with a record and a log in O(server_dir), finds it in later runs and stops it.
  - Needs neither root nor Docker. It is the C(process) runtime of the role C(inference_server).
  - A process started with another O(digest) is restarted. A process with the same digest is left running.
extends_documentation_fragment:
  - llmfleet.serving.attributes.change
  - llmfleet.serving.attributes.action_group
attributes:
  idempotent:
    description: A running server with the same digest is left running.
    support: full
options:
  server_dir:
    description: Folder for the server's files, its log (C(server.log)) and its record (C(process.json)).
    type: path
    required: true
  state:
    description: Whether the process runs. With V(absent) it is stopped and the folder is removed.
    type: str
    choices: [started, absent]
    default: started
  argv:
    description: Program and arguments. Required with O(state=started).
    type: list
    elements: str
  env:
    description: Variables added to the process's environment.
    type: dict
    default: {}
  files:
    description: Files to write into O(server_dir) first, name to content.
    type: dict
    default: {}
  digest:
    description: What the running process is compared by, the digest of the server's specification.
    type: str
  port:
    description: Port that the process will listen on. When another process holds it, the module fails and names that process.
    type: int
  grace_s:
    description: Seconds between SIGTERM and SIGKILL.
    type: float
    default: 10
"""

EXAMPLES = r"""
- name: Start a server
  llmfleet.serving.server_process:
    server_dir: ~/.local/state/llmfleet/server
    argv: [python3, -m, http.server, "8000"]
    digest: "1"
    port: 8000

- name: Stop a server
  llmfleet.serving.server_process:
    server_dir: ~/.local/state/llmfleet/server
    state: absent
"""

RETURN = r"""
pid:
  description: Number of the running process; null in check mode and after O(state=absent).
  returned: success
  type: int
  sample: 4711
log:
  description: Path of the server's log.
  returned: success
  type: str
  sample: /home/me/.local/state/llmfleet/server/server.log
actions:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample: [stop, start]
"""

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._files import is_disk_full
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.ports import probe_ports, taken_port
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System
from ansible_collections.llmfleet.serving.plugins.module_utils._server import process as server_process


def needed_actions(folder: Path, params: dict) -> list:
    """`stop`, `start`, `remove` in the order in which they are to be done; empty when the host is as wanted."""
    running = server_process.running_pid(folder) is not None
    if params["state"] == "absent":
        return (["stop"] if running else []) + (["remove"] if folder.exists() else [])
    same = server_process.read_record(folder).get("digest") == params["digest"] and not server_process.stale_files(
        folder, params["files"]
    )
    if running and same:
        return []
    return (["stop"] if running else []) + ["start"]


def refuse_taken_port(module: AnsibleModule, folder: Path) -> None:
    """Fails when a process other than ours listens on the port."""
    if module.params["port"] is None:
        return
    entry = probe_ports(System(), [module.params["port"]])[0]
    ours = server_process.running_pid(folder)
    if entry["in_use"] and ours not in [owner["pid"] for owner in entry["owners"] if owner["pid"]]:
        module.fail_json(msg=str(taken_port(entry)))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "server_dir": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["started", "absent"], "default": "started"},
            "argv": {"type": "list", "elements": "str"},
            "env": {"type": "dict", "default": {}},
            "files": {"type": "dict", "default": {}},
            "digest": {"type": "str"},
            "port": {"type": "int"},
            "grace_s": {"type": "float", "default": 10},
        },
        required_if=[("state", "started", ("argv", "digest"))],
        supports_check_mode=True,
    )
    folder = Path(module.params["server_dir"])
    try:
        actions = needed_actions(folder, module.params)
        if "start" in actions:
            refuse_taken_port(module, folder)
        if not module.check_mode:
            perform(module, folder, actions)
        pid = server_process.running_pid(folder)
    except OSError as error:
        remedy = "correct the folder, or run the play as the user who started the server"
        module.fail_json(msg=str(Problem(f"{error.filename or folder}: {error.strerror}", remedy=remedy)))
    module.exit_json(changed=bool(actions), actions=actions, pid=pid, log=str(folder / server_process.LOG))


def perform(module: AnsibleModule, folder: Path, actions: list) -> None:
    """Carries the actions out."""
    params = module.params
    if "stop" in actions:
        server_process.stop(folder, params["grace_s"])
    if "remove" in actions:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            found = f"cannot remove {folder}: {error.filename}: {error.strerror}"
            module.fail_json(msg=str(Problem(found, remedy="remove it as its owner")))
    if "start" in actions:
        try:
            server_process.start(folder, params["argv"], params["env"], params["files"], params["digest"])
        except OSError as error:
            module.fail_json(msg=str(not_started(folder, params["argv"][0], error)))


def not_started(folder: Path, program: str, error: OSError) -> Problem:
    """Why a server did not start: its files cannot be written, or there is no such program."""
    if str(error.filename or "").startswith(str(folder)) or is_disk_full(error):
        return Problem(
            f"cannot write to {error.filename or folder}: {error.strerror}",
            remedy="free space there, or give the folder to the user of the playbook",
        )
    return Problem(f"cannot start {program}: {error.strerror}", remedy="install it, or set inference_server_command")


if __name__ == "__main__":
    main()
