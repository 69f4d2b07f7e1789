# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends files by HTTP PUT: a presigned URL of any S3-compatible store, or a plain web server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._patience import pause_s, within
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

try:
    import requests
    from urllib3.exceptions import HTTPError
except ImportError:  # pragma: no cover
    requests = None  # type: ignore[assignment]

_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
_READ = 4096  # bytes of an answer that are looked at
_PASSING = (408, 429, 500, 502, 503, 504)  # a later attempt may succeed
_SLOWEST_BYTES_S = 64 * 1024  # a file that goes more slowly is given up


def put(
    targets: Mapping[Path, str],
    headers: Mapping[str, str],
    *,
    retries: int,
    timeout_s: float,
    first_pause_s: float = 0.5,
) -> None:
    """PUT each file to its URL. A request with a passing fault is repeated up to `retries` times, after growing pauses.

    Raises UserError at the first file that does not get through; it names the place without its secrets.
    """
    if requests is None:
        raise UserError(
            Problem(
                "report_upload_urls needs the Python package requests on the controller", remedy="pip install requests"
            )
        )
    for path, url in targets.items():
        where = f"{path.name} to {shown(url)}"
        send = partial(_put, url, _body(where, path), {"Content-Type": _type(path), **headers}, timeout_s)
        reply = send()
        for attempt in range(retries):
            if not reply.passing:
                break
            time.sleep(pause_s(attempt, reply.retry_after, first_pause_s))
            reply = send()
        if reply.fault:
            raise UserError(Problem(f"cannot upload {where}: {reply.fault}", remedy=reply.remedy))


def shown(url: str) -> str:
    """`url` without what may be secret in it: user, password, query (a signature) and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _Reply(NamedTuple):
    """What became of one attempt: no fault, or its words; `passing` where another attempt may help."""

    fault: str = ""
    remedy: str = ""
    passing: bool = False
    retry_after: str | None = None


def _body(where: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = "name the file's form in report_forms"
        raise UserError(Problem(f"cannot upload {where}: {error.strerror}", remedy=remedy)) from None


def _type(path: Path) -> str:
    return _TYPES.get(path.suffix, "application/octet-stream")


def _put(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> _Reply:
    """One attempt, limited as a whole: by `timeout_s`, and the time that a slow line needs for the body."""
    limit_s = timeout_s + len(body) / _SLOWEST_BYTES_S
    try:
        response, said = within(limit_s, lambda: _exchange(url, body, headers, timeout_s))
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        # The text of a library's error repeats the URL, signature and all.
        cause = str(error) if isinstance(error, TimeoutError) else type(error).__name__
        return _Reply(cause, "let the controller reach that address", passing=not isinstance(error, ValueError))
    if response.status_code < 300:
        return _Reply()
    text = hidden(said.decode("utf-8", "replace"), *_secrets_of(url, headers))
    fault = one_line(f"HTTP {response.status_code} {response.reason} ({one_line(text[:200])})")
    remedy = "a presigned URL must be signed for PUT, not be expired, and fit report_upload_headers"
    if response.status_code < 400:
        remedy = f"send it to where it is wanted: it leads to {one_line(shown(response.headers.get('Location', '')))}"
    return _Reply(fault, remedy, response.status_code in _PASSING, response.headers.get("Retry-After"))


def _exchange(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> tuple[requests.Response, bytes]:
    """The answer to a PUT and the beginning of its body. A redirect is not followed, for headers may be secrets; no .netrc is read."""
    with requests.put(
        url, body, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True, auth=_as_it_is
    ) as response:
        return response, response.raw.read(_READ)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _secrets_of(url: str, headers: Mapping[str, str]) -> list[str]:
    """What an answer may repeat: the values of the headers and of the query, a signature for example."""
    return [*headers.values(), *(value for _name, value in parse_qsl(urlsplit(url).query))]
