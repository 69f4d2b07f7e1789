#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon_config
short_description: Merge options into Docker's configuration file and bring them into force
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Merges O(defaults) and O(options) with what is in C(daemon.json). Keys that neither names are kept.
  - The result is checked before it lands, by the module and by C(dockerd --validate) where Docker has it. A file
    that is not JSON is never touched.
  - A running Docker takes the change over by a reload where that is enough, else by a restart. When C(live-restore) is
    being switched on, it is reloaded first, so that running containers live through the restart.
  - When Docker does not come back, the old file is restored, with C(live-restore) already on where that was asked for,
    and the module fails with the end of Docker's journal.
options:
  path:
    description: The configuration file. A link stays a link, and the file that it leads to is written.
    type: path
    default: /etc/docker/daemon.json
  defaults:
    description:
      - Options that apply only where the file does not set them.
      - Their C(log-opts) fall away when the log driver in force takes none.
    type: dict
    default: {}
  options:
    description: Options that replace the file's. Dicts are merged key by key, lists are replaced.
    type: dict
    default: {}
  restart:
    description: Restart a running Docker even when the file does not ask for it.
    type: bool
    default: false
  timeout_s:
    description: How long Docker may take to answer after a reload or a restart, in seconds.
    type: int
    default: 120
extends_documentation_fragment:
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    support: full
    description: Checks the result and predicts what a real run does.
  diff_mode:
    support: full
    description: Shows the file before and after.
  idempotent:
    support: full
    description: A file that holds everything already is left alone, byte for byte.
"""

EXAMPLES = r"""
- name: Configure log rotation, unless the host has its own way, and containers that outlive Docker
  llmfleet.serving.docker_daemon_config:
    defaults:
      log-driver: json-file
      log-opts: {max-size: 50m, max-file: "3"}
    options:
      live-restore: true
  become: true
"""

RETURN = r"""
config:
  description: The file's content after the run.
  returned: success
  type: dict
  sample: {live-restore: true}
actions:
  description: What was done, or would be done in check mode, in this order (V(write), V(reload), V(restart)).
  returned: success
  type: list
  elements: str
  sample: [write, reload]
changed_keys:
  description: The keys whose value changed.
  returned: success
  type: list
  elements: str
  sample: [live-restore]
"""

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._docker_config import (
    changed_keys,
    config_problems,
    merge_config,
    stages,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._owners import root_alone_decides
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.docker import (
    PID_FILE,
    SOCKET,
    DockerError,
    decoded,
    docker_get,
    parse_daemon_config,
    probe_docker,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.process import probe_pid_file
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import mask

UNIT = "docker.service"


def validate(module: AnsibleModule, system: System, text: str) -> None:
    """Have dockerd check the text, which Docker before 23.0 cannot do. Raises UserError when dockerd refuses it."""
    draft = Path(module.tmpdir) / "daemon.json"
    draft.write_text(text)
    answer = system.run(["dockerd", "--validate", "--config-file", str(draft)])
    if answer is not None and answer.rc != 0 and "unknown flag" not in answer.text:
        raise UserError(
            Problem(
                f"dockerd refuses the configuration: {answer.text}",
                remedy="correct docker_engine_daemon_options or the file",
            )
        )


def write(module: AnsibleModule, path: Path, content: bytes) -> None:
    """Replace the file in one step; its folder is made when it is missing."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = Path(module.tmpdir) / "daemon.json"
    draft.write_bytes(content)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    draft.chmod(mode)
    module.atomic_move(str(draft), str(path))
    path.chmod(mode)  # a file that is new gets its mode from the umask there


def bring_into_force(module: AnsibleModule, system: System, step: str, wanted: dict[str, Any]) -> None:
    """Have the running Docker take its file over. Raises UserError when it refuses, or does not answer in time."""
    err = ""
    if step == "reload":
        # Not `systemctl reload`: Docker's unit calls /bin/kill, which a small host may not have.
        os.kill(probe_pid_file(system, PID_FILE)["pid"], signal.SIGHUP)
    else:
        module.run_command(["systemctl", "reset-failed", UNIT])
        _rc, _out, err = module.run_command(["systemctl", "restart", UNIT])
    if not err and is_in_force(wanted, module.params["timeout_s"]):
        return
    _rc, journal, _err = module.run_command(["journalctl", "-u", UNIT, "-n", "15", "--no-pager", "-o", "cat"])
    raise UserError(
        Problem(
            f"Docker did not come back with the new configuration after a {step}: {err.strip()}\n{journal.strip()}",
            remedy="the last lines of the journal say why; the previous file is back in place",
        )
    )


def is_in_force(wanted: dict[str, Any], timeout_s: float) -> bool:
    """Poll Docker until it answers with the wanted live-restore."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if bool(docker_get(SOCKET, "/info", timeout_s=5.0).get("LiveRestoreEnabled")) == bool(
                wanted.get("live-restore")
            ):
                return True
        except DockerError:
            pass
        time.sleep(0.2)
    return False


def change_running_docker(
    module: AnsibleModule, system: System, path: Path, current: dict[str, Any], way: list[tuple[str, dict[str, Any]]]
) -> None:
    """Bring one stage after the other into force. A stage that fails is taken back, and Docker goes on with the stage before.

    Raises UserError as `bring_into_force` does.
    """
    for step, wanted in way:
        before = path.read_bytes() if path.exists() else None
        if wanted != current:
            write(module, path, to_text(wanted).encode())
        try:
            bring_into_force(module, system, step, wanted)
        except UserError:
            path.unlink() if before is None else write(module, path, before)
            with contextlib.suppress(UserError):
                bring_into_force(module, system, step, current)
            raise
        current = wanted


def to_text(config: dict[str, Any]) -> str:
    """The file as it is written."""
    return json.dumps(config, indent=2) + "\n"


def refuse_less_trusted(path: Path, target: Path) -> None:
    """Raises UserError for a link whose way others than root can change: root would write for them."""
    if path.is_symlink() and os.geteuid() == 0 and not root_alone_decides(path):
        raise UserError(
            Problem(
                f"{path} is a link to {target}, where others than root may write. It was not touched",
                "a file, or a link to one that root alone can change",
                f"put a copy in its place on the host: sudo cp --remove-destination {target} {path}",
            )
        )


def run(module: AnsibleModule) -> dict[str, Any]:
    """Merge, check, and unless in check mode write and bring into force. Raises UserError."""
    params, system = module.params, System()
    path = Path(params["path"])
    target = Path(os.path.realpath(path))  # a link stays one
    data = target.read_bytes() if target.exists() else None
    current = parse_daemon_config(data)
    if current["error"]:
        raise UserError(Problem(f"{path}: {current['error']}. It was not touched", remedy="correct it or move it away"))
    before = decoded(data or b"")
    mask(module, found=[before, current["content"]])
    wanted = merge_config(current["content"], params["defaults"], params["options"])
    keys = changed_keys(current["content"], wanted)
    docker = probe_docker(system)
    if keys:
        refuse_less_trusted(path, target)
        problems = config_problems(wanted, docker["daemon_flags"])
        if problems:
            raise UserError(
                Problem(
                    f"{path} would be wrong: {'; '.join(problems)}. It was not touched",
                    remedy="correct docker_engine_daemon_options or the file",
                )
            )
        validate(module, system, to_text(wanted))
    running = docker["state"] == "running"
    way = stages(current["content"], wanted, docker["live_restore"], params["restart"]) if running else []
    if not module.check_mode:
        if running:
            change_running_docker(module, system, target, current["content"], way)
        elif keys:
            write(module, target, to_text(wanted).encode())
    return {
        "changed": bool(keys or way),
        "config": wanted,
        "actions": (["write"] if keys else []) + [step for step, _config in way],
        "changed_keys": keys,
        "diff": {
            "before_header": str(path),
            "after_header": str(path),
            "before": before,
            "after": to_text(wanted) if keys else before,
        },
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "defaults": {"type": "dict", "default": {}},
            "options": {"type": "dict", "default": {}},
            "restart": {"type": "bool", "default": False},
            "timeout_s": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except UserError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['path']}: {os.strerror(error.errno or 0)}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
