# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[5]
PARENT = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.child_process import die_with_parent
subprocess.Popen(["sleep", "60"], preexec_fn=die_with_parent())
print("started", flush=True)
sys.stdin.read()
"""


def test_a_program_ends_with_its_killed_parent() -> None:
    command = [sys.executable, "-c", PARENT, str(ROOT / "playbooks" / "collections")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.kill()
        assert parent.stdout.read() == ""  # comes only when the program, which holds the same pipe, has ended too
