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
  - Root works in the folders of another user as that user, so it follows none of that user's links and runs none of that user's files
    as root. What root has fetched there in earlier times is given to the user.
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
  state:
    description: Whether the model is in the cache. With V(absent) all of its revisions are removed.
    type: str
    choices: [present, absent]
    default: present
  revision:
    description: Commit, tag or branch. A branch means what it meant when it was first fetched.
    type: str
    default: main
  cache_dir:
    description: The cache folder, what the client calls C(HF_HOME).
    type: path
    default: ~/.cache/huggingface
  work_dir:
    description:
      - Folder for the client's virtual environment. Where it belongs to another user than O(cache_dir), a temporary folder takes its place.
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
      - Root reads it as the user whose cache it is, or as root where no one else can put another file there.
    type: path
  archive:
    description: An archive on the host, made by C(tar) in the folder C(hub) of another host's cache folder. Read as O(token_file) is.
    type: path
  license:
    description: The model's licence, printed on the controller when weights were fetched.
    type: str
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

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Iterator

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._files import is_disk_full
from ansible_collections.llmfleet.serving.plugins.module_utils._owners import (
    Owner,
    as_owner,
    give_back,
    open_as_owner,
    owner_of,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden, mask
from ansible_collections.llmfleet.serving.plugins.module_utils._server import weights as cache

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")
REMEDY = "set inference_server_prefetch to false and let the engine fetch the model, or bring the weights with model_cache_archive"


def token_of(params: dict, owner: Owner | None) -> str | None:
    """The hub's token, from the given file or from where the hub's client keeps it too; None without one. Raises UserError."""
    given = params["token_file"]
    path = Path(given or Path(params["cache_dir"]) / "token")
    try:
        with open_as_owner(owner, path) as file:
            return file.read(8192).decode().strip() or None
    except FileNotFoundError:
        if not given:
            return None
        raise UserError(Problem(f"there is no token_file {path}", remedy="correct model_cache_token_file")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        remedy = f"let {owner.name or owner.uid} read it" if owner else "make it a file with the token, mode 0600"
        raise UserError(Problem(f"token_file {path} cannot be read ({reason})", remedy=remedy)) from None


@contextlib.contextmanager
def environment_folder(params: dict, owner: Owner | None) -> Iterator[Path]:
    """Where the client's virtual environment goes: below the work folder, if that is the user's whose cache it is. It is removed."""
    work_dir, temporary = Path(params["work_dir"]), None
    if owner_of(work_dir) != owner:
        work_dir = temporary = Path(as_owner(owner, lambda: tempfile.mkdtemp(prefix="llmfleet-")))
    try:
        yield work_dir / "hub-client"
    finally:
        as_owner(owner, lambda: shutil.rmtree(temporary or work_dir / "hub-client", ignore_errors=True))


def make_environment(folder: Path, requirement: str, timeout_s: float) -> str | None:
    """Makes the virtual environment with the client; what went wrong, or None. `timeout_s` limits each of its two steps."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", requirement],
    ):
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,  # pip would ask for a password there
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
        except OSError as error:
            return f"{' '.join(command)} failed: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"{' '.join(command)} was not done after {timeout_s:g} s (model_cache_timeout_s)"
        if done.returncode != 0:
            return f"{' '.join(command)} failed: {done.stdout.decode(errors='replace').strip()[-600:]}"
    return None


def in_image(params: dict, owner: Owner | None, problem: str) -> list:
    """The command that runs a program with the image's client, as the user whose cache it is. Raises UserError without an image."""
    if not params["image"]:
        raise UserError(Problem(problem, remedy=f"install python3-venv and give the host an index, or {REMEDY}"))
    wait_for_image(params["image"], params["timeout_s"])
    user = ["--user", f"{owner.uid}:{owner.gid}", "--env", "HOME=/tmp"] if owner else []
    proxies = [word for name in PROXIES if os.environ.get(name) for word in ("--env", name)]
    return [
        *("docker", "run", "--rm", "--interactive", "--network", "host", *user, *proxies),
        *("--volume", f"{params['cache_dir']}:{params['cache_dir']}"),
        *("--entrypoint", "python3", params["image"]),
    ]


def wait_for_image(image: str, timeout_s: float) -> None:
    """Waits until an image that is being pulled is on the host."""
    deadline = time.monotonic() + timeout_s
    while subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise UserError(Problem(f"image {image} is not on the host after {timeout_s} s", remedy=REMEDY))
        time.sleep(1)


def fetch(params: dict, owner: Owner | None) -> dict:
    """The commit and its checked files."""
    order = {key: params[key] for key in ("model", "revision", "cache_dir", "endpoint")}
    order["token"] = token_of(params, owner)
    if params["python"]:
        return as_owner(owner, lambda: answer_of([params["python"]], order, params))
    with environment_folder(params, owner) as folder:
        problem = as_owner(owner, lambda: make_environment(folder, params["requirement"], params["timeout_s"]))
        if problem is None:
            return as_owner(owner, lambda: answer_of([str(folder / "bin/python")], order, params))
    return answer_of(in_image(params, owner, problem), order, params)


def answer_of(command: list, order: dict, params: dict) -> dict:
    """What the client's program answers to an order. Raises UserError."""
    try:
        done = subprocess.run(
            [*command, "-c", params["script"]],
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
    if done.returncode != 0:
        raise UserError(explain(hidden(done.stderr.decode(errors="replace"), order["token"]), params))
    answer = json.loads(done.stdout.decode().splitlines()[-1])
    return {"commit": answer["commit"], "files": answer["files"]}


def explain(output: str, params: dict) -> Problem:
    """The last line of the client's output, with the remedy where the cause is known."""
    end = output.strip().splitlines()[-1] if output.strip() else "no output"
    remedies = (
        (
            r"ProxyError|proxy|Proxy Authentication|407",
            f"correct model_cache_proxy or docker_engine_proxy: {proxy_in_use()} does not let the host through",
        ),
        (
            r"GatedRepo|401|403",
            "accept the licence on the model's page and give a token (playbook keys.yml, or model_cache_token_file)",
        ),
        (r"RepositoryNotFound|RevisionNotFound", "correct inference_server_model or its revision"),
        (r"No space left", f"free space below {params['cache_dir']}"),
        (r"Permission denied", f"let the user whose folder it is write below {params['cache_dir']}"),
        (r"Connect|Timeout|Name or service|resolve", REMEDY),
    )
    remedy = next(
        (text for pattern, text in remedies if re.search(pattern, output)), "run again to go on from what came"
    )
    return Problem(f"the hub's client ended: {end[:600]}", remedy=remedy)


def proxy_in_use() -> str:
    """The proxy that this process and what it starts go through."""
    found = [os.environ[name] for name in PROXIES[3::-1] if os.environ.get(name)]
    return found[0] if found else "the proxy of the host's environment"


def unpack(params: dict, archive: IO[bytes]) -> dict:
    """The commit and the files that an archive brought."""
    cache_dir = Path(params["cache_dir"])
    (cache_dir / "hub").mkdir(parents=True, exist_ok=True)
    command = ["tar", "-xf", "-", "-C", str(cache_dir / "hub")]
    done = subprocess.run(command, stdin=archive, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        text = done.stdout.decode(errors="replace").strip()[-600:]
        raise UserError(Problem(f"{' '.join(command)} < {params['archive']} failed: {text}"))
    commit = cache.commit_of(cache.repository(cache_dir, params["model"]), params["revision"])
    files = cache.files_of(cache_dir, params["model"], commit) if commit else []
    if not commit or not files:
        raise UserError(
            Problem(
                f"{params['archive']} holds no revision {params['revision']} of {params['model']}",
                remedy="make it with tar in the folder hub of a cache folder that has it",
            )
        )
    return {"commit": commit, "files": files}


def bring(params: dict, owner: Owner | None) -> dict:
    """Brings the weights and writes the list of them; their commit and files. Raises UserError and OSError."""
    cache_dir = Path(params["cache_dir"])
    give_back(owner, cache_dir / "hub")
    as_owner(owner, lambda: cache_dir.mkdir(parents=True, exist_ok=True))
    if params["archive"]:
        with open_as_owner(owner, Path(params["archive"])) as archive:
            came = as_owner(owner, lambda: unpack(params, archive))
    else:
        came = fetch(params, owner)
    as_owner(owner, lambda: cache.write_list(cache_dir, params["model"], came["commit"], came["files"]))
    return came


def look(params: dict) -> dict:
    """The commit that is complete in the cache, and its files; None and an empty list where there is none."""
    cache_dir = Path(params["cache_dir"])
    commit = cache.complete_commit(cache_dir, params["model"], params["revision"])
    return {"commit": commit, "files": cache.files_of(cache_dir, params["model"], commit) if commit else []}


def have(params: dict, owner: Owner | None, check_mode: bool) -> tuple[bool, dict]:
    """Whether the weights were missing, and what the cache has of them at the end. Raises UserError and OSError."""
    found = as_owner(owner, lambda: look(params))
    missing = found["commit"] is None
    if missing and not check_mode:
        bring(params, owner)
        found = as_owner(owner, lambda: look(params))
    return missing, found


def remove(params: dict, owner: Owner | None, check_mode: bool) -> tuple[bool, dict]:
    """Whether there was anything of the model to remove. Raises OSError."""
    folder = cache.repository(Path(params["cache_dir"]), params["model"])
    present = as_owner(owner, lambda: os.path.lexists(folder))
    if present and not check_mode:
        give_back(owner, folder.parent)
        as_owner(owner, lambda: folder.unlink() if folder.is_symlink() else shutil.rmtree(folder))
    return present, {"commit": None, "files": []}


def not_done(error: OSError, cache_dir: str, owner: Owner | None) -> Problem:
    """Why the host did not let something be read, written or started."""
    if is_disk_full(error):
        return Problem(f"{error.filename or cache_dir}: {error.strerror}", remedy=f"free space below {cache_dir}")
    if isinstance(error, FileNotFoundError):
        return Problem(f"{error.filename} is not on the host", remedy="correct the path, or bring there what it names")
    whose = f" as {owner.name or owner.uid}, whose folder it is" if owner else ""
    found = f"no right to {error.filename} ({error.strerror}){whose}"
    return Problem(found, remedy="correct the folder's owner or its link")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "model": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
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
            "license": {"type": "str"},  # for the action, which prints it
        },
        required_if=[("state", "present", ("script", "archive"), True)],
        supports_check_mode=True,
    )
    params, began = module.params, time.monotonic()
    mask(module)
    owner = owner_of(Path(params["cache_dir"]))
    try:
        changed, found = (remove if params["state"] == "absent" else have)(params, owner, module.check_mode)
    except UserError as error:
        module.fail_json(msg=f"{params['model']} is not in {params['cache_dir']}: {error}")
    except OSError as error:
        problem = not_done(error, params["cache_dir"], owner)
        module.fail_json(msg=f"{params['model']}, {params['state']} in {params['cache_dir']}: {problem}")
    module.exit_json(
        changed=changed,
        commit=found["commit"],
        size_bytes=sum(file["size"] for file in found["files"]),
        elapsed_s=round(time.monotonic() - began, 3),
    )


if __name__ == "__main__":
    main()
