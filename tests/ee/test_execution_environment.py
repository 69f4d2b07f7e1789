# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The execution environment as far as it can be checked without pulling an image: what ansible-builder makes of its definition,
and its lists of packages installed in a clean Debian container, in which the demo then runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.awx_jobs import copy_project
from tests.support.bench import TOLERANT
from tests.support.docker_engine import docker, docker_engine
from tests.support.pip_settings import docker_arguments, parse_config, read_config
from tests.support.progress import run_step

ROOT = Path(__file__).resolve().parents[2]
BUILDER = "ansible-builder==3.2.0"
# In the container: the system's list, the Python list, then the demo with a load small enough for any machine.
INSTALL = """
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends python3-venv
python3 -m venv /venv
/venv/bin/pip install --quiet bindep
apt-get install -q -y --no-install-recommends $(/venv/bin/bindep -b -f /project/meta/ee-bindep.txt)
/venv/bin/pip install --quiet -c /project/requirements.txt ansible ansible-runner -r /project/meta/ee-requirements.txt
"""
DEMO = f"""
set -eu
export PATH=/venv/bin:$PATH LC_ALL=C.UTF-8
cd /project
ansible-playbook -i inventory/demo playbooks/deploy.yml
ansible-playbook -i inventory/demo playbooks/bench.yml -e benchmark_workload=smoke \\
  -e '{json.dumps({"benchmark_validity": TOLERANT})}'
ansible-playbook -i inventory/demo playbooks/teardown.yml
"""


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("ee")


def test_ansible_builder_accepts_the_definition(work_dir):
    venv, context = work_dir / "venv", work_dir / "context"
    run_step("virtual environment", [sys.executable, "-m", "venv", venv], work_dir / "venv.log", timeout_s=120)
    run_step(
        "ansible-builder", [venv / "bin" / "pip", "install", "--quiet", BUILDER], work_dir / "pip.log", timeout_s=300
    )
    run_step("artifact", ["sh", "tests/artifact.sh", ROOT / "build"], work_dir / "build.log", timeout_s=300, cwd=ROOT)
    argv = [venv / "bin" / "ansible-builder", "create", "--context", context]
    run_step("ansible-builder create", argv, work_dir / "create.log", timeout_s=120, cwd=ROOT)
    assert "requests" in (context / "_build" / "requirements.txt").read_text()
    assert "openssh-clients" in (context / "_build" / "bindep.txt").read_text()
    assert "community.docker" in (context / "_build" / "requirements.yml").read_text()
    assert list((context / "_build" / "collection").glob("llmfleet-serving-*.tar.gz"))


def remove(name):
    """Removes the containers, also one that outlasted its limit and still runs, and their image."""
    for argv in (["rm", "--force", f"{name}-install", f"{name}-demo"], ["image", "rm", name]):
        subprocess.run(["docker", *argv], capture_output=True, check=False)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_demo_runs_in_a_clean_container_with_the_lists_alone(work_dir, suite):
    image, name = f"llmfleet-host:{suite}", f"llmfleet-ee-{suite}"
    project = work_dir / suite
    copy_project(project)
    with docker_engine(work_dir):
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode:
            script = ROOT / "tests" / "hosts" / "build_image.sh"
            run_step(f"base image {suite}", ["sh", script, suite, image], work_dir / f"{suite}.log", timeout_s=600)
        remove(name)  # of a run that was killed
        try:
            settings = docker_arguments(parse_config(read_config()), {})
            argv = [
                "docker",
                "run",
                "--name",
                f"{name}-install",
                "--volume",
                f"{project}:/project:ro",
                *settings,
                image,
                "sh",
                "-c",
                INSTALL,
            ]
            run_step(f"install on {suite}", argv, work_dir / f"{suite}-install.log", timeout_s=900)
            docker("commit", f"{name}-install", name)
            # Without a network: what the lists installed is all that there is.
            argv = [
                "docker",
                "run",
                "--name",
                f"{name}-demo",
                "--init",
                "--network",
                "none",
                "--volume",
                f"{project}:/project",
                name,
                "sh",
                "-c",
                DEMO,
            ]
            output = run_step(f"demo on {suite}", argv, work_dir / f"{suite}-demo.log", timeout_s=900)
        finally:
            remove(name)
    assert "3 of 3 hosts" in output
