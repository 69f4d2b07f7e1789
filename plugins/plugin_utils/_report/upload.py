# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends files by HTTP PUT: a presigned URL of any S3-compatible store, or a plain web server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden

try:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry
except ImportError:  # pragma: no cover
    requests = None  # type: ignore[assignment]

_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
_READ = 4096  # characters of an answer that are looked at
_PASSING = (408, 429, 500, 502, 503, 504)  # a later attempt may succeed


def put(
    targets: Mapping[Path, str], headers: Mapping[str, str], *, retries: int, timeout_s: float, pause_s: float = 0.5
) -> None:
    """PUT each file to its URL. A request with a passing fault is repeated up to `retries` times, after `pause_s`, 2 x, 4 x as long ...

    Raises UserError at the first file that does not get through; it names the place without its secrets.
    """
    if requests is None:
        raise UserError(
            Problem(
                "report_upload_urls needs the Python package requests on the controller", remedy="pip install requests"
            )
        )
    retry = Retry(
        total=retries, backoff_factor=pause_s, status_forcelist=_PASSING, allowed_methods=None, raise_on_status=False
    )
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        for path, url in targets.items():
            _put(session, path, url, headers, timeout_s)


def shown(url: str) -> str:
    """`url` without what may be secret in it: user, password, query (a signature) and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _put(session: requests.Session, path: Path, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
    where = f"{path.name} to {shown(url)}"
    try:
        body = path.read_bytes()
    except OSError as error:
        raise UserError(_refused(where, error.strerror, "name the file's form in report_forms")) from None
    sent = {"Content-Type": _TYPES.get(path.suffix, "application/octet-stream"), **headers}
    try:
        response = session.put(url, data=body, headers=sent, timeout=timeout_s)
    except requests.RequestException as error:
        cause = type(error).__name__  # its text repeats the URL, signature and all
        raise UserError(_refused(where, cause, "let the controller reach that address")) from None
    if response.status_code >= 300:
        text = " ".join(hidden(response.text[:_READ], *_secrets_of(url, headers))[:200].split())
        cause = f"HTTP {response.status_code} {response.reason} ({text})"
        raise UserError(
            _refused(
                where, cause, "a presigned URL must be signed for PUT, not be expired, and fit report_upload_headers"
            )
        )


def _secrets_of(url: str, headers: Mapping[str, str]) -> list[str]:
    """What an answer may repeat: the values of the headers and of the query, a signature for example."""
    return [*headers.values(), *(value for _name, value in parse_qsl(urlsplit(url).query))]


def _refused(where: str, cause: str | None, remedy: str) -> Problem:
    return Problem(f"cannot upload {where}: {cause}", remedy=remedy)
