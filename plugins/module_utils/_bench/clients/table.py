# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark clients by the name that option `client` gives them: each is a file with a function `make`."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from . import native, vllm
from .base import Client, Session

# Written by tools/choices.py, as are the choices of option `client`. Each is imported by its name: what Ansible ships to a host is what is
# imported.
CLIENTS: dict[str, Callable[[Session, Mapping[str, Any]], Client]] = {"native": native.make, "vllm": vllm.make}
