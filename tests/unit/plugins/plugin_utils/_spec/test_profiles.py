# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host finds its GPU profile by its inventory, its groups or its GPU, in this order, or its user learns what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.filter import server_spec as filters
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.profiles import missing_profile, profile_of

FOLDER = str(Path(__file__).resolve().parents[5] / "group_vars")
H100 = "NVIDIA H100 80GB HBM3"
GB300 = {"gpu_class": "gb300", "name": "NVIDIA GB300", "name_pattern": r"\bGB300\b"}
CLASSES = sorted({path.stem for path in Path(FOLDER).glob("*.yml")} - {"all"})


@pytest.mark.parametrize(
    ("gpu_name", "gpu_class"),
    [
        ("NVIDIA B200", "b200"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H100 PCIe", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-40GB", "a100"),
        ("NVIDIA A100 80GB PCIe", "a100"),
        ("Tesla T4", None),
        ("", None),
    ],
)
def test_a_gpu_finds_its_profile(gpu_name, gpu_class):
    assert filters.gpu_profile_of(gpu_name, FOLDER).get("gpu_class") == gpu_class


@pytest.mark.parametrize(
    ("groups", "gpu_name", "own", "gpu_class"),
    [
        (["h100", "inference"], "", {}, "h100"),
        (["inference", "simulated"], H100, {}, "simulated"),  # the group counts more than the GPU
        (["h100x", "inference"], H100, {}, "h100"),  # a group that names no class does not count
        (["h100"], H100, {"gpu_class": "mine"}, "mine"),  # the inventory's own counts most
        (["h100"], "", None, "h100"),
        (["l40s"], "NVIDIA L40S", {}, None),
        ([], "", {}, None),
    ],
)
def test_inventory_group_and_gpu_count_in_this_order(groups, gpu_name, own, gpu_class):
    assert filters.gpu_profile_of(gpu_name, FOLDER, groups, own).get("gpu_class") == gpu_class
    assert (filters.gpu_profile_problem(gpu_name, FOLDER, groups, own) == {}) == (gpu_class is not None)


def test_every_file_but_the_one_for_all_hosts_is_a_class_of_its_own_name():
    assert sorted(filters.gpu_profiles(FOLDER)) == CLASSES
    assert all(profile["gpu_class"] == name for name, profile in filters.gpu_profiles(FOLDER).items())


def test_a_folder_that_is_missing_has_no_profiles(tmp_path):
    assert filters.gpu_profiles(str(tmp_path / "nowhere")) == {}


def test_a_profile_is_a_copy():
    profiles = {"h100": {"gpu_class": "h100"}}
    profile_of(profiles, ["h100"], [])["gpu_class"] = "other"
    assert profiles == {"h100": {"gpu_class": "h100"}}


@pytest.mark.parametrize(
    ("groups", "gpu_name", "gpu_class", "name"),
    [
        (["inference", "l40s"], "", "l40s", "NAME OF THE GPU"),
        (["berlin", "inference", "l40s"], "NVIDIA L40S", "l40s", "NVIDIA L40S"),
        (["berlin", "inference", "rack7"], "NVIDIA L40S", "CLASS", "NVIDIA L40S"),
        (["inference"], "Tesla T4", "CLASS", "Tesla T4"),
    ],
)
def test_the_remedy_names_the_file_and_the_line_that_help(groups, gpu_name, gpu_class, name):
    problem = missing_profile(CLASSES, groups, gpu_name)
    assert all(group in problem.found for group in groups)
    assert gpu_name in problem.found
    assert ", ".join(CLASSES) in problem.expected
    file, line = f"group_vars/{gpu_class}.yml", f"gpu_profile: {{gpu_class: {gpu_class}, name: {name}}}"
    assert file in problem.remedy
    assert f"`{line}`" in problem.remedy
    assert yaml.safe_load(line) == {"gpu_profile": {"gpu_class": gpu_class, "name": name}}


@pytest.mark.parametrize(
    ("groups", "gpus", "own", "words"),
    [
        (["b200", "h100", "inference"], [H100], {}, ("in 2 groups of GPU classes: b200, h100", "take it out of b200")),
        (["b200", "h100"], [], {}, ("b200, h100", "take it out of all but that of its GPU")),
        (["gb300", "h100"], ["NVIDIA GB300"], GB300, ("gb300, h100",)),  # a class of the inventory's own
        (["h100"], ["NVIDIA A100-SXM4-40GB"], {}, ("NVIDIA A100-SXM4-40GB", "NVIDIA H100 (group h100)",
                                                  "move the host to the inventory group a100 and take it out of h100")),
        (["h100"], ["NVIDIA B200"], GB300, ("move the host to the inventory group b200;",)),
        (["gb300"], ["NVIDIA GB300x"], GB300, (r"its name_pattern is \bGB300\b",)),
        (["h100"], [H100], GB300, (r"its name_pattern is \bGB300\b",)),  # it is in the group of its GPU
        (["l40s"], ["NVIDIA L40S"], {}, ("write group_vars/l40s.yml",)),
        (["gb300"], ["NVIDIA RTX PRO 2000 Blackwell", "NVIDIA GB300"], {}, ("{gpu_class: gb300, name: NVIDIA GB300}",)),
    ],
)  # fmt: skip
def test_a_profile_that_cannot_be_right_is_refused(groups, gpus, own, words):
    message = filters.gpu_profile_problem([{"name": name} for name in gpus], FOLDER, groups, own)["message"]
    assert all(word in message for word in words)
    present = [name for name in groups if f"move the host to the inventory group {name}" in message]
    assert present == [] and "move the host to the group" not in message


@pytest.mark.parametrize(
    ("groups", "gpus", "own", "gpu_class"),
    [
        (["inference"], ["NVIDIA T400 4GB", H100], {}, "h100"),  # a display card may be GPU 0
        (["a100"], ["NVIDIA A100-SXM4-80GB", "NVIDIA DGX Display"], {}, "a100"),
        (["h100", "simulated"], [H100], {}, "simulated"),
        (["h100"], [H100, "NVIDIA A100-SXM4-40GB"], {}, "h100"),
    ],
)
def test_a_gpu_of_another_class_beside_those_of_the_host_is_no_problem(groups, gpus, own, gpu_class):
    cards = [{"name": name} for name in gpus]
    assert filters.gpu_profile_problem(cards, FOLDER, groups, own) == {}
    assert filters.gpu_profile_of(cards, FOLDER, groups, own)["gpu_class"] == gpu_class
