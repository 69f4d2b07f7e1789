"""Makes `ansible_collections.llmfleet.serving` importable from the bare checkout, as Ansible itself sees it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "playbooks" / "collections"))
sys.path.insert(0, str(ROOT / "tests" / "unit" / "fixtures"))  # makers of facts and reports
