# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The benchmark clients by the name that option `client` gives them."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from .base import Client, Session
from .native import NativeClient
from .vllm import VllmClient, command_from

CLIENTS: dict[str, Callable[[Session, Mapping[str, Any]], Client]] = {
    "native": lambda session, options: NativeClient(session),
    "vllm": lambda session, options: VllmClient(session, command_from(options, session.folder)),
}
