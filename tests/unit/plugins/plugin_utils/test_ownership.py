# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._ownership import (
    container_problems,
    gpu_holders,
    others_of,
    port_holders,
    server_port_problem,
)

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


def fact(name="second", runtime="process", ports=(8010,), gpus=(), owner="gpu-9"):
    instances = [{"name": name, "port": port, "gpu_uuids": list(gpus)} for port in ports]
    return {"name": name, "state_dir": f"/s/{name}", "owner": owner, "runtime": runtime, "instances": instances}


def engine(*containers, state="running"):
    return {"state": state, "containers": list(containers)}


SECOND = container("second", {"org.llmfleet.server": "second"}, host_ports=[], bound_ports=[8010], gpus=["GPU-1"])
OWN = container("llm", OURS, host_ports=[8000], bound_ports=[8000], gpus=["GPU-0"])


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ({}, []),
        ({"servers": [fact("llm")], "docker": engine(OWN)}, []),
        ({"docker": engine(container("web", host_ports=[80]))}, []),
        ({"docker": engine(SECOND)}, [("second", None, [8010], ["GPU-1"])]),
        ({"servers": [fact(gpus=["GPU-1"])]}, [("second", "gpu-9", [8010], ["GPU-1"])]),
        # Its container was removed by hand: what the state folder says of it is no more.
        ({"servers": [fact(runtime="docker")], "docker": engine(OWN)}, []),
        ({"servers": [fact(runtime="docker")], "docker": engine(state="stopped")}, [("second", "gpu-9", [8010], [])]),
        ({"servers": [fact(runtime="docker")]}, [("second", "gpu-9", [8010], [])]),
        (
            {"servers": [fact(runtime="docker", ports=[1])], "docker": engine(SECOND)},
            [("second", "gpu-9", [8010], ["GPU-1"])],
        ),
    ],
)
def test_the_other_servers_of_a_host(host, found):
    others = [(other.name, other.owner, sorted(other.ports), sorted(other.gpus)) for other in others_of(host, "llm")]
    assert others == found


def test_a_port_of_another_server_is_refused_with_one_that_is_free():
    host = {
        "servers": [fact(ports=[8000, 8001])],
        "ports": [{"port": 8002, "in_use": True}, {"port": 8003, "in_use": False}],
    }
    held = port_holders(host, "llm")
    assert sorted(held) == [8000, 8001]
    text = str(server_port_problem(8000, held[8000], host, held, 2))
    assert "port 8000 is that of the server second of inventory host gpu-9" in text
    assert "such as 8003" in text


@pytest.mark.parametrize(("gpus", "held"), [(["GPU-1"], ["GPU-1"]), (["all"], ["GPU-0", "GPU-1"]), ([], [])])
def test_the_gpus_that_other_servers_hold(gpus, held):
    cards = [{"uuid": "GPU-0"}, {"uuid": "GPU-1"}]
    host = {"gpu": {"cards": cards}, "docker": engine({**SECOND, "gpus": gpus}, OWN)}
    assert gpu_holders(host, "llm") == dict.fromkeys(held, "held by the server second")
