# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._state_folder import (
    needs_the_other,
    owner_problem,
    place_of,
    server_of,
    settled,
    state_dir_of,
)

BASE = "~/.local/state/llmfleet"
DEFAULT = "llmfleet-server"


@pytest.mark.parametrize(
    ("server", "folder"),
    [("", BASE), (DEFAULT, BASE), ("second", f"{BASE}/servers/second"), ("../x", f"{BASE}/servers/.._x")],
)
def test_the_folder_of_a_server(server, folder):
    assert state_dir_of(server) == folder


@pytest.mark.parametrize(
    ("folder", "place"),
    [
        (BASE, (DEFAULT, BASE, f"{BASE}/servers/{DEFAULT}")),
        (
            "/home/me/.local/state/llmfleet",
            (DEFAULT, "/home/me/.local/state/llmfleet", f"/home/me{BASE[1:]}/servers/{DEFAULT}"),
        ),
        (f"{BASE}/servers/second", ("second", f"{BASE}/servers/second", BASE)),
        (f"{BASE}/servers/..", None),
        ("/srv/llmfleet", None),
        ("/srv/servers/second", None),
    ],
)
def test_whose_a_folder_is_by_its_path(folder, place):
    assert place_of(folder) == place


def facts(name=None, **more):
    return {**({"llmfleet_server": {"instances": [{"name": name}]}} if name else {}), **more}


@pytest.mark.parametrize(
    ("server", "own", "other", "folder", "kept"),
    [
        # The default server and the folder above all others.
        (DEFAULT, facts(), None, "own", facts()),
        (DEFAULT, facts(DEFAULT), None, "own", facts(DEFAULT)),
        (DEFAULT, facts("old", llmfleet_benchmark={}), facts(), "other", {}),
        (DEFAULT, facts("old"), facts(DEFAULT), "other", facts(DEFAULT)),
        # One of another name, and the folder above, where it was before each server had its own.
        ("second", facts("second"), None, "own", facts("second")),
        ("second", facts(), facts(DEFAULT), "own", facts()),
        ("second", facts(), facts(), "own", facts()),
        ("second", facts(), facts("second", good=1), "other", facts("second", good=1)),
        ("second", facts(bench=2), facts("second", bench=1), "other", facts("second", bench=2)),
    ],
)
def test_a_server_is_found_where_it_is(server, own, other, folder, kept):
    place = place_of(state_dir_of(server))
    assert needs_the_other(place, own) == (other is not None)
    if other is not None:
        where = {"own": place.folder, "other": place.instead}[folder]
        assert settled(place, own, other) == (where, kept)


@pytest.mark.parametrize("fact", [None, [], {}, {"instances": []}, {"instances": [1]}, {"instances": [{"name": None}]}])
def test_facts_of_no_server(fact):
    assert server_of({"llmfleet_server": fact}) is None


@pytest.mark.parametrize(
    ("owner", "renamed_from", "refused"),
    [
        (None, "", False),
        ("", "", False),
        ("new", "", False),
        ("old", "old", False),
        ("old", "", True),
        ("old", "older", True),
    ],
)
def test_a_server_of_another_inventory_name_is_refused_with_what_says_that_it_is_the_same(owner, renamed_from, refused):
    problem = owner_problem("llm", owner, "/s", "new", renamed_from)
    assert bool(problem) == refused
    if refused:
        assert "deployed from the inventory as old (state folder /s), and this is new" in str(problem)
        assert "-l new -e inference_server_renamed_from=old" in str(problem)
