#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# By subprocess: run_command has no limit of time, and no input that is kept out of its log.
# pylint: disable=ansible-bad-function

from __future__ import annotations

DOCUMENTATION = r"""
module: model_cache
short_description: Have a model's weights in the hub's cache folder
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Fetches one revision of a model with the hub's own client, checks the size of every file and the SHA-256 of every large one, and
    keeps the list. A later run compares sizes with that list, asks no server and changes nothing.
  - The client lives in a virtual environment in O(work_dir) that is removed when the weights are complete. What an interrupted run
    fetched is kept; the next run goes on from it.
  - Without a network, the weights come from O(archive).
extends_documentation_fragment:
  - llmfleet.serving.attributes.change
  - llmfleet.serving.attributes.action_group
attributes:
  idempotent:
    description: A complete revision is not fetched again.
    support: full
options:
  model:
    description: Name of the model on the hub.
    type: str
    required: true
  revision:
    description: Commit, tag or branch. A branch means what it meant when it was first fetched.
    type: str
    default: main
  cache_dir:
    description: The cache folder, what the client calls C(HF_HOME).
    type: path
    default: ~/.cache/huggingface
  work_dir:
    description: Folder for the client's virtual environment.
    type: path
    default: ~/.local/state/llmfleet
  script:
    description: The program that is run by the client's Python (C(roles/model_cache/files/fetch_model.py)). Not needed with O(archive).
    type: str
  requirement:
    description: What pip installs into the virtual environment.
    type: str
    default: huggingface_hub==2.4.0
  python:
    description: A Python on the host that has the client already. Then no virtual environment is made.
    type: path
  image:
    description:
      - A container image that has the client, such as the serving image. It is used where no virtual environment can be made, as soon as
        the host has it.
    type: str
  endpoint:
    description: Address of a mirror of the hub.
    type: str
  token_file:
    description:
      - File on the host that holds a token for models that ask for it. Without it C(token) in O(cache_dir) is used, if it exists,
        as the hub's own client does.
    type: path
  archive:
    description: An archive on the host, made by C(tar) in the folder C(hub) of another host's cache folder.
    type: path
  timeout_s:
    description: Longest time for the fetch in seconds.
    type: int
    default: 7200
"""

EXAMPLES = r"""
- name: Fetch the weights
  llmfleet.serving.model_cache:
    model: LiquidAI/LFM2.5-8B-A1B
    script: "{{ lookup('ansible.builtin.file', 'fetch_model.py') }}"

- name: Install the weights on a host without a network
  llmfleet.serving.model_cache:
    model: LiquidAI/LFM2.5-8B-A1B
    archive: /media/disk/lfm2.5-8b-a1b.tar
"""

RETURN = r"""
commit:
  description: The commit that is in the cache; null in check mode where it is not in the cache yet.
  returned: success
  type: str
  sample: 3d1a4c6fbd6c3c2f0a5bd6d3f0e4b1a2c3d4e5f6
size_bytes:
  description: Size of all files together in bytes.
  returned: success
  type: int
  sample: 16700000000
elapsed_s:
  description: Seconds spent on fetching and checking.
  returned: success
  type: float
  sample: 94.2
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._files import make_folder
from ansible_collections.llmfleet.serving.plugins.module_utils._server import weights as cache

REMEDY = "set inference_server_prefetch to false and let the engine fetch the model, or bring the weights with model_cache_archive"


def own_token_file(cache_dir: Path) -> str | None:
    """The cache folder's own token, where the hub's client keeps it too; None without it."""
    path = cache_dir / "token"
    return str(path) if path.is_file() else None


def client_command(params: dict, folder: Path) -> list:
    """The command that runs a program with the hub's client: the given Python's, that of a fresh environment, or the image's."""
    if params["python"]:
        return [params["python"]]
    problem = make_environment(folder, params["requirement"])
    if problem is None:
        return [str(folder / "bin/python")]
    if not params["image"]:
        raise UserError(Problem(problem, remedy=f"install python3-venv and give the host an index, or {REMEDY}"))
    wait_for_image(params["image"], params["timeout_s"])
    mounts = [params["cache_dir"], *([params["token_file"]] if params["token_file"] else [])]
    volumes = [word for path in mounts for word in ("--volume", f"{path}:{path}")]
    return [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--network",
        "host",
        *volumes,
        "--entrypoint",
        "python3",
        params["image"],
    ]


def make_environment(folder: Path, requirement: str) -> str | None:
    """Makes the virtual environment with the client; what went wrong, or None."""
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", requirement],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            return f"{' '.join(command)} failed: {done.stdout.decode(errors='replace').strip()[-600:]}"
    return None


def wait_for_image(image: str, timeout_s: float) -> None:
    """Waits until an image that is being pulled is on the host."""
    deadline = time.monotonic() + timeout_s
    while subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise UserError(Problem(f"image {image} is not on the host after {timeout_s} s", remedy=REMEDY))
        time.sleep(1)


def fetch(params: dict) -> tuple[str, list]:
    """The commit and its checked files."""
    folder = Path(params["work_dir"]) / "hub-client"
    order = {key: params[key] for key in ("model", "revision", "cache_dir", "endpoint", "token_file")}
    try:
        done = subprocess.run(
            [*client_command(params, folder), "-c", params["script"]],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=params["timeout_s"],
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            Problem(
                f"not fetched after {params['timeout_s']} s (model_cache_timeout_s)",
                remedy="run again to go on from what came, which is kept",
            )
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if done.returncode != 0:
        raise UserError(explain(done.stderr.decode(errors="replace"), params))
    answer = json.loads(done.stdout.decode().splitlines()[-1])
    return answer["commit"], answer["files"]


def explain(output: str, params: dict) -> Problem:
    """The last line of the client's output, with the remedy where the cause is known."""
    end = output.strip().splitlines()[-1] if output.strip() else "no output"
    remedies = (
        (
            r"GatedRepo|401|403",
            "accept the licence on the model's page and give a token (playbook keys.yml, or model_cache_token_file)",
        ),
        (r"RepositoryNotFound|RevisionNotFound", "correct inference_server_model or its revision"),
        (r"No space left", f"free space below {params['cache_dir']}"),
        (r"Connect|Timeout|Name or service|resolve", REMEDY),
    )
    remedy = next(
        (text for pattern, text in remedies if re.search(pattern, output)), "run again to go on from what came"
    )
    return Problem(f"the hub's client ended: {end[:600]}", remedy=remedy)


def unpack(params: dict) -> tuple[str, list]:
    """The commit and the files that an archive brought."""
    cache_dir = Path(params["cache_dir"])
    make_folder(cache_dir / "hub")
    command = ["tar", "-xf", params["archive"], "-C", str(cache_dir / "hub")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise UserError(Problem(f"{' '.join(command)} failed: {done.stdout.decode(errors='replace').strip()[-600:]}"))
    commit = cache.commit_of(cache.repository(cache_dir, params["model"]), params["revision"])
    files = cache.files_of(cache_dir, params["model"], commit) if commit else []
    if not commit or not files:
        raise UserError(
            Problem(
                f"{params['archive']} holds no revision {params['revision']} of {params['model']}",
                remedy="make it with tar in the folder hub of a cache folder that has it",
            )
        )
    return commit, files


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "model": {"type": "str", "required": True},
            "revision": {"type": "str", "default": "main"},
            "cache_dir": {"type": "path", "default": "~/.cache/huggingface"},
            "work_dir": {"type": "path", "default": "~/.local/state/llmfleet"},
            "script": {"type": "str"},
            "requirement": {"type": "str", "default": "huggingface_hub==2.4.0"},
            "python": {"type": "path"},
            "image": {"type": "str"},
            "endpoint": {"type": "str"},
            "token_file": {"type": "path", "no_log": False},
            "archive": {"type": "path"},
            "timeout_s": {"type": "int", "default": 7200},
        },
        required_one_of=[("script", "archive")],
        supports_check_mode=True,
    )
    cache_dir = Path(module.params["cache_dir"])
    params = {**module.params, "token_file": module.params["token_file"] or own_token_file(cache_dir)}
    commit = cache.complete_commit(cache_dir, params["model"], params["revision"])
    missing = commit is None
    began = time.monotonic()
    if missing and not module.check_mode:
        for folder in (cache_dir, Path(params["work_dir"])):
            make_folder(folder)
        try:
            commit, files = unpack(params) if params["archive"] else fetch(params)
        except UserError as error:
            module.fail_json(msg=f"{params['model']} is not in {cache_dir}: {error}")
        cache.write_list(cache_dir, params["model"], commit, files)
    files = cache.files_of(cache_dir, params["model"], commit) if commit else []
    module.exit_json(
        changed=missing,
        commit=commit,
        size_bytes=sum(file["size"] for file in files),
        elapsed_s=round(time.monotonic() - began, 3),
    )


if __name__ == "__main__":
    main()
