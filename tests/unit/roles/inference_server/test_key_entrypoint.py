# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With a key asked for, an engine gets that key or does not start; without one it would serve everybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._server.failure_causes import recognise
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.instances import KEY_FILE

ENGINES = Path(__file__).resolve().parents[4] / "roles" / "inference_server" / "vars" / "engines"
KEY = "sk-0123456789"


def started(folder: Path, backend: str, key_file: Path) -> subprocess.CompletedProcess[str]:
    """The entry point of a container, with programs in the engine's place that print what they were given."""
    engine = yaml.safe_load((ENGINES / f"{backend}.yml").read_text())["__inference_server_engine"]
    tokens = [token.replace(KEY_FILE, str(key_file)) for token in engine["key_entrypoint"]]
    (folder / "vllm").write_text('#!/bin/sh\necho "key=$VLLM_API_KEY" "$@"\n')
    (folder / "vllm").chmod(0o755)
    (folder / "sglang").mkdir()
    (folder / "sglang" / "__init__.py").touch()
    (folder / "sglang" / "launch_server.py").write_text("import sys\nprint(f'key={sys.argv[-1]}', *sys.argv[1:])\n")
    (folder / "python3").symlink_to(sys.executable)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(folder)}
    return subprocess.run([*tokens, "--port", "8000"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_the_engine_starts_with_the_key(tmp_path: Path, backend: str) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY + "\n")
    done = started(tmp_path, backend, key_file)
    assert done.returncode == 0, done.stderr
    assert f"key={KEY}" in done.stdout and "--port 8000" in done.stdout


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
@pytest.mark.parametrize("fault", ["empty", "missing", "a folder"])
def test_the_engine_does_not_start_without(tmp_path: Path, backend: str, fault: str) -> None:
    key_file = tmp_path / "key"
    if fault == "empty":
        key_file.write_text("\n")
    elif fault == "a folder":
        key_file.mkdir()
    done = started(tmp_path, backend, key_file)
    assert done.returncode != 0
    assert "key=" not in done.stdout
    if fault != "missing":
        cause = recognise(done.stderr.replace(str(key_file), KEY_FILE).splitlines())
        assert cause and cause.name == "key_unreadable"
