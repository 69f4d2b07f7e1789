# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a server is and how it is reached: base URL, socket address, key and TLS."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Tuple
from urllib.parse import quote, urlsplit

from .._errors import Problem, UserError
from .._patience import within
from .._secrets import HIDDEN

USER_AGENT = "llmfleet-bench-serve"
# SSL_OP_IGNORE_UNEXPECTED_EOF of OpenSSL 3, which some Pythons set (3.8, 3.9, Debian 12's 3.11): a connection that is cut would end well.
_IGNORE_CUT = 0x80
Address = Tuple[int, Tuple]  # address family and socket address

_PROBE_S = 2.0
LOOK_UP_S = 10.0  # for the resolver, which tries several name servers several times
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoint:
    """A server's address. `prefix` is the path that stands before `/v1`, without a slash at its end."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def netloc(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The normal form of the base URL: two spellings of one server give one string."""
        return f"{self.scheme}://{self.netloc}{self.prefix}"

    def path(self, path: str) -> str:
        """The request target of `path` (which begins with a slash) on this server."""
        return self.prefix + path


def parse_base_url(text: str) -> Endpoint:
    """Parses `http://host:8000`; a trailing slash or `/v1` is accepted and dropped. Raises UserError."""
    problem = UserError(
        Problem(
            f"base_url is {without_user(text)!r}.",
            "http://HOST[:PORT] or https://HOST[:PORT], without user and password.",
            "Set base_url to the server's address; a key goes into a file (api_key_file).",
        )
    )
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise problem from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.query or "@" in text:
        raise problem
    prefix = parts.path.rstrip("/")
    if prefix.endswith("/v1"):
        prefix = prefix[: -len("/v1")]
    return Endpoint(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], prefix)


def without_user(text: str) -> str:
    """What was given as an address, to be shown: nothing of what stands before an @, however the rest is written."""
    scheme, mark, rest = text.rpartition("://")
    return f"{scheme}{mark}{HIDDEN}@{rest.rpartition('@')[2]}" if "@" in rest else text


def parse_url(url: str) -> tuple[Endpoint, str]:
    """The server and the request target of a whole URL. Raises ValueError; its text repeats nothing of the URL."""
    parts = urlsplit(url.strip())
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username or parts.password:
        raise ValueError("the URL is not http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return Endpoint(parts.scheme, parts.hostname, port), f"{target}?{parts.query}" if parts.query else target


@dataclass(frozen=True)
class Access:
    """How to reach the server: address, key, and for https what to trust."""

    endpoint: Endpoint
    api_key: str | None = None
    validate_certs: bool = True
    ca_path: str | None = None

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS settings, or None for plain http. Raises UserError."""
        if self.endpoint.scheme == "http":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_path)
        except OSError as error:  # SSLError is an OSError
            raise UserError(
                Problem(
                    f"ca_path {self.ca_path} cannot be used ({error}).",
                    "a PEM file with certificates.",
                    "Correct ca_path.",
                )
            ) from error
        context.options &= ~_IGNORE_CUT
        if not self.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        headers = {"Host": self.endpoint.netloc, "User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return headers


def resolve(endpoint: Endpoint) -> Address:
    """The socket address of the server, looked up once: of several, the first that answers. Raises UserError."""
    try:
        addresses = look_up(endpoint)
    except OSError as error:
        raise UserError(
            Problem(
                f"The host name {endpoint.host!r} cannot be resolved ({error}).",
                "a name or address.",
                "Correct base_url.",
            )
        ) from error
    return next((address for address in addresses if _answers(address)), addresses[0])


def look_up(endpoint: Endpoint, limit_s: float = LOOK_UP_S) -> list[Address]:
    """The socket addresses of a server. Raises OSError, also where there is no answer within the limit."""
    try:
        found = within(limit_s, lambda: socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM))
    except TimeoutError as error:
        raise OSError(f"no answer about the name {endpoint.host!r} within {limit_s:.3g} s") from error
    except ValueError as error:  # a name that cannot be one
        raise OSError(str(error)) from error
    return [(info[0], info[4]) for info in found]


def _answers(address: Address) -> bool:
    with socket.socket(address[0], socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        return probe.connect_ex(address[1]) == 0
