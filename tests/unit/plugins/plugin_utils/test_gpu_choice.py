# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPUs of a host a server may use: of its class, named, free; the others are left alone with a reason."""

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._gpu_choice import choose_gpus, lent_gpus, names_in
from preflight_hosts import FOREIGN, OURS, OWN, THEIRS, process

GB300 = {"gpu_class": "gb300", "name": "NVIDIA GB300", "name_pattern": r"\bGB300\b"}
A100 = {"gpu_class": "a100", "name": "NVIDIA A100", "name_pattern": r"\bA100\b"}
OWN_WORDS = {"gpu_class": "gb300", "name": "NVIDIA GB300"}  # a profile as the remedy of a host without one has it
CLASS_ALONE = {"gpu_class": "gb300"}


def gpus(*names, **changes):
    """GPUs of these names with their gibibytes after a colon, in the driver's order."""
    split = [name.partition(":") for name in names]
    return [
        {
            "index": index,
            "uuid": f"GPU-{index}",
            "name": name,
            "memory_total_mib": int(size) * 1024,
            "compute_processes": [],
            **changes.get(f"gpu{index}", {}),
        }
        for index, (name, _colon, size) in enumerate(split)
    ]


SMALL = gpus("NVIDIA GB300:252", "NVIDIA RTX PRO 2000 Blackwell:16")
LARGE = gpus("NVIDIA RTX PRO 6000 Blackwell Workstation Edition:96", "NVIDIA GB300:252")
DISPLAY_LAST = gpus(*["NVIDIA A100-SXM4-80GB:80"] * 4, "NVIDIA DGX Display:4")
DISPLAY_INSIDE = gpus(*["NVIDIA A100-SXM4-80GB:80"] * 3, "NVIDIA DGX Display:4", "NVIDIA A100-SXM4-80GB:80")


def uuids(choice):
    return [gpu["uuid"] for gpu in choice.usable]


@pytest.mark.parametrize(
    ("present", "profile", "usable", "left"),
    [
        (SMALL, GB300, ["GPU-0"], ["GPU 1 (NVIDIA RTX PRO 2000 Blackwell, 16 GiB): not of class gb300"]),
        (LARGE, GB300, ["GPU-1"], ["GPU 0 (NVIDIA RTX PRO 6000 Blackwell Workstation Edition, 96 GiB): not of class gb300"]),
        (SMALL, OWN_WORDS, ["GPU-0"], ["GPU 1 (NVIDIA RTX PRO 2000 Blackwell, 16 GiB): not of class gb300"]),
        (LARGE, CLASS_ALONE, ["GPU-1"], ["GPU 0 (NVIDIA RTX PRO 6000 Blackwell Workstation Edition, 96 GiB): not of class gb300"]),
        (DISPLAY_LAST, A100, ["GPU-0", "GPU-1", "GPU-2", "GPU-3"], ["GPU 4 (NVIDIA DGX Display, 4 GiB): not of class a100"]),
        (DISPLAY_INSIDE, A100, ["GPU-0", "GPU-1", "GPU-2", "GPU-4"], ["GPU 3 (NVIDIA DGX Display, 4 GiB): not of class a100"]),
        (SMALL, {"gpu_class": "mine"}, ["GPU-0", "GPU-1"], []),  # nothing says which GPUs are meant
        (SMALL, {"gpu_class": "cpu", "name": "CPU"}, ["GPU-0", "GPU-1"], []),
        (SMALL, {}, ["GPU-0", "GPU-1"], []),
        ([], GB300, [], []),
    ],
)  # fmt: skip
def test_servers_go_to_the_gpus_of_the_class_and_the_others_are_named(present, profile, usable, left):
    choice = choose_gpus(present, profile)
    assert (uuids(choice), choice.left, choice.problems) == (usable, left, [])


@pytest.mark.parametrize(
    ("named", "usable"),
    [
        (["0"], ["GPU-0"]),
        (["4", "GPU-1"], ["GPU-1", "GPU-4"]),  # in the driver's order: another order is no other server
        (["gpu-2"], ["GPU-2"]),
        (["0,2"], ["GPU-0", "GPU-2"]),
        ([0, 2], ["GPU-0", "GPU-2"]),
        ([], ["GPU-0", "GPU-1", "GPU-2", "GPU-4"]),
    ],
)
def test_the_operator_names_gpus(named, usable):
    choice = choose_gpus(DISPLAY_INSIDE, A100, named)
    assert (uuids(choice), choice.problems) == (usable, [])
    assert len(choice.left) == 5 - len(usable)
    assert all(words.endswith(("not named in inference_server_gpus", "not of class a100")) for words in choice.left)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (["7"], ("names 7, which the host has not", "GPU 3 (NVIDIA DGX Display, 4 GiB) GPU-3", "correct inference_server_gpus")),
        (["GPU-x"], ("names GPU-x, which the host has not",)),
        (["-1"], ("names -1, which the host has not",)),
        (["MIG-42"], ("a part of a GPU cannot be named", "name the GPU that it is a part of")),
        (["0", "GPU-0"], ("GPU 0 (NVIDIA A100-SXM4-80GB, 80 GiB) twice", "leave out GPU-0")),
        (["0", "3"], ("names GPU 3 (NVIDIA DGX Display, 4 GiB), and it is not of class a100",
                      "gpu_profile: {gpu_class: CLASS, name: NVIDIA DGX Display}")),
        (["1"], ("names GPU 1 (NVIDIA A100-SXM4-80GB, 80 GiB), and it is held by server second", "name other GPUs")),
    ],
)  # fmt: skip
def test_names_that_cannot_be_are_refused(named, words):
    [problem] = choose_gpus(DISPLAY_INSIDE, A100, named, held={"GPU-1": "held by server second"}).problems
    assert all(word in str(problem) for word in words)


@pytest.mark.parametrize("held", [{"GPU-1": "held by server second"}, {"1": "held by server second"}])
def test_gpus_of_other_servers_are_left_alone(held):
    choice = choose_gpus(DISPLAY_INSIDE, A100, held=held)
    assert uuids(choice) == ["GPU-0", "GPU-2", "GPU-4"]
    assert choice.left[0] == "GPU 1 (NVIDIA A100-SXM4-80GB, 80 GiB): held by server second"


def test_a_host_whose_gpus_are_all_held_is_refused():
    [problem] = choose_gpus(SMALL, GB300, held={"GPU-0": "held by server second"}).problems
    assert "no GPU is free: GPU 0 (NVIDIA GB300, 252 GiB): held by server second" in str(problem)


TWO = ["NVIDIA A100-SXM4-80GB:80"] * 2


@pytest.mark.parametrize(
    ("processes", "containers", "own", "lent"),
    [
        ([process()], [], (), "used by python (pid 7, 10 MiB)"),
        ([process(container_id=THEIRS)], [FOREIGN], (), "used by python (pid 7 in container web, 10 MiB)"),
        ([process(container_id=OURS)], [OWN], (), None),
        ([process(), process(container_id=OURS)], [OWN], (), None),  # an intruder, which the preflight refuses
        ([process()], [], ("GPU-1",), None),  # the last deployment's: not lost because its server is down
        ([], [], (), None),
        ([process(pid=pid, name="x") for pid in range(4)], [], (),
         "used by x (pid 0, 10 MiB); x (pid 1, 10 MiB); x (pid 2, 10 MiB) and others"),
    ],
)  # fmt: skip
def test_a_gpu_that_others_use_is_lent(processes, containers, own, lent):
    host = {"gpu": {"cards": gpus(*TWO, gpu1={"compute_processes": processes})}, "docker": {"containers": containers}}
    assert lent_gpus(host, own) == ({"GPU-1": lent} if lent else {})


@pytest.mark.parametrize(
    ("named", "need", "usable"),
    [((), 1, ["GPU-0"]), ((), 2, ["GPU-0", "GPU-1"]), (("1",), 1, ["GPU-1"])],
)
def test_what_is_lent_is_left_alone_where_enough_remain_and_none_is_named(named, need, usable):
    present = gpus(*TWO)
    choice = choose_gpus(present, A100, named, lent={"GPU-1": "used by python (pid 7, 10 MiB)"}, need=need)
    assert (uuids(choice), choice.problems) == (usable, [])


def test_items_may_hold_several_names():
    assert names_in(["0, 2", " GPU-1 ", ""]) == ["0", "2", "GPU-1"]
