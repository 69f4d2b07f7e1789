#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the simulator costs and how punctual it is: CPU per event, and lateness (call that sends - deadline) of events.

    tests/benchmarks/simulator_overhead.py [--python PYTHON]

Server and client share this machine, as they do in a benchmark. Linux only (CPU time is read from /proc).
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIMULATOR = Path(__file__).resolve().parent.parent.parent / "roles/inference_server/files/llmfleet_simulator.py"
LOADS = ((32, 5.0), (128, 10.0), (512, 25.0), (1000, 50.0))  # streams, milliseconds per token
SECONDS = 5.0


def request(port: int, tokens: int) -> bytes:
    body = json.dumps({"prompt": "overhead", "max_tokens": tokens, "ignore_eos": True, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def drain(port: int, streams: int, tokens: int) -> None:
    """Read so many concurrent answers and throw them away."""
    selector = selectors.DefaultSelector()
    for _ in range(streams):
        selector.register(socket.create_connection(("127.0.0.1", port)), selectors.EVENT_READ)
    for key in list(selector.get_map().values()):
        key.fileobj.sendall(request(port, tokens))  # type: ignore[union-attr]
    while selector.get_map():
        for key, _ in selector.select():
            data = key.fileobj.recv(65536)  # type: ignore[union-attr]
            if not data or data.endswith(b"0\r\n\r\n"):
                selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def run(python: str, streams: int, step_ms: float, log: str) -> tuple[float, float]:
    """CPU microseconds per event of the server, and events per second, of one load."""
    tokens = int(SECONDS * 1000 / step_ms)
    timing = {"decode_base_ms": step_ms, "decode_expert_ms": 0, "decode_us_per_sequence": 0}
    options = {"port": 0, "max_num_seqs": 4096, "timing": timing, "send_log": log}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump(options, config)
        config.flush()
        command = [python, str(SIMULATOR), "--config", config.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline().rpartition(":")[2])
            before, start = cpu_seconds(server.pid), time.monotonic()
            drain(port, streams, tokens)
            cpu, seconds = cpu_seconds(server.pid) - before, time.monotonic() - start
            server.terminate()
    return cpu * 1e6 / (streams * tokens), streams * tokens / seconds


def lateness_ms(log: str) -> list[float]:
    """Of every event of a send log, in order of size."""
    late: list[float] = []
    for line in Path(log).read_text().splitlines():
        row = json.loads(line)
        late += [(before - due) / 1e6 for before, due in zip(row["before_ns"], row["due_ns"])]
    return sorted(late)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter that runs the simulator")
    python = parser.parse_args().python
    print("streams  events/s  CPU us/event  late p50 ms  late p99 ms   (lateness: a second run, with the send log)")
    for streams, step_ms in LOADS:
        cost, rate = run(python, streams, step_ms, "")
        with tempfile.TemporaryDirectory() as folder:
            log = str(Path(folder) / "log")
            run(python, streams, step_ms, log)
            late = lateness_ms(log)
        p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
        print(f"{streams:7} {rate:9.0f} {cost:13.1f} {p50:12.3f} {p99:12.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
