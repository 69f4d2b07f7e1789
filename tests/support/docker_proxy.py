# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands between a client and the Docker engine that runs here, and answers some requests with an error of its own."""

from __future__ import annotations

import http.client
import json
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

ENGINE = "/var/run/docker.sock"
Fault = Callable[[str, str], "tuple[int, str] | None"]  # method and path of a request -> status and message of an error


class _Engine(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(ENGINE)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    fault: Fault


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        error = self.server.fault(self.command, self.path)
        if error:
            message = json.dumps({"message": error[1]}).encode()
            self._answer(error[0], {"Content-Type": "application/json"}, message)
            return
        engine = _Engine("localhost")
        engine.request(self.command, self.path, body or None, dict(self.headers))
        answer = engine.getresponse()
        kept = {
            name: value
            for name, value in answer.getheaders()
            if name.lower() not in ("content-length", "transfer-encoding")
        }
        self._answer(answer.status, kept, answer.read())
        engine.close()

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _forward

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def docker_proxy(fault: Fault) -> Iterator[str]:
    """The address of the engine behind the proxy, as DOCKER_HOST takes it. A socket has a short path."""
    with tempfile.TemporaryDirectory() as folder, _Server(f"{folder}/docker.sock", _Handler) as server:
        server.fault = fault
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"unix://{folder}/docker.sock"
        finally:
            server.shutdown()
