# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs among hosts that should be alike. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._plain import mapping, sequence

_MOST_EXAMPLES = 5
_PLACE = ("--port", "--host")  # where a server listens is no difference in what it does


def _server(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: mapping(row["provenance"].get("server")).get(key)


def flags(row: dict[str, Any]) -> str:
    """The server's command line without the address that it listens on; a simulator's does not contain its settings."""
    if _server("backend")(row) == "simulator":
        return ""
    kept, skip = [], False
    for word in map(str, sequence(_server("argv")(row))):
        if not skip and word not in _PLACE and not word.startswith(tuple(f"{name}=" for name in _PLACE)):
            kept.append(word)
        skip = word in _PLACE
    return " ".join(kept)


WATCHED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "image digest": _server("image_digest"),
    "engine version": _server("engine_version"),
    "server flags": flags,
    "model revision": _server("model_revision"),
    "GPU product": lambda row: row["gpu_name"],
    "GPU driver": lambda row: row["driver_version"],
    "kernel": lambda row: mapping(row["provenance"].get("host")).get("kernel"),
    "benchmark client": lambda row: " ".join(
        str(mapping(row["client"]).get(key)) for key in ("name", "version", "clock") if mapping(row["client"]).get(key)
    ),
}


def differences(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each watched property that has more than one value in a group: `what`, and its `values`, the commonest first.

    A value has `value`, `count` of hosts and up to five `hosts`. Unknown values differ from nothing.
    """
    differing = []
    for what, value_of in WATCHED.items():
        hosts: dict[str, list[str]] = {}
        for row in rows:
            value = value_of(row)
            if value:
                hosts.setdefault(str(value), []).append(row["host"])
        if len(hosts) > 1:
            ordered = sorted(hosts.items(), key=lambda item: -len(item[1]))
            values = [{"value": v, "count": len(h), "hosts": h[:_MOST_EXAMPLES]} for v, h in ordered]
            differing.append({"what": what, "values": values})
    return differing
