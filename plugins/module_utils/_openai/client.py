# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blocking HTTP: one request, or several on one connection. Proxies of the environment are ignored, for they would be asked
in place of the server, and measured with it.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Mapping

from .._errors import Problem, UserError
from .endpoint import Access

# The most that is read of an answer. The longest that is asked for is a page of metrics; what a server says of itself has some KiB.
_MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `json` is None when the body is not JSON."""

    status: int
    server: str
    body: bytes

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def excerpt(self) -> str:
        """The beginning of the body, for messages."""
        return " ".join(self.body[:300].decode("utf-8", "replace").split())


class NoAnswer(OSError):
    """No HTTP answer came; the text is the system's reason."""


def ask(url: str, headers: Mapping[str, str], timeout_s: float, document: Mapping[str, Any] | None = None) -> Answer:
    """One request on a connection of its own, redirects followed: a POST of `document`, or a GET without it. Raises NoAnswer."""
    data = None if document is None else json.dumps(document).encode()
    content = {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, {**content, **headers})
    try:
        try:
            response = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout_s)
        except urllib.error.HTTPError as refusal:
            response = refusal
        with response:
            return Answer(response.getcode(), response.headers.get("Server") or "", _read(response))
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(str(getattr(error, "reason", error))) from error


def _read(response: Any) -> bytes:
    """The body of an answer, as far as it is read at all. Raises IncompleteRead where it ends too early."""
    whole = response.length is not None and response.length <= _MOST_BYTES
    return bytes(response.read() if whole else response.read(_MOST_BYTES))


class ControlClient:
    """Blocking requests on one keep-alive connection (models, tokenize, metrics ...)."""

    def __init__(self, access: Access, timeout_s: float) -> None:
        self._access = access
        endpoint = access.endpoint
        context = access.tls_context()
        self._connection: http.client.HTTPConnection
        if context is None:
            self._connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=timeout_s)
        else:
            self._connection = http.client.HTTPSConnection(
                endpoint.host, endpoint.port, timeout=timeout_s, context=context
            )

    def get(self, path: str) -> Answer:
        """GET `path`. Raises UserError when no answer comes."""
        return self._ask("GET", path, None)

    def post(self, path: str, document: dict[str, Any]) -> Answer:
        """POST `document` as JSON. Raises UserError when no answer comes."""
        return self._ask("POST", path, json.dumps(document).encode())

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        try:
            return self._ask_once(method, path, body)
        except (ConnectionResetError, BrokenPipeError, http.client.BadStatusLine):
            self._connection.close()  # the server had closed a connection that was kept alive: try once on a new one
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer(error) from error
        try:
            return self._ask_once(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer(error) from error

    def _ask_once(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = self._access.headers()
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, self._access.endpoint.path(path), body=body, headers=headers)
        response = self._connection.getresponse()
        answer = Answer(response.status, response.getheader("Server") or "", _read(response))
        if not response.isclosed():  # there is more of it, which is not read: the connection cannot be used again
            self._connection.close()
        return answer

    def _no_answer(self, error: Exception) -> UserError:
        self._connection.close()
        return UserError(
            Problem(
                f"{self._access.endpoint.url} does not answer ({type(error).__name__}: {error}).",
                "a running OpenAI-compatible server.",
                "Deploy it first (playbook deploy.yml), or set base_url to where it listens.",
            )
        )
