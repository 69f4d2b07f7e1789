# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator. Data. The keys are those of `Engine`."""

from __future__ import annotations

from typing import Any

# Its counters carry vLLM's names, and its start has no phases.
ENGINE: dict[str, Any] = {
    "name": "simulator",
    "title": "Simulator",
    "runtimes": ("process",),
}
