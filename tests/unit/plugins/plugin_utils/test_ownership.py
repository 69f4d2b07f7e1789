# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._ownership import container_problems

OURS = {"org.llmfleet.server": "llm", "org.llmfleet.spec": "1"}


def container(name="llm", labels=None, **more):
    return {"name": name, "image": "web:1", "state": "exited", "labels": labels or {}, **more}


@pytest.mark.parametrize(
    ("containers", "said"),
    [
        ([], []),
        ([container(labels=OURS)], []),
        ([container(labels={"org.llmfleet.spec": "1"})], []),  # of a release before the label
        ([container("web")], []),
        ([container()], ["llm (web:1, exited) is of someone else", "docker rm --force llm;", "inference_server_name"]),
        ([container(state=None)], ["llm (web:1, state unknown)"]),
        ([container("llm-2", {**OURS, "org.llmfleet.server": "llm-2"})], ["is of the server llm-2"]),
        ([container(image="a\nb" + "c" * 500)], ["a b"]),
    ],
)
def test_a_container_of_others_is_named_with_what_removes_it(containers, said):
    found = container_problems(["llm", "llm-2"], "llm", containers)
    assert len(found) == bool(said)
    text = " ".join(map(str, found))
    assert all(word in text for word in said), text
    assert len(text) < 600


def test_all_containers_of_others_are_named_at_once():
    found = container_problems(["llm", "llm-2"], "llm", [container(), container("llm-2")], become=True)
    assert [" sudo docker rm" in str(problem) for problem in found] == [True, True]
