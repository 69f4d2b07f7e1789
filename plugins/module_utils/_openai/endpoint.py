# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the server is: base URLs, taken apart once. Private to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from .._errors import BenchError

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
    """Takes `http://host:8000` apart; a trailing slash or `/v1` is accepted and dropped. Raises BenchError."""
    problem = BenchError(
        f"base_url is {text!r}.", "http://HOST[:PORT] or https://HOST[:PORT].", "Set base_url to the server's address."
    )
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise problem from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.query or parts.username:
        raise problem
    prefix = parts.path.rstrip("/")
    if prefix.endswith("/v1"):
        prefix = prefix[: -len("/v1")]
    return Endpoint(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], prefix)
