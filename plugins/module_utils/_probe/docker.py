# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker of a host, read from its socket, its configuration file and its process.

`probe_docker` and `docker_get` are the edge, the rest is pure.
"""

from __future__ import annotations

import codecs
import http.client
import json
import os
import re
import socket
import time
from contextlib import suppress
from typing import Any, Iterable, Mapping
from urllib.parse import quote

from .._files import stat_fields
from .host import probe_disk
from .process import probe_pid_file
from .system import System

SOCKET = "/run/docker.sock"
PID_FILE = "/run/docker.pid"
CONFIG = "/etc/docker/daemon.json"
DEFAULT_ROOT = "/var/lib/docker"
OWN_LABEL_PREFIX = "org.llmfleet."
_OF_IMAGES = ("Id", "RepoDigests", "Metadata")
_PROXIES = {"http_proxy": "HttpProxy", "https_proxy": "HttpsProxy", "no_proxy": "NoProxy"}


class DockerError(OSError):
    """Docker's socket does not answer as Docker does."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def docker_get(socket_path: str, resource: str, timeout_s: float = 10.0) -> Any:
    """One answer of Docker's API.

    Raises DockerError when there is no socket, no permission, no answer in time or no JSON.
    """
    connection = _UnixConnection(socket_path, timeout_s)
    try:
        connection.request("GET", resource)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise DockerError(f"Docker answered {answer.status} to {resource}")
        return json.loads(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DockerError(str(error)) from error
    finally:
        connection.close()


def decoded(data: bytes) -> str:
    """The text of daemon.json, which may begin with a byte order mark, as Docker reads it since 23.0. Raises ValueError."""
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    encoding = next((name for mark, name in marks.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text: byte {error.start + 1}") from None


def parse_daemon_config(data: bytes | None) -> dict[str, Any]:
    """The content of daemon.json: an empty dict when the file is absent or wrong. `error` says what is wrong."""
    if data is None or not data.strip():
        return {"exists": data is not None, "content": {}, "error": None}
    try:
        text = decoded(data)
    except ValueError as error:
        return {"exists": True, "content": {}, "error": str(error)}
    try:
        content = json.loads(text)
    except ValueError as error:
        return {"exists": True, "content": {}, "error": f"not JSON: {error}"}
    if not isinstance(content, dict):
        return {"exists": True, "content": {}, "error": "not a JSON object"}
    return {"exists": True, "content": content, "error": None}


def parse_daemon_flags(cmdline: str | None) -> list[str]:
    """The options of a running dockerd, from `/proc/PID/cmdline`; empty when the process is another program."""
    words = [word for word in (cmdline or "").split("\0") if word]
    if not words or os.path.basename(words[0]) != "dockerd":  # noqa: PTH119 - a word, not a path of this host
        return []
    return words[1:]


def shape_docker(
    info: dict[str, Any],
    containers: Iterable[dict[str, Any]],
    inspected: Mapping[str, dict[str, Any]] | None = None,
    images: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What the roles need of Docker's `/info` and `/containers/json?all=1`, and of what it says of our containers (by ID) and of images."""
    return {
        "version": info.get("ServerVersion"),
        "root_dir": info.get("DockerRootDir"),
        "storage_driver": info.get("Driver"),
        "cgroup_driver": info.get("CgroupDriver"),
        "cgroup_version": info.get("CgroupVersion"),
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "swarm_active": (info.get("Swarm") or {}).get("LocalNodeState") not in (None, "", "inactive"),
        "runtimes": sorted(info.get("Runtimes") or {}),
        "default_runtime": info.get("DefaultRuntime"),
        "cdi_spec_dirs": info.get("CDISpecDirs") or [],
        "proxies": {key: info.get(name) or None for key, name in _PROXIES.items()},
        "containers": [_container(item, (inspected or {}).get(str(item.get("Id"))) or {}) for item in containers],
        "images": {name: {key: image.get(key) for key in _OF_IMAGES} for name, image in (images or {}).items()},
    }


def _container(item: dict[str, Any], inspected: dict[str, Any]) -> dict[str, Any]:
    settings = inspected.get("HostConfig") or {}
    return {
        "id": item.get("Id"),
        "name": (item.get("Names") or ["/"])[0].lstrip("/"),
        "image": item.get("Image"),
        "state": item.get("State"),
        "labels": own_labels(item),
        "host_ports": sorted({port["PublicPort"] for port in item.get("Ports") or [] if port.get("PublicPort")}),
        "bound_ports": parse_port_bindings(settings.get("PortBindings")),
        "gpus": parse_device_requests(settings.get("DeviceRequests")),
    }


def own_labels(item: dict[str, Any]) -> dict[str, str]:
    """The labels of this collection that a listed container has."""
    labels = item.get("Labels") or {}
    return {name: labels[name] for name in sorted(labels) if name.startswith(OWN_LABEL_PREFIX)}


def parse_port_bindings(bindings: dict[str, Any] | None) -> list[int]:
    """The ports of the host that a container takes whenever it runs."""
    entries = [entry for published in (bindings or {}).values() for entry in published or []]
    return sorted({int(entry["HostPort"]) for entry in entries if str(entry.get("HostPort")).isdigit()})


def parse_device_requests(requests: list[dict[str, Any]] | None) -> list[str]:
    """The GPUs that a container was given, by UUID; `all` for all of them."""
    names = {str(name).rpartition("=")[2] for request in requests or [] for name in request.get("DeviceIDs") or []}
    every = any(request.get("Count") == -1 for request in requests or [])
    return ["all"] if every else sorted(names)


_LIMITS = {
    "Max locked memory": "memlock",
    "Max stack size": "stack",
    "Max open files": "nofile",
    "Max core file size": "core",
}
_SYS_RESOURCE = 1 << 24  # the capability to raise limits


def parse_limits(limits: str | None, status: str | None) -> dict[str, int]:
    """The most that a process may give its children of each limit, from `/proc/PID/limits` and `/proc/PID/status`.

    Empty where it may raise them, as root may on a host, and where that is not to be seen. What is unlimited is left out.
    """
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)$", status or "", re.MULTILINE)
    if capabilities is None or int(capabilities.group(1), 16) & _SYS_RESOURCE:
        return {}
    rows = (re.match(r"(.+?)\s{2,}\S+\s+(\d+)\s", line) for line in (limits or "").splitlines())
    return {_LIMITS[row.group(1)]: int(row.group(2)) for row in rows if row and row.group(1) in _LIMITS}


def _limits(system: System, pid: int) -> dict[str, int]:
    """The most of each limit that Docker can give a container; no process has more open files than the kernel allows."""
    found = parse_limits(system.read(f"/proc/{pid}/limits"), system.read(f"/proc/{pid}/status"))
    kernel = (system.read("/proc/sys/fs/nr_open") or "").strip()
    return {**found, "nofile": min(int(kernel), found.get("nofile", int(kernel)))} if kernel.isdigit() else found


def parse_process_start(stat: str | None, ticks_per_s: int) -> float | None:
    """When a process started, in seconds after boot, from `/proc/PID/stat`."""
    fields = stat_fields(stat)
    return int(fields[19]) / ticks_per_s if len(fields) > 19 else None


def parse_uptime(text: str | None) -> float | None:
    """How long the host has run, in seconds, from `/proc/uptime`."""
    match = re.match(r"\d+(?:\.\d+)?", text or "")
    return float(match.group(0)) if match else None


_NO_DOCKER = shape_docker({}, [])


def probe_docker(system: System, images: Iterable[str] = ()) -> dict[str, Any]:
    """Everything about this host's Docker, with those of `images` that it has; the keys are the same when it is not installed."""
    version = system.run(["dockerd", "--version"])
    pid = probe_pid_file(system, PID_FILE)["pid"]
    docker, problem = dict(_NO_DOCKER), None
    if system.path(SOCKET).exists():
        try:
            docker = _asked(str(system.path(SOCKET)), images)
        except DockerError as error:
            problem = str(error)
    config = parse_daemon_config(system.read_bytes(CONFIG))
    if docker["version"] is None and version is not None:
        docker["version"] = _first_version(version.text)
    if docker["root_dir"] is None:
        docker["root_dir"] = config["content"].get("data-root") or DEFAULT_ROOT
    return {
        "state": _state(docker["default_runtime"] is not None, version is not None, pid is not None),
        "message": problem,
        **docker,
        "runc_version": _runc_version(system),
        "root_disk": probe_disk(system, docker["root_dir"]),
        "enabled": _is_enabled(system) if version is not None else None,
        "daemon_config": {"path": CONFIG, **config},
        "daemon_flags": parse_daemon_flags(system.read(f"/proc/{pid}/cmdline")) if pid is not None else [],
        "daemon_started_at_s": _started_at(system, pid) if pid is not None else None,
        "limits": _limits(system, pid) if pid is not None else {},
    }


def _asked(socket_path: str, images: Iterable[str]) -> dict[str, Any]:
    """What a running Docker says of itself, of its containers, the stopped ones included, and of images. Raises DockerError."""
    info = docker_get(socket_path, "/info")
    containers = docker_get(socket_path, "/containers/json?all=1")
    own = [str(item.get("Id")) for item in containers if own_labels(item)]
    inspected = _each(socket_path, {identity: f"/containers/{identity}/json" for identity in own})
    found = _each(socket_path, {name: f"/images/{quote(name, safe='/:@')}/json" for name in images})
    return shape_docker(info, containers, inspected, found)


def _each(socket_path: str, resources: Mapping[str, str]) -> dict[str, Any]:
    """Docker's answers by name, without those of what it has not, or has no longer."""
    answers = {}
    for name, resource in resources.items():
        with suppress(DockerError):
            answers[name] = docker_get(socket_path, resource)
    return answers


def _state(answers: bool, installed: bool, has_process: bool) -> str:
    if answers:
        return "running"
    if has_process:
        return "no_answer"
    return "stopped" if installed else "absent"


def _started_at(system: System, pid: int) -> float | None:
    uptime = parse_uptime(system.read("/proc/uptime"))
    start = parse_process_start(system.read(f"/proc/{pid}/stat"), os.sysconf("SC_CLK_TCK"))
    return None if uptime is None or start is None else time.time() - uptime + start


def _is_enabled(system: System) -> bool | None:
    answer = system.run(["systemctl", "is-enabled", "docker.service"])
    return None if answer is None else answer.rc == 0


def _runc_version(system: System) -> str | None:
    """The version of the runc on the host: what Docker itself says of it is a commit, or nothing."""
    answer = system.run(["runc", "--version"])
    return None if answer is None or answer.rc != 0 else _first_version(answer.text)


def _first_version(text: str) -> str | None:
    match = re.search(r"[0-9]+(?:\.[0-9]+)+", text)
    return match.group(0) if match else None
