# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A filter's documentation is its own. A file of several filters must have none: ansible-core shows it for each of them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
OURS = "llmfleet.serving"
FILES = sorted(path.stem for path in (ROOT / "plugins" / "filter").glob("*.py"))
NAMES = sorted(
    name
    for file in FILES
    for name in importlib.import_module(f"ansible_collections.{OURS}.plugins.filter.{file}").FilterModule().filters()
)


@pytest.fixture(scope="module")
def shown():
    """What ansible-doc shows of every filter."""
    command = [str(Path(sys.executable).with_name("ansible-doc")), "-t", "filter", "--json"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks" / "collections")}
    words = [*command, *(f"{OURS}.{name}" for name in NAMES)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_shows_its_own_documentation(shown, name):
    entry = shown[f"{OURS}.{name}"]
    assert entry["doc"]["name"] == name
    assert f"{OURS}.{name}" in entry["examples"]
    assert entry["return"]["_value"]["description"]
