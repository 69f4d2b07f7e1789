# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host keeps comes in through here, from module setup: a file that is no dictionary, too large or nested too deep is left out,
so that it costs its host alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from ._border import UNREAD, bounded
from ._plain import plain

AT_MOST_BYTES = 1024 * 1024  # what a host keeps to go back to holds two whole specifications


def taken_over(result: dict[str, Any], folder: str) -> dict[str, Any]:
    """The result of setup with those facts of the host that can be used, and a warning for each of the others."""
    facts = result.get("ansible_facts")
    local = facts.get("ansible_local") if isinstance(facts, Mapping) else None
    if not isinstance(facts, Mapping) or not isinstance(local, Mapping):
        return result
    unread = {}
    for name, fact in local.items():
        fault = bounded(fact, AT_MOST_BYTES)[1]
        if fault:
            unread[name] = (
                f"{folder}/{one_line(name, 80)}.fact cannot be used: {fault}. Remove the file, then run what writes it"
            )
    if not unread:
        return {**result, "ansible_facts": {**facts, UNREAD: {}}}
    kept = {name: fact for name, fact in local.items() if name not in unread}
    warnings = [*result.get("warnings", []), *unread.values()]
    return {**result, "ansible_facts": {**facts, "ansible_local": kept, UNREAD: unread}, "warnings": warnings}


def same(kept: Any, digest: str) -> bool:
    """Whether a fact is the one whose digest module host_info returned when it took the lock; None for none."""
    return hashlib.sha256(json.dumps(plain(kept), sort_keys=True).encode()).hexdigest() == digest
