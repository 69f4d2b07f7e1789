# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy between a host and the registries and hubs that it needs: checked, and as programs and as Docker take it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import users_in_urls

from ._version import at_least

KEYS = ("http_proxy", "https_proxy", "no_proxy")

# What a host asks itself never goes through a proxy: the server's own health check, a registry on the host.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_ADDRESS = re.compile(r"(https?|socks5h?)://[^\s/@,]+/?", re.ASCII)
_DAEMON_CONFIG_FROM = "23.0"  # the first Docker that knows `proxies` in daemon.json


def problems(option: str, proxy: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a proxy's addresses. One with a password is refused: `docker inspect` and `docker info` would show it."""
    faults = [
        Problem(f"{option} has the entry {key!r}", ", ".join(KEYS), f"correct {option}")
        for key in proxy
        if key not in KEYS
    ]
    for key in KEYS[:2]:
        address = str(proxy.get(key) or "")
        if any(users_in_urls(address)):
            faults.append(
                Problem(
                    f"{option}.{key} has a user or a password, which lists of processes and `docker inspect` would show",
                    "an address without them, such as http://proxy.example.org:3128",
                    "let the proxy know the hosts by their addresses, or run a forwarder on the host that logs in there (cntlm, px) "
                    "and name that",
                )
            )
        elif address and not _ADDRESS.fullmatch(address):
            faults.append(
                Problem(f"{option}.{key} is {address[:80]!r}", "an address such as http://proxy.example.org:3128")
            )
    return faults


def complete(proxy: Mapping[str, Any]) -> dict[str, str]:
    """The proxy with the host itself among the exceptions; empty without one."""
    given = {key: str(proxy[key]) for key in KEYS if proxy.get(key)}
    if not set(given) - {"no_proxy"}:
        return {}
    names = [name.strip() for name in given.get("no_proxy", "").split(",") if name.strip()]
    return {**given, "no_proxy": ",".join([*names, *(name for name in LOOPBACK if name not in names)])}


def environment(proxy: Mapping[str, Any]) -> dict[str, str]:
    """The variables that programs read; some know them in capitals, some in small letters."""
    return {name: value for key, value in complete(proxy).items() for name in (key, key.upper())}


def of_docker(docker: Mapping[str, Any], proxy: Mapping[str, Any]) -> dict[str, Any]:
    """How Docker gets to know the proxy: `options` for daemon.json, or the text of a `drop_in` of its unit. Both empty when it does.

    A Docker that is not there yet gets a drop-in, which every version understands.
    """
    wanted, in_force = complete(proxy), docker.get("proxies") or {}
    if all((in_force.get(key) or "") == value for key, value in wanted.items()):
        return {"options": {}, "drop_in": ""}
    if docker["state"] != "absent" and at_least(docker["version"], _DAEMON_CONFIG_FROM):
        return {"options": {"proxies": {key.replace("_", "-"): value for key, value in wanted.items()}}, "drop_in": ""}
    lines = [f'Environment="{key.upper()}={value.replace("%", "%%")}"' for key, value in wanted.items()]
    return {"options": {}, "drop_in": "\n".join(["[Service]", *lines, ""])}
