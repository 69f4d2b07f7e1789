# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client runs on every Python that a target may have. Interpreters that are not here are skipped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.bench import TOLERANT
from tests.support.simulator import simulator

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
CODE = """
import json, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from tests.support.bench import benchmark
fact = benchmark(sys.argv[3], Path(sys.argv[4]), num_prompts=4, warmup=2, validity=json.loads(sys.argv[5]))
print(json.dumps({"reason": fact["reason"], "completed": fact["metrics"]["completed"], "client": fact["client"]}))
"""
PROXIES = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}  # would measure a proxy


def interpreter(version: str) -> str | None:
    """A Python of that version that runs: on PATH, or among pyenv's."""
    candidates = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    with simulator(tmp_path) as server:
        paths = [str(ROOT), str(ROOT / "playbooks" / "collections"), server.url, str(tmp_path), json.dumps(TOLERANT)]
        command = [python, "-W", "error", "-c", CODE, *paths]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **PROXIES})
    assert ran.returncode == 0, ran.stderr
    assert '"reason": null' in ran.stdout
    assert '"clock": "kernel"' in ran.stdout
