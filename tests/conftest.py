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
