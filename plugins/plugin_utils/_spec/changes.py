# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a deployment replace a server, in words and without a secret: what `--diff` shows in place of two digests. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden, hidden_argv
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from .deployment import VOLUME_PREFIX
from .gpu_assignment import as_reported

_LONGEST = 600  # characters of one change
# What is shown as it is; of the others only that it changed, for it is long, or may hold what is not to be seen.
_SHOWN = {"image": "image", "ulimits": "ulimits", "ports": "ports", "port": "port", "user": "user", "ipc_mode": "ipc_mode",
          "shm_size": "shm_size", "gpu_uuids": "GPUs"}  # fmt: skip
_NAMED = {"entrypoint": "entry point", "healthcheck": "health check", "lora": "files of the adapters"}


def changes(kept: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """One line for each instance that `spec` replaces, starts or removes.

    `kept` is what the host keeps to go back to (llmfleet_server_good), whose current specification is the one that runs.
    """
    before = {item["name"]: item for item in ((kept.get("current") or {}).get("spec") or {}).get("instances", [])}
    after = {item["name"]: item for item in spec["instances"]}
    if not before:
        return []
    gone = [f"{name} is removed" for name in before if name not in after]
    fresh = [f"{name} is new" for name in after if name not in before]
    other = [
        one_line(f"{name} is replaced: {'; '.join(differences(before[name], item))}", _LONGEST)
        for name, item in after.items()
        if name in before and before[name].get("digest") != item["digest"]
    ]
    return [*other, *fresh, *gone]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two specifications of one instance."""
    shown = [
        f"{name} {_text(old.get(key))} -> {_text(new.get(key))}"
        for key, name in _SHOWN.items()
        if _plain(old.get(key)) != _plain(new.get(key))
    ]
    named = [f"{name} changed" for key, name in _NAMED.items() if _plain(old.get(key)) != _plain(new.get(key))]
    parts = [*shown, *_key(old, new), *_lists(old, new), *_maps(old, new), *_access(old, new), *named]
    return parts or ["how this release of the collection describes it"]


def _key(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    marks = old.get("key_mark"), new.get("key_mark")
    if marks[0] == marks[1]:
        return []
    if None in marks:
        return ["a key is asked for from now on" if marks[0] is None else "no key is asked for any more"]
    return ["the file of the key was changed"]


def _lists(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Arguments and volumes that are no longer there, and those that are."""
    parts = []
    for name, before, after in (
        ("arguments", _flags(old.get("argv") or []), _flags(new.get("argv") or [])),
        ("volumes", _volumes(old), _volumes(new)),
    ):
        less, more = _without(before, after), _without(after, before)
        if less or more:
            parts.append(f"{name}{''.join(f' -[{item}]' for item in less)}{''.join(f' +[{item}]' for item in more)}")
        elif before != after:
            parts.append(f"{name} in another order")
    return parts


def _maps(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names of variables and files that differ; a value may be a secret, or long."""
    parts = []
    for key, name in (("env", "environment"), ("files", "files")):
        before, after = old.get(key) or {}, new.get(key) or {}
        names = sorted(each for each in {**before, **after} if before.get(each) != after.get(each))
        parts += [f"{name} {', '.join(map(hidden, names))}"] if names else []
    return parts


def _access(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How the GPUs come into the container, where they are the same."""
    before, after = (as_reported(item.get("device_requests") or []) for item in (old, new))
    same_gpus = _plain(old.get("gpu_uuids")) == _plain(new.get("gpu_uuids"))
    return ["access to the GPUs (CDI or --gpus)"] if before != after and same_gpus else []


def _flags(argv: Sequence[str]) -> list[str]:
    """Flags with their values, without secrets."""
    groups: list[str] = []
    for word in hidden_argv(argv):
        if word.startswith("--") or not groups:
            groups.append(word)
        else:
            groups[-1] += f" {word}"
    return groups


def _volumes(instance: Mapping[str, Any]) -> list[str]:
    """Those that are not the collection's own, whose names follow the image."""
    return [each for each in instance.get("volumes") or [] if not each.startswith(VOLUME_PREFIX)]


def _without(items: Iterable[str], others: Sequence[str]) -> list[str]:
    return [item for item in items if item not in others]


def _plain(value: Any) -> Any:
    return value or None


def _text(value: Any) -> str:
    return hidden(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "none")) or "none"
