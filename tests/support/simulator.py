# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator as a process of its own, for tests that talk to it without a playbook."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parents[2] / "roles" / "inference_server" / "files" / "llmfleet_simulator.py"


@dataclass(frozen=True)
class Simulator:
    """A running simulator, and the file in which it logs what it sent when."""

    url: str
    send_log: Path
    pid: int

    def sent(self) -> dict[str, dict[str, Any]]:
        """The send log's lines by request id."""
        lines = [json.loads(line) for line in self.send_log.read_text().splitlines()]
        return {line["id"].partition("-")[2]: line for line in lines}


@contextmanager
def simulator(folder: Path, **options: Any) -> Iterator[Simulator]:
    """A simulator on a free port, with the given options, that ends with the block."""
    send_log, config = folder / "send.log", folder / "simulator.json"
    config.write_text(json.dumps({"port": 0, "served_model_name": "sim", "send_log": str(send_log), **options}))
    command = [sys.executable, str(PROGRAM), "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            yield Simulator(ready.split()[-1], send_log, process.pid)
        finally:
            process.terminate()
