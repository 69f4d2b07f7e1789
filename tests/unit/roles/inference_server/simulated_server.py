# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulator in a process of its own on a free port, and the bytes that are exchanged with it."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = Path(__file__).resolve().parents[4] / "roles" / "inference_server" / "files"
QUICK = {"frontend_ms": 0.5, "decode_base_ms": 1, "decode_expert_ms": 0, "prefill_base_ms": 0.5}


@dataclass
class Answer:
    """One HTTP answer, taken apart by hand so that its bytes stay visible."""

    status: int
    headers: dict[str, str]
    body: bytes  # without chunked framing
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The JSON of each event but [DONE]."""
        data = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
        return [json.loads(item) for item in data if item != "[DONE]"]


def unchunk(data: bytes) -> bytes:
    """The payload of a complete chunked body."""
    payload = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if int(size, 16) == 0:
            return payload
        payload, data = payload + data[: int(size, 16)], data[int(size, 16) + 2 :]


def parse(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = unchunk(body)
    return Answer(int(first.split(" ")[1]), headers, body, raw)


class Server:
    """A running simulator."""

    def __init__(self, process: subprocess.Popen[str], port: int, context: ssl.SSLContext | None = None) -> None:
        self.process, self.port, self.context = process, port, context

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.context.wrap_socket(sock, server_hostname="localhost") if self.context else sock

    def exchange(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own; everything that comes back until it is closed."""
        with self.connect() as sock:
            sock.sendall(data)
            chunks = []
            while chunk := sock.recv(65536):
                chunks.append(chunk)
            return b"".join(chunks)

    def raw(self, path: str, body: Any = None, **headers: str) -> bytes:
        return self.exchange(message(path, body, connection="close", **headers))

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        return parse(self.raw(path, body, **headers))

    def metrics(self) -> dict[str, float]:
        """Metrics by name, without labels."""
        lines = self.ask("/metrics").body.decode().splitlines()
        return {line.split("{")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def message(path: str, body: Any = None, **headers: str) -> bytes:
    """The bytes of a request; a body makes it a POST."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def start(tmp_path: Path, context: ssl.SSLContext | None = None, **options: Any) -> Server:
    config = tmp_path / f"config-{time.monotonic_ns()}.json"
    config.write_text(json.dumps({"port": 0, "model": "m", "timing": QUICK, **options}))
    command = [sys.executable, str(FILES / "llmfleet_simulator.py"), "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    return Server(process, int(line.rpartition(":")[2]), context)


def stop(server: Server) -> None:
    server.process.terminate()
    server.process.communicate(timeout=20)
