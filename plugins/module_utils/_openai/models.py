# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server says of itself in its answers of `/v1/models` and `/version`, and whether that makes it ready. Pure."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

from .._engines.table import ENGINES
from .._text import words
from .documents import parse_json, token_count

# Where a version is asked for: the path of most engines, then those of engines without it.
VERSION_PATHS = ("/version", *(path for engine in ENGINES.values() for path in engine.version_paths))
_VERSION_LENGTH = 64
_NAME_LENGTH, _SHOWN_NAMES, _KEPT_NAMES = 400, 20, 200
# While an engine loads, it or a proxy before it answers so; the last five are a content delivery network's, which does not reach it.
_NOT_YET = (408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524)
LISTED, REFUSED, LOADING, FOREIGN = "listed", "refused", "loading", "foreign"
_SIMULATOR = "llmfleet-simulator"


class Models(NamedTuple):
    """An answer of `/v1/models`: LISTED with the entries by name; REFUSED without the right key; LOADING; or FOREIGN, of a server
    that is not OpenAI-compatible.
    """

    kind: str
    entries: dict[str, dict[str, Any]]


class Identity(NamedTuple):
    """What a server says it is; None where it does not say. `engine` is the engine whose timing a simulator imitates."""

    version: str | None
    engine: str | None
    simulated: bool


class Verdict(NamedTuple):
    """`state` is ready, waiting or wrong; a wrong server will not become right by waiting. `reason` is one sentence."""

    state: str
    reason: str
    models: list[str]


def models_of(status: int, body: bytes) -> Models:
    """What an answer of `/v1/models` lists. Entries without a name are left out."""
    if status in (401, 403):
        return Models(REFUSED, {})
    if status in _NOT_YET:
        return Models(LOADING, {})
    document = _json(body) if status == 200 else None
    entries = document.get("data", {}) if isinstance(document, dict) else {}
    entries = [] if entries is None else entries  # nothing, in another spelling
    if not isinstance(entries, list):
        return Models(FOREIGN, {})
    named = {entry["id"]: entry for entry in entries if isinstance(entry, dict) and _is_name(entry.get("id"))}
    return Models(LISTED if named or not entries else FOREIGN, named)


def _is_name(value: Any) -> bool:
    """Whether something can be the name of a model."""
    return isinstance(value, str) and 0 < len(value) <= _NAME_LENGTH


def context_tokens(entry: Mapping[str, Any]) -> int | None:
    """The context that an entry of `/v1/models` gives; None where it gives none."""
    return token_count(entry.get("max_model_len")) or None


def identify(get: Callable[[str], Any]) -> Identity:
    """What a server says it is on the first of the paths that says something.

    `get` asks one of them and returns an `Answer` of `client`; its errors are passed on.
    """
    nothing = Identity(None, None, False)
    answers = (get(path) for path in VERSION_PATHS)
    found = (identity_of(answer.status, answer.body, answer.server) for answer in answers)
    return next((identity for identity in found if identity != nothing), nothing)


def identity_of(status: int, body: bytes, server_header: str = "") -> Identity:
    """What an answer of a version's path says; a server without that path says nothing. Our simulator names itself in both."""
    document = _json(body) if status == 200 else None
    fields = document if isinstance(document, dict) else {}
    version, engine = (_word(fields.get(key)) for key in ("version", "engine"))
    return Identity(version, engine, fields.get("simulated") is True or server_header.startswith(_SIMULATOR))


def _word(value: Any) -> str | None:
    """A version or name as a server gives it, without what neither has; None where it gives none."""
    text = re.sub(r"[^\w.+!-]", "", str(value)) if isinstance(value, (str, int, float)) else ""
    return text[:_VERSION_LENGTH] or None


def judge(status: int | None, body: bytes, served_model_name: str, adapters: Sequence[str] = ()) -> Verdict:
    """Judges one answer of `/v1/models`; `status` is None when nothing answered and `body` then says why.

    `adapters` are the names that must be listed besides.
    """
    if status is None:
        return Verdict("waiting", body.decode(errors="replace"), [])
    answer = models_of(status, body)
    if answer.kind == REFUSED:
        return Verdict(
            "wrong", f"/v1/models answers {status}: the key in inference_server_api_key_file is not the server's", []
        )
    if answer.kind == LOADING:
        return Verdict("waiting", f"/v1/models answers {status}: the server is loading", [])
    if status != 200:
        leads = f" ({words(body)})" if 300 <= status < 400 else ""
        return Verdict(
            "wrong", f"/v1/models answers {status}{leads}, expected 200: this is no OpenAI-compatible server", []
        )
    if answer.kind == FOREIGN:
        return Verdict("wrong", "/v1/models answers no list of models: this is no OpenAI-compatible server", [])
    models, shown = list(answer.entries)[:_KEPT_NAMES], listed_names(answer.entries)
    missing = [name for name in adapters if name not in answer.entries]
    if served_model_name in answer.entries and missing:
        remedy = "see in the server's log why it did not load them, or take them out of inference_server_lora"
        reason = f"/v1/models lists {shown}, expected the adapters {', '.join(missing)} too: {remedy}"
        return Verdict("wrong", reason, models)
    if not models:
        return Verdict("waiting", "/v1/models lists nothing: the server is loading", [])
    if served_model_name in answer.entries:
        return Verdict("ready", f"{served_model_name} is served", models)
    return Verdict(
        "wrong",
        f"/v1/models lists {shown}, expected {served_model_name}: "
        "set inference_server_served_model_name to a listed name, or redeploy the server",
        models,
    )


def listed_names(names: Iterable[str]) -> str:
    """Names of models for a message: the first ones, each on one line and no longer than a name can be."""
    shown = [words(name.encode("utf-8", "replace"), _NAME_LENGTH) for name in names]
    more = [f"and {len(shown) - _SHOWN_NAMES} more"] if len(shown) > _SHOWN_NAMES else []
    return ", ".join([*shown[:_SHOWN_NAMES], *more])


def with_health(verdict: Verdict, status: int | None) -> Verdict:
    """The verdict on a server that lists its model, after `/health` answered with `status`; without that path it counts as healthy."""
    if status in (200, 204, 404):
        return verdict
    return Verdict(
        "waiting", f"{verdict.reason}, but /health answers {status or 'nothing'}, expected 200", verdict.models
    )


def with_key(verdict: Verdict, status: int | None) -> Verdict:
    """A ready server that must ask for a key: wrong when `/v1/models` has answered 200 without it."""
    if verdict.state != "ready" or status != 200:
        return verdict
    return Verdict(
        "wrong",
        "/v1/models answers without the key of inference_server_api_key_file: this server is open to everyone; "
        "another server may hold the port, or the key did not reach it",
        verdict.models,
    )


def _json(body: bytes) -> Any:
    try:
        return parse_json(body)
    except ValueError:
        return None
