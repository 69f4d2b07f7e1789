# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small server that speaks as much of the model hub's API as its own client asks for, one model, with faults on request."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "tiny/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class ModelHub(ThreadingHTTPServer):
    """Serves the files of one model. `token` is asked for when set; `cut_after` ends the next download after so many bytes."""

    def __init__(self, files: Mapping[str, bytes], token: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.digests = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        self.token = token
        self.cut_after: int | None = None
        self.requests: list[str] = []
        self.sent_bytes = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelHub

    def log_message(self, *_words: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer(b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}, 401)
        elif path.startswith(f"/api/models/{MODEL}/tree/"):
            self._answer(
                json.dumps([{"type": "file", "path": name, **self._entry(name)} for name in self.server.files]).encode()
            )
        elif path.startswith(f"/api/models/{MODEL}"):
            siblings = [{"rfilename": name, **self._entry(name)} for name in self.server.files]
            self._answer(json.dumps({"id": MODEL, "sha": COMMIT, "private": False, "siblings": siblings}).encode())
        elif path.startswith(f"/{MODEL}/resolve/"):
            self._file(path.split("/", 5)[5])
        else:
            self._answer(b"{}", {"X-Error-Code": "RepoNotFound"}, 404)

    def _entry(self, name: str) -> dict[str, object]:
        size = len(self.server.files[name])
        entry: dict[str, object] = {"size": size, "blobId": "b" * 40, "oid": "b" * 40}
        if name.endswith(".safetensors"):
            entry["lfs"] = {
                "sha256": self.server.digests[name],
                "oid": self.server.digests[name],
                "size": size,
                "pointerSize": 130,
            }
        return entry

    def _file(self, name: str) -> None:
        data = self.server.files[name]
        start = int((self.headers.get("Range") or "bytes=0-").partition("=")[2].partition("-")[0])
        headers = {"ETag": f'"{self.server.digests[name]}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._answer(data[start:], headers, 206 if start else 200)

    def _answer(self, body: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.server.cut_after
        if cut is not None and len(body) > cut:
            self.server.cut_after = None
            body = body[:cut]
            self.close_connection = True
        self.wfile.write(body)
        self.server.sent_bytes += len(body)


@contextmanager
def model_hub(files: Mapping[str, bytes], token: str | None = None) -> Iterator[ModelHub]:
    """A running hub, stopped at the end."""
    hub = ModelHub(files, token)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
