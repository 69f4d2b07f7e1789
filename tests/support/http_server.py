# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small HTTP server in this process: what it answers by path, and what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class HttpServer:
    """`answers` holds status and body by path; another path is 404. `requests` are the paths, headers and bodies that came."""

    url: str
    answers: dict[str, tuple[int, bytes]]
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    key: str = ""  # where it is set, every path but /health takes it


@contextmanager
def http_server(answers: dict[str, tuple[int, bytes]], key: str = "") -> Iterator[HttpServer]:
    """A server on a free port of this host that ends with the block."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "small/1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, answer = server.answers.get(self.path, (404, b"no such page"))
            if key and self.path != "/health" and self.headers.get("Authorization") != f"Bearer {key}":
                status, answer = 401, b"no key"
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        server = HttpServer(f"http://127.0.0.1:{listener.server_port}", answers, key=key)
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            listener.shutdown()
