# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where clients reach the servers of a host. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden


def client_urls(fact: Mapping[str, Any], client_url: str) -> list[str]:
    """The address of each instance in the fact `llmfleet_server`, without a slash at its end.

    `client_url` is how clients reach the first one; empty for its address on the host. One with a port leads to the others at
    theirs; one without stands before all of them. Raises UserError for one that no client could use.
    """
    instances = fact.get("instances") or [{"base_url": fact["endpoint"]}]
    if not client_url:
        return [str(instance["base_url"]) for instance in instances]
    parts = _split(client_url.rstrip("/"))
    if parts.port is None:
        return [parts.geturl()]
    host = parts.netloc.rpartition(":")[0]
    ports = (parts.port + instance["port"] - instances[0]["port"] for instance in instances)
    return [parts._replace(netloc=f"{host}:{port}").geturl() for port in ports]


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in url
    except ValueError:  # a port that is none
        usable = False
    if not usable:
        found = f"inference_server_client_url is {hidden(url)!r}"
        raise UserError(
            Problem(
                found,
                "an address such as http://10.0.0.7:8000, without user and password",
                "correct inference_server_client_url",
            )
        )
    return parts
