# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as AWX runs them, without an AWX: ansible-runner on a private data directory that is thrown away afterwards.

Follows awx/main/tasks/jobs.py and facts.py: the inventory is a script that prints JSON, sliced where the job is; extra
variables are a file in which answers of surveys are marked as not to be templated; the environment overrides the
collection path; facts go from job to job as one JSON file for each host; set_stats become extra variables of the next
job of a workflow.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Where a job may write in its private directory: what AWX keeps, and Ansible's own connections.
KEPT = ("artifacts/", "cp/")
SCRIPT = "#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint(%r)\n"


class Unsafe(str):
    """A string that AWX does not let Ansible template, such as every answer of a survey."""


class ExtraVars(yaml.SafeDumper):
    """Writes extra variables as AWX writes them."""


ExtraVars.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def unsafe(value: Any) -> Any:
    """The value with every string in it marked."""
    if isinstance(value, str):
        return Unsafe(value)
    if isinstance(value, Mapping):
        return {unsafe(key): unsafe(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [unsafe(entry) for entry in value]
    return value


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and link below a folder with size and time, without following links."""
    states = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() or path.is_file():
                state = path.lstat()
                states[str(path.relative_to(folder))] = (state.st_size, state.st_mtime_ns)
    return states


@dataclass
class Job:
    """What AWX keeps of a job."""

    rc: int
    output: str
    events: list[dict[str, Any]]
    stats: dict[str, dict[str, int]]
    artifacts: dict[str, Any]

    def failed_hosts(self) -> list[str]:
        """The hosts that a relaunch on failed hosts would take."""
        return sorted({*self.stats.get("failures", {}), *self.stats.get("dark", {})})

    def changed(self) -> int:
        """Changes over all hosts."""
        return sum(self.stats.get("changed", {}).values())

    def modules_of(self, host: str) -> list[str]:
        """The modules that ran on a host."""
        return [
            event["event_data"]["resolved_action"]
            for event in self.events
            if event["event"] == "runner_on_ok" and event["event_data"].get("host") == host
        ]


class Awx:
    """A project, an inventory and its facts, and the jobs on them."""

    def __init__(self, folder: Path, fact_prefix: str = "") -> None:
        """`fact_prefix`: how the files of facts are named before the host. AWX 24.6.1 knows none, and so keeps no facts of
        ansible-core 2.19 and newer, which writes `s1_` there (ansible/ansible#86028)."""
        self.folder = folder
        self.fact_prefix = fact_prefix
        self.project = folder / "projects" / "_7__llmfleet"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.groups: dict[str, list[str]] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        self.group_vars: dict[str, dict[str, Any]] = {}
        self.facts: dict[str, Any] = {}
        self.jobs = 0
        copy_project(self.project)

    def add_host(self, name: str, group: str, **variables: Any) -> None:
        """A host of the AWX inventory."""
        self.hosts[name] = variables
        self.groups.setdefault(group, []).append(name)

    def launch(
        self,
        playbook: str,
        *,
        survey: dict[str, Any] | None = None,
        artifacts: dict[str, Any] | None = None,
        limit: str = "",
        check: bool = False,
        sliced: tuple[int, int] = (1, 1),
        workflow: int = 0,
    ) -> Job:
        """Runs a job template. `sliced` is (number from 1, count), `artifacts` what the jobs before it in a workflow handed over,
        `workflow` the number of the workflow's job."""
        self.jobs += 1
        # Directly in /tmp, as AWX has it: ansible-core 2.20 and newer open a socket in TMPDIR, whose path must be short.
        private = Path(tempfile.mkdtemp(prefix=f"awx_{self.jobs}_"))
        for name in ("inventory", "env", "cp", "tmp", f"artifacts/{self.jobs}/fact_cache"):
            (private / name).mkdir(parents=True)
        shutil.copytree(self.project, private / "project", symlinks=True)
        _write_protected(private / "project")
        self._write_inventory(private, *sliced)
        within = {f"{prefix}_workflow_job_id": workflow for prefix in ("awx", "tower") if workflow}
        self._write_env(private, {**(artifacts or {}), **(survey or {}), **within}, limit, check)
        cache = private / "artifacts" / str(self.jobs) / "fact_cache"
        for host, facts in self.facts.items():
            (cache / f"{self.fact_prefix}{host}").write_text(json.dumps(facts))
        private.chmod(0o555)  # nor beside the project
        before = _beside_artifacts(private)
        run = ansible_runner.run(
            private_data_dir=str(private),
            playbook=f"playbooks/{playbook}",
            ident=str(self.jobs),
            quiet=True,
            fact_cache_type="jsonfile",
        )
        job = _job(run)
        changed = sorted(path for path, _state in _beside_artifacts(private).items() ^ before.items())
        assert not changed, f"the job wrote beside its artifacts: {changed}"
        for host in self.hosts:
            if (cache / f"{self.fact_prefix}{host}").exists():
                self.facts[host] = json.loads((cache / f"{self.fact_prefix}{host}").read_text())
        _throw_away(private)  # AWX keeps none of it
        return job

    def _write_inventory(self, private: Path, number: int, count: int) -> None:
        """The inventory as AWX's own script prints it."""
        mine = sorted(self.hosts)[number - 1 :: count]
        data: dict[str, Any] = {"all": {"hosts": [], "children": [], "vars": {}}, "_meta": {"hostvars": {}}}
        data["inference"] = {"children": sorted(self.groups), "vars": self.group_vars.get("inference", {})}
        for group, hosts in self.groups.items():
            data[group] = {"hosts": [name for name in hosts if name in mine], "vars": self.group_vars.get(group, {})}
        for place, name in enumerate(mine):
            tower = {"remote_tower_enabled": "true", "remote_tower_id": place + 1}
            data["_meta"]["hostvars"][name] = {**self.hosts[name], **tower}
        script = private / "inventory" / "hosts"
        script.write_text(SCRIPT % json.dumps(data))
        script.chmod(0o700)

    def _write_env(self, private: Path, extra: dict[str, Any], limit: str, check: bool) -> None:
        meta = {f"{prefix}_job_id": self.jobs for prefix in ("awx", "tower")}
        meta |= {f"{prefix}_job_launch_type": "manual" for prefix in ("awx", "tower")}
        text = yaml.dump(unsafe({**extra, **meta}), Dumper=ExtraVars)
        (private / "env" / "extravars").write_text(text)
        arguments = ["-u", "root", "--forks=5", *(["--check"] if check else []), *(["-l", limit] if limit else [])]
        (private / "env" / "cmdline").write_text(" ".join(arguments))
        environment = {
            "HOME": str(self.home),
            "TMPDIR": str(private / "tmp"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": f"{private}/requirements_collections:~/.ansible/collections:/usr/share/ansible/collections",
            "ANSIBLE_ROLES_PATH": f"{private}/requirements_roles:~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{private}/cp",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_FORCE_COLOR": "True",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "ANSIBLE_CALLBACKS_ENABLED": "indirect_instance_count",
            "AWX_PRIVATE_DATA_DIR": str(private),
            "JOB_ID": str(self.jobs),
        }
        (private / "env" / "envvars").write_text(json.dumps(environment))
        (private / "env" / "settings").write_text(json.dumps({"suppress_ansible_output": True}))


def copy_project(target: Path) -> None:
    """The project as a git checkout has it: what git tracks, links as links."""
    target.mkdir(parents=True)
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_symlink() or (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def _beside_artifacts(private: Path) -> dict[str, tuple[int, int]]:
    """The files of a job in which it has nothing to write: project, inventory, environment, temporary folder."""
    return {path: state for path, state in listing(private).items() if not path.startswith(KEPT)}


def _write_protected(folder: Path) -> None:
    """Takes the right to write away; root has it all the same, which is why the listings are compared too."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o555)


def _throw_away(folder: Path) -> None:
    """Removes a folder, also where it is write-protected."""
    for place, _folders, _files in os.walk(folder):
        Path(place).chmod(0o700)
    shutil.rmtree(folder)


def _job(run: Any) -> Job:
    events = list(run.events)
    artifacts = next(
        (
            event["event_data"].get("artifact_data")
            for event in reversed(events)
            if event["event"] == "playbook_on_stats"
        ),
        None,
    )
    return Job(run.rc, run.stdout.read(), events, run.stats or {}, artifacts or {})
