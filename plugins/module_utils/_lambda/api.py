# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Lambda Cloud API, and an instance's SSH port. Needs requests."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._bearer import bearer
from .._errors import Problem, UserError
from .._openai.documents import MOST_JSON_BYTES, parse_json
from .._patience import pause_s, within
from .._secrets import hidden
from .._text import one_line
from . import model as cloud

REQUESTS_ERROR: str | None = None
try:
    import requests
    from urllib3.exceptions import HTTPError
except ImportError:
    REQUESTS_ERROR = traceback.format_exc()

ATTEMPTS = 6
MOST_PAGES = 100


class ApiError(UserError):
    """A request that did not succeed; `status` is None when there was no answer, `code` is the API's own error code."""

    def __init__(self, found: str, status: int | None = None, code: str = "", remedy: str = "") -> None:
        super().__init__(Problem(found, remedy=remedy))
        self.status = status
        self.code = code


class LaunchUnknown(ApiError):
    """A launch whose answer was lost: the instance may exist."""


def read_key(api_key: str | None, api_key_file: str | None) -> str:
    """The API key, from the option or the file. Raises ApiError with the remedy when there is none."""
    if api_key:
        return api_key.strip()
    if not api_key_file:
        raise ApiError("no API key", remedy="set LAMBDA_API_KEY in the environment, or api_key_file")
    try:
        key = Path(api_key_file).expanduser().read_text().strip()
    except OSError as error:
        raise ApiError(
            f"cannot read api_key_file {api_key_file}: {error.strerror}", remedy="correct api_key_file"
        ) from error
    if not key:
        raise ApiError(f"api_key_file {api_key_file} is empty", remedy="write the key into it")
    return key


class LambdaApi:
    """The part of the API that this collection uses."""

    def __init__(
        self, url: str, key: str, timeout_s: float = 30.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self.sleep = sleep
        self.key = key
        self.session = requests.Session()
        self.session.auth = bearer(key)

    def instances(self) -> list[dict[str, Any]]:
        """All instances of the account, on however many pages the API puts them."""
        instances: list[dict[str, Any]] = []
        token: str | None = None
        for _page in range(MOST_PAGES):
            payload = self._ask("GET", "/instances", params={"page_token": token} if token else None)
            instances += [_formed(cloud.instance, raw) for raw in _formed(list, payload.get("data") or [])]
            token = payload.get("page_token")
            if not token:
                return instances
        raise ApiError(f"the API lists instances on more than {MOST_PAGES} pages")

    def instance(self, instance_id: str) -> dict[str, Any]:
        """One instance."""
        return _formed(cloud.instance, self._ask("GET", f"/instances/{instance_id}").get("data") or {})

    def instance_types(self) -> dict[str, dict[str, Any]]:
        """All types by name."""
        listed = self._ask("GET", "/instance-types").get("data") or {}
        return {name: _formed(cloud.instance_type, name, raw) for name, raw in _formed(dict, listed).items()}

    def launch(self, body: dict[str, Any]) -> str:
        """Launches one instance and returns its id. Sent again only when it surely was not carried out; raises LaunchUnknown
        when that cannot be decided."""
        payload = self._ask("POST", "/instance-operations/launch", json=body, pace=cloud.LAUNCH_PACE_S, repeat=False)
        data = payload.get("data")
        ids = data.get("instance_ids") if isinstance(data, dict) else None
        if not isinstance(ids, list) or len(ids) != 1:
            raise LaunchUnknown(f"the launch was answered with instances {one_line(ids)}, expected 1")
        return str(ids[0])

    def terminate(self, ids: list[str]) -> None:
        """Terminates instances; those that have ended already are no error."""
        try:
            self._ask("POST", "/instance-operations/terminate", json={"instance_ids": ids})
        except ApiError as error:
            if error.code != cloud.NOT_FOUND:
                raise
            if len(ids) > 1:  # one that has ended must not keep the others alive
                for instance_id in ids:
                    self.terminate([instance_id])

    def _ask(self, method: str, path: str, pace: float = cloud.PACE_S, repeat: bool = True, **kwargs: Any) -> dict:
        """One request until it is answered; `repeat` says whether to send it again when it may have been carried out."""
        attempt = 0
        while True:
            try:
                return self._once(method, path, repeat, **kwargs)
            except _Again as again:
                attempt += 1
                if attempt >= ATTEMPTS:
                    raise ApiError(f"{again.reason} ({attempt} attempts)", again.status) from again
                self.sleep(pause_s(attempt - 1, again.retry_after, pace))

    def _once(self, method: str, path: str, repeat: bool, **kwargs: Any) -> dict:
        """Sends one request. Raises _Again when it is to be sent again, ApiError when that would not help."""
        what = f"{method} {self.url}{path}"
        try:
            answer = within(self.timeout_s, lambda: self._exchange(method, path, **kwargs))
        except requests.exceptions.SSLError as error:
            raise ApiError(f"{what}: {_reason(error)}") from error
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            if repeat or _never_connected(error):
                raise _Again(f"{what}: {_reason(error)}") from error
            raise LaunchUnknown(f"{what}: the answer was lost ({_reason(error)})") from error
        return self._judge(what, repeat, *answer)

    def _exchange(self, method: str, path: str, **kwargs: Any) -> tuple[int, Mapping[str, str], Any]:
        """Status, headers and document of an answer; the document is None where it is no JSON, or longer than any of the API's."""
        url, asked = self.url + path, {"Accept-Encoding": "identity"}
        with self.session.request(
            method, url, headers=asked, timeout=self.timeout_s, allow_redirects=False, stream=True, **kwargs
        ) as answer:
            body = answer.raw.read(MOST_JSON_BYTES + 1)
        try:
            return answer.status_code, answer.headers, parse_json(body)
        except ValueError:
            return answer.status_code, answer.headers, None

    def _judge(self, what: str, repeat: bool, status: int, headers: Mapping[str, str], payload: Any) -> dict:
        if status == 200 and isinstance(payload, dict):
            return payload
        code, words = (hidden(text, self.key) for text in cloud.error_of(payload))
        refusal = f"{what} answers {status} {code}: {words}" if code else f"{what} answers {status}"
        if status == 429:
            raise _Again(refusal, status, headers.get("Retry-After"))
        if status >= 500 or status == 200:
            if repeat:
                raise _Again(refusal, status, headers.get("Retry-After"))
            raise LaunchUnknown(f"{refusal}; the instance may have been launched all the same", status, code)
        remedy = "correct the key in LAMBDA_API_KEY or api_key_file, which is not valid" if status == 401 else ""
        if 300 <= status < 400:
            remedy = f"set api_url to where the API is; it points to {one_line(headers.get('Location'))}"
        raise ApiError(refusal, status, code, remedy)


class _Again(Exception):
    """A request worth sending once more."""

    def __init__(self, reason: str, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


def _formed(parse: Callable[..., Any], *raw: Any) -> Any:
    """What `parse` makes of a part of an answer. Raises ApiError when it has not the form that the API describes."""
    try:
        return parse(*raw)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        # Not quoted: an instance carries the address and token of its Jupyter.
        raise ApiError(
            "an answer has not the form of Lambda's API", remedy="set api_url to where the API is"
        ) from error


def _never_connected(error: Exception) -> bool:
    """Whether a request failed before anything was sent."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return type(cause).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


def _reason(error: Exception) -> str:
    """The last words of an exception that wraps others."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    return one_line(str(cause).split(": ", 1)[-1]) or type(error).__name__


def ssh_answers(address: str, port: int, timeout_s: float = 5.0) -> bool:
    """Whether an SSH server greets at this address; an open port alone proves nothing."""
    try:
        with socket.create_connection((address, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
