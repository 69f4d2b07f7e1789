# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the Lambda Cloud API: its paths, bodies and errors (1.10) on a local port, with faults to order."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, urlparse

KEY = "secret_test_0123456789abcdef"
PREFIX = "/api/v1"
NO_CAPACITY = "instance-operations/launch/insufficient-capacity"
LAUNCH_FIELDS = {
    "region_name", "instance_type_name", "ssh_key_names", "file_system_names", "file_system_mounts", "hostname", "name",
    "image", "user_data", "tags", "firewall_rulesets",
}  # fmt: skip


def make_type(name: str, cents: int, gpus: int, regions: list[str]) -> dict:
    """An entry of /instance-types."""
    return {
        "instance_type": {
            "name": name,
            "description": name,
            "gpu_description": name,
            "price_cents_per_hour": cents,
            "specs": {"vcpus": 26, "memory_gib": 225, "storage_gib": 2816, "gpus": gpus},
        },
        "regions_with_capacity_available": [{"name": region, "description": region} for region in regions],
    }


@dataclass
class Account:
    """What the API knows, what it was asked, and the faults it shall show."""

    types: dict[str, dict] = field(
        default_factory=lambda: {
            "gpu_1x_h100_sxm5": make_type("gpu_1x_h100_sxm5", 429, 1, ["us-south-2", "us-west-3"]),
            "gpu_1x_a100_sxm4": make_type("gpu_1x_a100_sxm4", 199, 1, ["us-east-1"]),
            "gpu_8x_b200_sxm6": make_type("gpu_8x_b200_sxm6", 4792, 8, []),
        }
    )
    instances: dict[str, dict] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[dict] = field(default_factory=list)
    page_size: int = 100
    boots_after: int = 1  # answers of /instances/{id} until an instance is active
    ip: str = "127.0.0.1"
    full_regions: set[str] = field(default_factory=set)  # say yes, then refuse
    answers: dict[str, list] = field(
        default_factory=dict
    )  # path -> (status, body, headers) to give before the true one
    lose_launch: str = ""  # "after": make the instance and hang up; "before": hang up
    ids = count(1)

    def launches(self) -> int:
        """How many launch requests came."""
        return sum(path == "/instance-operations/launch" for _method, path in self.requests)

    def live(self, name: str) -> list[dict]:
        """The instances of a name that bill."""
        alive = ("booting", "active", "unhealthy")
        return [entry for entry in self.instances.values() if entry.get("name") == name and entry["status"] in alive]

    def add(self, name: str, type_name: str = "gpu_1x_h100_sxm5", **changes: object) -> dict:
        """Puts an instance into the account."""
        instance_id = f"{next(self.ids):032x}"
        entry = {
            "id": instance_id,
            "name": name,
            "status": "active",
            "ip": self.ip,
            "private_ip": "10.0.2.100",
            "ssh_key_names": ["fleet"],
            "file_system_names": [],
            "region": {"name": "us-west-3", "description": "Utah, USA"},
            "instance_type": self.types[type_name]["instance_type"],
            "hostname": self.ip,
            "jupyter_token": "jupyter-secret",
            "jupyter_url": "https://jupyter.example.org/?token=jupyter-secret",
            "actions": {"terminate": {"available": True}},
            "tags": [],
            **changes,
        }
        self.instances[instance_id] = entry
        return entry


class Handler(BaseHTTPRequestHandler):
    """Answers as the API's description says."""

    account: Account
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """Lists instances, one instance or the types."""
        url = urlparse(self.path)
        path = self._checked(url.path)
        if path is None:
            return
        if path == "/instances":
            self._page(parse_qs(url.query))
        elif path == "/instance-types":
            self._send(200, {"data": self.account.types})
        elif path.startswith("/instances/"):
            self._one(path.rsplit("/", 1)[1])
        else:
            self._error(404, "global/not-found", "The requested resource was not found.")

    def do_POST(self) -> None:
        """Launches or terminates."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self._checked(self.path)
        if path is None:
            return
        self.account.bodies.append(body)
        if path == "/instance-operations/launch":
            self._launch(body)
        elif path == "/instance-operations/terminate":
            self._terminate(body["instance_ids"])
        else:
            self._error(404, "global/not-found", "The requested resource was not found.")

    def _checked(self, path: str) -> str | None:
        """The path below the prefix; None when an error was sent."""
        path = path.removeprefix(PREFIX)
        self.account.requests.append((self.command, path))
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self._error(401, "global/invalid-api-key", "API key was invalid, expired, or deleted.")
            return None
        ordered = self.account.answers.get(path)
        if ordered:
            status, body, headers = ordered.pop(0)
            self._send(status, body, headers)
            return None
        return path

    def _page(self, query: dict[str, list[str]]) -> None:
        start = int(query.get("page_token", ["0"])[0])
        rows = list(self.account.instances.values())
        stop = start + self.account.page_size
        payload: dict = {"data": rows[start:stop]}
        if stop < len(rows):
            payload["page_token"] = str(stop)
        self._send(200, payload)

    def _one(self, instance_id: str) -> None:
        entry = self.account.instances.get(instance_id)
        if entry is None:
            self._error(404, "global/object-does-not-exist", "Specified instance does not exist.")
            return
        if entry["status"] == "booting":
            entry["boots"] = entry.get("boots", 0) + 1
            if entry["boots"] > self.account.boots_after:
                entry.update(status="active", ip=self.account.ip)
        self._send(200, {"data": entry})

    def _launch(self, body: dict) -> None:
        problem = launch_problem(body)
        if problem:
            self._error(400, "global/invalid-parameters", problem)
            return
        region, type_name = body["region_name"], body["instance_type_name"]
        listed = self.account.types.get(type_name)
        if listed is None:
            self._error(404, "global/object-does-not-exist", "There is no such type.")
            return
        offered = [entry["name"] for entry in listed["regions_with_capacity_available"]]
        if region not in offered or region in self.account.full_regions:
            self._error(400, NO_CAPACITY, "Not enough capacity to fulfill launch request.")
            return
        if self.account.lose_launch != "before":
            changes = {
                "status": "booting",
                "region": {"name": region, "description": region},
                "tags": body.get("tags", []),
            }
            entry = self.account.add(body.get("name", ""), type_name, **changes)
            entry.pop("ip")
        if self.account.lose_launch:
            self.account.lose_launch = ""
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(200, {"data": {"instance_ids": [entry["id"]]}})

    def _terminate(self, ids: list[str]) -> None:
        if any(instance_id not in self.account.instances for instance_id in ids):
            self._error(404, "global/object-does-not-exist", "Specified instance does not exist.")
            return
        for instance_id in ids:
            self.account.instances[instance_id]["status"] = "terminating"
        self._send(200, {"data": {"terminated_instances": [self.account.instances[id_] for id_ in ids]}})

    def _error(self, status: int, code: str, message: str) -> None:
        self._send(status, {"error": {"code": code, "message": message, "suggestion": ""}})

    def _send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def launch_problem(body: dict) -> str:
    """What the API's description of a launch does not allow in this body; empty when it is right."""
    if set(body) - LAUNCH_FIELDS:
        return f"unknown fields {sorted(set(body) - LAUNCH_FIELDS)}"
    if len(body.get("ssh_key_names", [])) != 1:
        return "exactly one SSH key must be specified"
    if "image" in body and set(body["image"]) not in ({"id"}, {"family"}):
        return "image needs id or family"
    if not all(set(tag) == {"key", "value"} and len(tag["value"]) <= 128 for tag in body.get("tags", [])):
        return "tags need key and value"
    return ""


@contextmanager
def serve(account: Account) -> Iterator[str]:
    """Serves an account; gives the API's address."""
    handler = type("BoundHandler", (Handler,), {"account": account})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def ssh_banner(greeting: bytes = b"SSH-2.0-test\r\n") -> Iterator[int]:
    """A port that greets as an SSH server does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(greeting)

    threading.Thread(target=greet, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
