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
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.validation import profile_problems

FOLDER = str(Path(__file__).resolve().parents[5] / "group_vars")
H100 = "NVIDIA H100 80GB HBM3"
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
        (["a100", "h100"], "", {}, "h100"),  # the last one, as Ansible has it
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
    profile_of(profiles, ["h100"], "")["gpu_class"] = "other"
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


def test_a_server_without_a_profile_is_refused():
    want = {"groups": ["inference", "l40s"], "gpu_classes": CLASSES}
    [problem] = profile_problems(want, {}, [{"name": "NVIDIA L40S"}])
    for words in ("inference, l40s", "NVIDIA L40S", "a100, b200", "group_vars/l40s.yml", "gpu_profile"):
        assert words in str(problem)
    assert len(profile_problems(want, {}, [])) == 1
    assert profile_problems(want, {"gpu_class": "l40s"}, []) == []
