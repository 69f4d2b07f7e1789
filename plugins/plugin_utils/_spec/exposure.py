# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would open a server to others without a key, or show others its secrets: refused before anything is changed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import (
    hidden_argv,
    is_secret,
    is_secret_name,
    users_in_urls,
)

LOOPBACK = ("127.0.0.1", "::1", "localhost")

_SHOWN_BY = "facts, lists of processes and `docker inspect` would show it"
_KEY_FLAG = "--api-key"
# A secret's place, by the end of its name: a file that the engine reads.
_PLACES = (
    (
        ("hf_token", "hugging_face_hub_token"),
        "put the hub's token into the file `token` of inference_server_hf_cache_dir (playbook keys.yml with LLMFLEET_HUB_TOKEN_FILE), "
        "where fetch and engine look for it",
    ),
    (
        ("vllm_api_key", "_api_key", "api_key"),
        "put the key that clients must send into a file, inference_server_api_key_file",
    ),
)
_OTHER_PLACE = "put it into a file on the host and mount that (inference_server_volumes); name the file instead"


def secret_problems(want: Mapping[str, Any]) -> list[Problem]:
    """Secrets among the variables and arguments that the operator gave, each by its name alone.

    With runtime docker they would stand in `docker inspect`, with either runtime in facts and in what the host keeps to go back to.
    """
    variables = (
        _problem("inference_server_env", name)
        for name, value in want["env"].items()
        if is_secret(name, str(value)) or any(users_in_urls(str(value)))
    )
    arguments = (
        _problem(f"inference_server_{option}", name)
        for option in ("extra_args", "command")
        for name in _secret_arguments([str(word) for word in want[option]])
    )
    return [*variables, *arguments]


def _problem(option: str, name: str) -> Problem:
    normal = name.lstrip("-").replace("-", "_").lower()
    place = next((text for ends, text in _PLACES if normal.endswith(ends)), _OTHER_PLACE)
    return Problem(f"{option} has a secret in its entry {name!r}: {_SHOWN_BY}", remedy=f"take it out; {place}")


def _secret_arguments(argv: Sequence[str]) -> Iterator[str]:
    """Names of the arguments that hold a secret, out of what is left without secrets.

    A key's flag may be shortened, as Python's argparse takes it; a flag and its value may stand in one word.
    """
    without = hidden_argv(argv)
    for number, word in enumerate(argv):
        name, *value = re.split(r"[=\s]", without[number], maxsplit=1)
        if _is_short_for(name, _KEY_FLAG):
            yield _KEY_FLAG
        elif word != without[number] or is_secret(name, "".join(value)):
            named = number == 0 or (re.fullmatch(r"[\w.-]+", name) and is_secret_name(name))
            yield name if named else without[number - 1].partition("=")[0]


def open_problems(want: Mapping[str, Any], instances: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """The instances would listen on an address other than loopback, and no key is asked for. The first one speaks for all."""
    address = listening_address(want, instances[0])
    if want["api_key_file"] or address in LOOPBACK:
        return []
    where = "inference_server_bind_address is"
    if address != want["bind_address"]:
        option = "inference_server_simulator" if want["backend"] == "simulator" else "inference_server_extra_args"
        where = f"by {option} or inference_server_command the server listens on"
    remedy = "set inference_server_api_key_file, or keep 127.0.0.1"
    if want["runtime"] == "process" and want["backend"] != "simulator":
        remedy = "keep 127.0.0.1 with runtime process, where an engine would have its key in its arguments"
    found = f"{where} {address or 'every address'}, which opens the server to the network without a key"
    return [Problem(found, remedy=remedy)]


def listening_address(want: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    """The address on the host at which an instance will listen, whichever option decides it; "" for every address.

    A container listens where Docker publishes its port. A process follows its own arguments: the last one counts, and without one
    vLLM takes every address.
    """
    if want["runtime"] == "docker":
        return str(want["bind_address"])
    if want["backend"] == "simulator":
        return str(json.loads(instance["files"]["simulator.json"]).get("host"))
    address = ""
    for number, word in enumerate(instance["argv"]):
        name, equals, value = word.partition("=")
        if _is_short_for(name, "--host"):
            address = value if equals else next(iter(instance["argv"][number + 1 :]), "")
    return str(address)


def _is_short_for(word: str, flag: str) -> bool:
    """Whether an engine takes this word for the flag: written with underscores, or cut off as far as argparse still knows it."""
    return len(word) > len("--h") and flag.startswith(word.replace("_", "-"))
