# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API of AWX, and of the automation controller behind a platform's gateway: requests, pages, refusals in AWX's own words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from ansible_collections.llmfleet.serving.plugins.module_utils._bearer import bearer
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.documents import MOST_JSON_BYTES, parse_json
from ansible_collections.llmfleet.serving.plugins.module_utils._patience import pause_s, within
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden
from ansible_collections.llmfleet.serving.plugins.module_utils._text import WORDS, one_line, words

try:
    import requests
    from requests.auth import HTTPBasicAuth
    from urllib3.exceptions import HTTPError
except ImportError:
    requests = None  # type: ignore[assignment]

ATTEMPTS = 4
MOST_PAGES = 50
PAGE = 200
_LOGIN = (
    "set CONTROLLER_OAUTH_TOKEN to a token with scope write (in AWX: your user, Tokens), "
    "or CONTROLLER_USERNAME and CONTROLLER_PASSWORD"
)


class ApiError(UserError):
    """A request that did not succeed; `status` is None when there was no answer."""

    def __init__(self, found: str, status: int | None = None, remedy: str = "") -> None:
        super().__init__(Problem(found, remedy=remedy))
        self.status = status


class Login(NamedTuple):
    """Where AWX is and how to log in. `base`: the path before `v2/` where it is not found by itself."""

    url: str
    token: str = ""
    user: str = ""
    password: str = ""
    verify: bool = True
    base: str = ""


# Variable -> its names in the environment, as the collections awx.awx, ansible.controller and ansible.platform read them, in this order.
_ENVIRONMENT = {
    "url": ("CONTROLLER_HOST", "TOWER_HOST", "AAP_HOSTNAME", "GATEWAY_HOSTNAME"),
    "token": ("CONTROLLER_OAUTH_TOKEN", "TOWER_OAUTH_TOKEN", "AAP_TOKEN", "GATEWAY_API_TOKEN"),
    "user": ("CONTROLLER_USERNAME", "TOWER_USERNAME", "AAP_USERNAME", "GATEWAY_USERNAME"),
    "password": ("CONTROLLER_PASSWORD", "TOWER_PASSWORD", "AAP_PASSWORD", "GATEWAY_PASSWORD"),
    "verify": ("CONTROLLER_VERIFY_SSL", "TOWER_VERIFY_SSL", "AAP_VALIDATE_CERTS", "GATEWAY_VERIFY_SSL"),
    "base": ("CONTROLLER_OPTIONAL_API_URLPATTERN_PREFIX",),
}


def login(environment: Mapping[str, str]) -> Login:
    """What the environment says. Raises UserError with all that is missing in it."""
    given = {
        name: next((environment[key].strip() for key in keys if environment.get(key, "").strip()), "")
        for name, keys in _ENVIRONMENT.items()
    }
    problems = []
    if not given["url"]:
        problems.append(Problem("CONTROLLER_HOST is not set", remedy="export CONTROLLER_HOST=https://awx.example.org"))
    if not given["token"] and not (given["user"] and given["password"]):
        problems.append(Problem("there is no login for AWX", remedy=_LOGIN))
    if problems:
        raise UserError(*problems)
    url = given["url"] if "://" in given["url"] else f"https://{given['url']}"
    verify = given["verify"].lower() not in ("0", "false", "no", "off")
    return Login(url.rstrip("/"), given["token"], given["user"], given["password"], verify, given["base"])


def refusal(document: Any) -> str:
    """AWX's own words in an answer that refuses: `field: reason`, one after the other."""
    if isinstance(document, Mapping):
        parts = [(str(name), refusal(value)) for name, value in document.items()]
        return "; ".join(
            text if name in ("detail", "__all__", "error", "msg") else f"{name}: {text}" for name, text in parts
        )
    if isinstance(document, (list, tuple)):
        return " ".join(refusal(item) for item in document)
    return one_line(document, WORDS)


class Api:
    """Requests. With `dry` none that changes something is sent."""

    def __init__(self, account: Login, timeout_s: float = 30.0, sleep: Callable[[float], None] = time.sleep) -> None:
        self.account = account
        self.timeout_s = timeout_s
        self.sleep = sleep
        if requests is None:
            raise ApiError("the Python library requests is missing", remedy="pip install requests")
        self.session = requests.Session()
        self.session.auth = bearer(account.token) if account.token else HTTPBasicAuth(account.user, account.password)
        self.session.verify = account.verify
        self.gateway = ""  # the path of a platform's gateway, which owns the organisations there
        self.root = self._root()

    def get(self, path: str, **query: Any) -> Any:
        """One document below the root, or at an absolute path."""
        return self._again("GET", self._path(path, query))

    def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All entries of a list, from all its pages."""
        entries: list[dict[str, Any]] = []
        for page in range(1, MOST_PAGES + 1):
            answer = self.get(path, **query, page_size=PAGE, page=page)
            if not isinstance(answer, Mapping) or not isinstance(answer.get("results"), list):
                raise ApiError(f"{self.account.url}{self.root}{path} is no list of AWX")
            entries += answer["results"]
            if not answer.get("next"):
                return entries
        raise ApiError(f"{path} has more than {MOST_PAGES * PAGE} entries")

    def text(self, path: str, **query: Any) -> str:
        """The text of an answer, on clean lines; empty where there is none."""
        try:
            _status, body = self._once("GET", self._path(path, query))
        except ApiError:
            return ""
        return hidden(body.decode("utf-8", "replace"))

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """A request that changes something, sent once."""
        status, raw = self._once(method, self._path(path, {}), body)
        return self._judge(method, path, status, raw)

    def _path(self, path: str, query: Mapping[str, Any]) -> str:
        place = path if path.startswith("/") else self.root + path
        return f"{place}?{urlencode(query)}" if query else place

    def _root(self) -> str:
        """The path of the API, version 2: AWX says it at /api/, a platform says where its controller is."""
        base = f"/{self.account.base.strip('/')}/" if self.account.base.strip("/") else "/api/"
        index = self._again("GET", base)
        apis = index.get("apis") if isinstance(index, Mapping) else None
        if isinstance(apis, Mapping) and isinstance(apis.get("controller"), str):
            self.gateway = str(apis.get("gateway") or "")
            index = self._again("GET", str(apis["controller"]))
        found = index.get("current_version") if isinstance(index, Mapping) else None
        if not isinstance(found, str) or not found.startswith("/"):
            what = f"{self.account.url}{base} is no API of AWX or of an automation controller"
            raise ApiError(
                what, remedy="set CONTROLLER_HOST to the address of AWX, as a browser has it, without a path"
            )
        return found

    def _again(self, method: str, path: str) -> Any:
        """A request that changes nothing, sent again where the fault may pass."""
        for attempt in range(ATTEMPTS):
            try:
                status, raw = self._once(method, path)
                if status not in (429, 502, 503, 504) or attempt + 1 == ATTEMPTS:
                    return self._judge(method, path, status, raw)
            except ApiError as error:
                if error.status is not None or attempt + 1 == ATTEMPTS:
                    raise
            self.sleep(pause_s(attempt, None, 0.5))
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        what = f"{method} {self.account.url}{urlsplit(path).path}"
        try:
            return within(self.timeout_s, lambda: self._exchange(method, path, body))
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            raise ApiError(
                f"{what}: {one_line(error, WORDS)}",
                remedy="see that CONTROLLER_HOST is right and answers",
            ) from error

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        with self.session.request(
            method,
            self.account.url + path,
            json=body,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=self.timeout_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return answer.status_code, answer.raw.read(MOST_JSON_BYTES + 1)

    def _judge(self, method: str, path: str, status: int, raw: bytes) -> Any:
        try:
            document = parse_json(raw) if raw.strip() else {}
        except ValueError:
            document = None
        if 200 <= status < 300 and document is not None:
            return document
        said = refusal(document) if document else words(raw)
        said = hidden(said, self.account.token, self.account.password)
        remedy = _LOGIN if status == 401 else ""
        if 300 <= status < 400:
            remedy = "set CONTROLLER_HOST to the address that answers itself, with https:// where AWX has it"
        raise ApiError(f"{method} {urlsplit(path).path} answers {status}: {said}", status, remedy)
