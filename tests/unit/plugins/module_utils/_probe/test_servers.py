# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.servers import (
    base_of,
    probe_servers,
    shape_server,
)

FACT = {"owner": "gpu-1", "runtime": "docker", "instances": [{"name": "llm", "port": 8000, "gpu_uuids": ["GPU-1"]}]}


def test_the_servers_beside_a_state_folder(fake_host, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("SUDO_USER", raising=False)
    second = {**FACT, "instances": [{"name": "second", "port": 9}]}
    fake_host.file("/home/me/.local/state/llmfleet/facts.d/llmfleet_server.fact", json.dumps(FACT))
    fake_host.file("/srv/llm/servers/second/facts.d/llmfleet_server.fact", json.dumps(second))
    fake_host.file("/srv/llm/servers/none/facts.d/llmfleet_server.fact", "{")
    os.mkfifo(fake_host.path("/srv/llm/servers/none/facts.d/../../fifo"))
    found = probe_servers(fake_host, "/srv/llm/servers/third")
    assert [(entry["name"], entry["state_dir"], entry["owner"]) for entry in found] == [
        ("llm", "/home/me/.local/state/llmfleet", "gpu-1"),
        ("second", "/srv/llm/servers/second", "gpu-1"),
    ]
    assert probe_servers(fake_host, None) == found[:1]


@pytest.mark.parametrize(
    ("state_dir", "base"), [("/a/servers/b", "/a"), ("/a/b", "/a/b"), ("/a/servers/b/c", "/a/servers/b/c")]
)
def test_the_folder_above(state_dir, base):
    assert base_of(state_dir) == base


@pytest.mark.parametrize("fact", [None, [], {"instances": 1}, {"instances": [1]}, {}])
def test_what_describes_no_server(fact):
    assert shape_server("/s", fact) is None


def test_an_odd_fact_is_bounded():
    odd = {"owner": 1, "runtime": None, "instances": [{"name": "n" * 999, "port": "x", "gpu_uuids": [1, "GPU-1"]}]}
    shaped = shape_server("/s", odd)
    assert (shaped["owner"], shaped["runtime"], len(shaped["name"])) == (None, "", 200)
    assert shaped["instances"][0]["port"] is None and shaped["instances"][0]["gpu_uuids"] == ["", "GPU-1"]
