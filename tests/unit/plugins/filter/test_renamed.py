# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that were renamed: the old name still works, warns, and is used by nothing of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[4]
ROUTES = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["plugin_routing"]["filter"]

# In a process of its own: here the collection's code was imported without Ansible's loader, which then finds no routes.
LOAD = """
import sys
from ansible.plugins.loader import filter_loader, init_plugin_loader
init_plugin_loader([sys.argv[1]])
for name in sys.argv[2:]:
    old, _, new = name.partition("=")
    assert filter_loader.get("llmfleet.serving." + old).j2_function is filter_loader.get(new).j2_function, name
"""


def test_an_old_name_gives_the_new_filter_and_a_warning(tmp_path):
    pairs = [f"{old}={route['redirect']}" for old, route in ROUTES.items()]
    folder = ROOT / "playbooks" / "collections"
    argv = [sys.executable, "-c", LOAD, folder, *pairs]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    warnings = " ".join(done.stderr.split())
    for route in ROUTES.values():  # core 2.19 and newer name the old filter too
        assert f"Use {route['redirect']} instead." in warnings


def test_nothing_of_ours_uses_an_old_name():
    old = re.compile(r"llmfleet\.serving\.(" + "|".join(ROUTES) + r")\b")
    folders = ("roles", "playbooks/tasks", "plugins", "molecule", "docs", "inventory", "group_vars")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.is_file()]
    files += [*(ROOT / "playbooks").glob("*.yml"), ROOT / "README.md"]
    assert [str(path) for path in files if old.search(path.read_text(errors="ignore"))] == []
