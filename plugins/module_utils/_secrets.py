# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is secret, by name and by value, and texts and documents without it. Pure.

By name: a variable, flag, header or member that is called token, password, API key ... By value: a secret that the caller has
read, the form of a well-known token, user and password in an URL. What Ansible, logs, facts, reports and messages get goes
through here first.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Iterator, Mapping, Match

HIDDEN = "(hidden)"
_LEAST_OF_CUT = 12  # characters of a cut secret that are searched for
SHORTEST = 8  # characters of a secret that is searched for by its value; a shorter one stands in other words too

_LAST_WORDS = frozenset(
    [
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "credential",
        "credentials",
        "apikey",
        "signature",
        "authorization",
    ]
)
_LAST_PAIRS = frozenset(
    f"{word} key" for word in ["api", "access", "private", "secret", "auth", "account", "master", "signing"]
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A switch, a number or a placeholder is no secret, whatever its name.
_HARMLESS = re.compile(r"[-+.\d]*|true|false|yes|no|on|off|none|null|dummy|empty|\(hidden\)|\*+", re.IGNORECASE)

_TOKEN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,200}|sk-[\w-]{16,200}|gh[pousr]_\w{20,200}|github_pat_\w{20,200}|glpat-[\w-]{16,200}"
    r"|nvapi-[\w-]{16,200}|xox[abprs]-[\w-]{10,200}|eyJ[\w-]{4,512}\.[\w-]{4,2000}\.[\w-]{1,2000})"
)
# `user:password@`: up to the last @ of the authority, and further where the password has a slash in it.
_USER = re.compile(r"(://)(?:[^\s/?#'\"<>]*|[^\s/?#@:'\"<>]{1,200}:(?!\d+[/\s])[^\s@'\"<>]{1,200})@")
_URL = re.compile(r"(^|_)(urls?|endpoint)$")  # names of options
_BEARER = re.compile(r"(\bbearer\s+)(?=\S*\d)[\w.~+/=-]{8,}", re.IGNORECASE)
_VALUE = r"('[^'\n]*'|\"[^\"\n]*\"|\\\"[^\"\n]*\\\"|(?!//)[^\s'\",;&}\]]+)"
_ASSIGNED = re.compile(
    rf"(?<![\w.-])(--)?([A-Za-z][\w.-]*)(\\?[\"']?\s?[=:]\s?)((?:(?:Bearer|Basic|Token) )?{_VALUE})", re.I
)
_QUOTED = re.compile(r"(['\"])([A-Za-z_][\w-]*)=((?:(?!\1)[^\n])*)\1")  # a variable as a shell takes it in quotes
_FLAG = re.compile(r"(--[A-Za-z][\w.-]{0,80})( |', '|\", \")('[^'\n]*'|[^\s'\",]+)")


def is_secret_name(name: str) -> bool:
    """Whether what has this name is a secret: HF_TOKEN, --api-key, x-api-key, dbPassword; not HF_TOKEN_PATH, api_key_file, max_tokens."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and (words[-1] in _LAST_WORDS or " ".join(words[-2:]) in _LAST_PAIRS)


def is_secret(name: str, value: Any) -> bool:
    """Whether a variable, flag or member holds a secret: by its name, unless the value is a switch or a number."""
    return isinstance(value, str) and is_secret_name(name) and not _HARMLESS.fullmatch(value.strip())


def hidden(text: str, *known: str | None) -> str:
    """`text` with `(hidden)` in the place of every secret: those that are `known`, and those that name or form give away."""
    text = hidden_values(text, *known)
    if "://" in text:
        text = _USER.sub(rf"\1{HIDDEN}@", text)
    text = _TOKEN.sub(HIDDEN, _BEARER.sub(rf"\1{HIDDEN}", text))
    if "=" in text:
        text = _QUOTED.sub(_without_quoted, text)
    if "=" in text or ":" in text:
        text = _ASSIGNED.sub(_without_value, text)
    return _FLAG.sub(_without_argument, text) if "--" in text else text


def hidden_values(text: str, *known: str | None) -> str:
    """`text` without the known secrets alone, also as JSON and as an URL write them, and without a third or more of one that was cut."""
    for value in _searched(known):
        text = text.replace(value, HIDDEN)
        least = max(_LEAST_OF_CUT, len(value) // 3)
        if least < len(value):
            text = _without_cut(text, value, least, from_end=False)
            text = _without_cut(text, value, least, from_end=True)
    return text


def _without_cut(text: str, value: str, least: int, *, from_end: bool) -> str:
    """`text` without the beginnings (or ends) of `value` that have `least` characters or more."""
    part = value[-least:] if from_end else value[:least]
    at = text.find(part)
    while at >= 0:
        begin, end = at, at + least
        if from_end:
            while begin > 0 and end - begin < len(value) and text[begin - 1] == value[-(end - begin) - 1]:
                begin -= 1
        else:
            while end < len(text) and end - begin < len(value) and text[end] == value[end - begin]:
                end += 1
        text = text[:begin] + HIDDEN + text[end:]
        at = text.find(part, begin + len(HIDDEN))
    return text


def hidden_bytes(data: bytes, *known: str | None) -> bytes:
    """The same of bytes, whatever their encoding is."""
    for value in _searched(known):
        data = data.replace(value.encode("utf-8", "surrogateescape"), HIDDEN.encode())
    return data


def hidden_document(document: Any, *known: str | None) -> Any:
    """A copy of a JSON document without secrets, in its keys too; a member whose name is a secret's is hidden whole."""
    if isinstance(document, str):
        return hidden(document, *known)
    if isinstance(document, Mapping):
        return {
            hidden(key, *known) if isinstance(key, str) else key: HIDDEN
            if is_secret(str(key), value)
            else hidden_document(value, *known)
            for key, value in document.items()
        }
    if isinstance(document, (list, tuple)):
        texts = all(isinstance(item, str) for item in document)
        return hidden_argv(document, *known) if texts else [hidden_document(item, *known) for item in document]
    return document


def hidden_argv(argv: Iterable[str], *known: str | None) -> list[str]:
    """Arguments of a program without secrets: the value of a flag or variable whose name is a secret's, and what `hidden` finds."""
    words, name = [], ""
    for word in argv:
        words.append(HIDDEN if is_secret(name, word) and not word.startswith("--") else hidden(word, *known))
        name = word if word.startswith("--") and "=" not in word else ""
    return words


def holds_secret(document: Any) -> bool:
    """Whether a document has something to hide; a list of texts may be the arguments of a program."""
    if isinstance(document, (list, tuple)) and all(isinstance(word, str) for word in document):
        return hidden_argv(document) != list(document)
    if isinstance(document, Mapping):
        return any(is_secret(str(name), value) or holds_secret(value) for name, value in document.items())
    if isinstance(document, (list, tuple)):
        return any(map(holds_secret, document))
    return isinstance(document, str) and hidden(document) != document


def mask(module: Any, *known: str | None, found: Any = None) -> None:
    """Lets Ansible take these secrets, and users and passwords in URLs of the options and of what was `found`, out of all that a module
    hands over.
    """
    long_enough = (value for value in known if value and len(value) >= SHORTEST)
    module.no_log_values.update([*long_enough, *users_in_urls([module.params, found])])


def users_in_urls(document: Any, is_url: bool = False) -> Iterator[str]:
    """What stands before the host in each URL of a document, `user:password@`, and a long password, or a long user without one, alone.

    A member that is called url, or a text for which `is_url` holds, is one without `http://` too.
    """
    if isinstance(document, str):
        users = [match.group(0)[len("://") : -1] for match in _USER.finditer(document)]
        for user in [document.rpartition("@")[0]] if is_url and not users else users:
            alone = user.partition(":")[2] or user
            yield from ([f"{user}@"] if user else []) + ([alone] if len(alone) >= SHORTEST else [])
    elif isinstance(document, Mapping):
        for name, value in document.items():
            yield from users_in_urls(value, is_url or _URL.search(str(name)) is not None)
    elif isinstance(document, (list, tuple)):
        for item in document:
            yield from users_in_urls(item, is_url)


def _searched(known: Iterable[str | None]) -> list[str]:
    """The known secrets in each of their forms, the longest first, so that none leaves a part of another."""
    long_enough = {value for value in known if value and len(value) >= SHORTEST}
    forms = {form for value in long_enough for form in (value, *_written(value))}
    return sorted(forms, key=len, reverse=True)


def _written(value: str) -> tuple[str, str, str]:
    """As JSON, JSON with slashes escaped, and the query of an URL have it."""
    in_json = json.dumps(value)[1:-1]
    in_url = re.sub(r"[^\w.~-]", lambda found: "".join(f"%{byte:02X}" for byte in found.group().encode()), value)
    return in_json, in_json.replace("/", "\\/"), in_url


def _without_quoted(match: Match[str]) -> str:
    quote, name, value = match.groups()
    return f"{quote}{name}={HIDDEN}{quote}" if is_secret(name, value) else match.group(0)


def _without_value(match: Match[str]) -> str:
    """`name=value` or `name: value`; before a colon a single word such as token is a sentence's."""
    dashes, name, sign, value, _bare = match.groups()
    named = "=" in sign or (
        not dashes and re.search(r"[_-]|passw|passphrase|authorization|apikey", name, re.IGNORECASE)
    )
    return f"{dashes or ''}{name}{sign}{HIDDEN}" if named and is_secret(name, value.strip("\\'\"")) else match.group(0)


def _without_argument(match: Match[str]) -> str:
    """A flag's value in the line of a command, not the word that follows a flag's name in a sentence."""
    flag, between, value = match.groups()
    bare = value.strip("'\"")
    worded = between == " " and len(bare) < 16 and bare == value and not re.search(r"\d", bare)
    return match.group(0) if worded or not is_secret(flag, bare) else f"{flag}{between}{HIDDEN}"
