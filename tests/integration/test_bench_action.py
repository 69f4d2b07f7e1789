# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bench_serve as a user calls it: the controller shows how far the run is, and returns the result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.bench import TOLERANT
from tests.support.simulator import Simulator, simulator

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"decode_base_ms": 20.0, "frontend_ms": 0.1}


def call(server: Simulator, folder: Path, *flags: str, **options: Any) -> list[str]:
    """The command of an ad-hoc call."""
    arguments = {"base_url": server.url, "state_dir": str(folder / "state"), "validity": TOLERANT, **options}
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-i", "localhost,", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "--playbook-dir", str(ROOT / "playbooks")]
    return [*command, "-m", "llmfleet.serving.bench_serve", "-a", json.dumps(arguments), *flags]


def ansible(server: Simulator, folder: Path, *flags: str, **options: Any) -> str:
    """The output of an ad-hoc call."""
    command = call(server, folder, *flags, **options)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_progress_and_result(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=SLOW) as server:
        load = {"input_tokens": 64, "output_tokens": 200, "num_prompts": 4, "max_concurrency": 2, "warmup": 0}
        output = ansible(server, tmp_path, progress_interval=0.5, **load)
    lines = [line for line in output.splitlines() if line.startswith("localhost: run-1 ")]
    assert lines
    assert all(" %, " in line and "/4 requests" in line for line in lines)
    assert any("0/4 requests" in line and "tok/s" in line for line in lines), (
        "tokens come before the first request ends"
    )
    assert "status: ok" in output or '"status": "ok"' in output
    assert len(list((tmp_path / "state" / "runs").iterdir())) == 1


def test_a_call_that_joins_a_run_says_whose_it_is(tmp_path: Path) -> None:
    load = {"workload": "smoke", "num_prompts": 4000}
    with simulator(tmp_path, timing=SLOW) as server:
        assert "joined" not in ansible(server, tmp_path, wait=False, **load)
        with subprocess.Popen(call(server, tmp_path, **load), stdout=subprocess.PIPE, text=True, cwd=ROOT) as joining:
            assert joining.stdout is not None
            said = next(line for line in joining.stdout if "joins run " in line).strip()
            ansible(server, tmp_path, state="cancelled", **load)
            assert "partial" in joining.stdout.read()
    assert said.startswith("localhost: joins run 20")
    assert " began at 20" in said
    assert said.endswith("no second load is started")
    assert len(list((tmp_path / "state" / "runs").iterdir())) == 1


def test_check_mode_and_not_waiting(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=SLOW) as server:
        assert "has_tokenize" in ansible(server, tmp_path, "--check", workload="smoke")
        assert server.send_log.read_text() == ""
        load = {"workload": "smoke", "num_prompts": 400}
        assert "run_folder" in ansible(server, tmp_path, wait=False, **load)
        assert "partial" in ansible(server, tmp_path, state="cancelled", **load)
