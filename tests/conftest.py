# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes `ansible_collections.llmfleet.serving` importable from the bare checkout, as Ansible itself sees it."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "playbooks" / "collections"))
sys.path.insert(0, str(ROOT / "tests" / "unit" / "fixtures"))  # makers of facts and reports

# A property holds or not; how long a shared machine takes for one example is no part of it.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
