# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import model as cloud
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("name", "gpu", "count"),
    [
        ("gpu_1x_b200_sxm6", "b200", 1),
        ("gpu_1x_h100_pcie", "h100", 1),
        ("gpu_8x_h100_sxm5gdr", "h100", 8),
        ("gpu_8x_a100_80gb_sxm4", "a100", 8),
        ("gpu_1x_a100", "a100", 1),
        ("gpu_1x_gh200", "gh200", 1),
        ("gpu_1x_rtx6000", "rtx6000", 1),
        ("gpu_8x_v100_n", "v100", 8),
        ("cpu_4x_general", "cpu", 0),
        ("", "", 0),
        ("something", "", 0),
    ],
)
def test_a_types_name_contains_class_and_count(name, gpu, count):
    assert (cloud.gpu_class(name), cloud.gpu_count(name)) == (gpu, count)


def test_an_instance_always_has_all_keys_and_never_a_secret():
    full = cloud.instance(
        {
            "id": "1",
            "name": "a",
            "ip": "198.51.100.2",
            "status": "active",
            "region": {"name": "us-west-3"},
            "instance_type": {"name": "gpu_8x_h100_sxm5", "price_cents_per_hour": 3192, "specs": {"gpus": 8}},
            "tags": [{"key": "campaign", "value": "x"}],
            "jupyter_token": "secret",
            "jupyter_url": "https://j/?token=secret",
        }
    )
    assert "secret" not in json.dumps(full)
    assert full["usd_per_hour"] == 31.92
    assert full["tags"] == {"campaign": "x"}
    assert set(cloud.instance({})) == set(full)


def test_a_missing_price_is_no_price_of_nothing():
    assert cloud.instance({"instance_type": {"name": "gpu_1x_h100_sxm5"}})["usd_per_hour"] is None


@pytest.mark.parametrize(
    ("offered", "wanted", "expected"),
    [
        (["a", "b"], [], ["a", "b"]),
        (["a", "b"], ["b", "c", "a"], ["b", "a"]),
        ([], ["a"], []),
        (["a"], ["b"], []),
    ],
)
def test_regions_are_tried_in_the_order_they_are_wanted(offered, wanted, expected):
    assert cloud.candidates(offered, wanted) == expected


def entry(price, status="active", name="x", kind="t"):
    return {"usd_per_hour": price, "status": status, "name": name, "id": "i", "instance_type": kind}


@pytest.mark.parametrize(
    ("instances", "total", "unknown"),
    [
        ([], 0.0, []),
        ([entry(4.29), entry(1.99, "booting"), entry(2.0, "unhealthy")], 8.28, []),
        ([entry(4.29, "terminated"), entry(4.29, "terminating"), entry(4.29, "preempted")], 0.0, []),
        ([entry(None, kind="known")], 3.0, []),
        ([entry(None)], 0.0, ["x"]),
        ([entry(None, name="")], 0.0, ["i"]),
    ],
)
def test_what_the_account_costs(instances, total, unknown):
    assert cloud.account_usd_per_hour(instances, {"known": 3.0}) == (total, unknown)


@pytest.mark.parametrize(
    ("price", "running", "unknown", "limit", "refused"),
    [
        (4.29, 0.0, [], 4.29, False),
        (4.29, 0.01, [], 4.29, True),
        (4.29, 0.0, [], 0.0, True),
        (None, 0.0, [], 100.0, True),
        (1.0, 0.0, ["x"], 100.0, True),
        (0.1, 0.2, [], 0.3, False),  # no rounding error refuses what is exactly the limit
    ],
)
def test_the_cost_limit(price, running, unknown, limit, refused):
    assert bool(cloud.refusal(price, running, unknown, limit)) is refused


def test_a_launch_asks_only_for_what_is_set():
    params = {"name": "a", "instance_type": "gpu_1x_h100_sxm5", "ssh_key": "k", "tags": {}, "file_systems": []}
    assert cloud.launch_body(params, "r") == {
        "name": "a",
        "region_name": "r",
        "instance_type_name": "gpu_1x_h100_sxm5",
        "ssh_key_names": ["k"],
    }
    more = cloud.launch_body(
        {**params, "tags": {"n": 1}, "image_family": "f", "user_data": "u", "file_systems": ["s"]}, "r"
    )
    assert more["tags"] == [{"key": "n", "value": "1"}]
    assert more["image"] == {"family": "f"}
    assert (more["user_data"], more["file_system_names"]) == ("u", ["s"])


@given(JSON)
def test_any_body_gives_an_error_of_two_words(payload):
    code, words = cloud.error_of(payload)
    assert isinstance(code, str)
    assert isinstance(words, str)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("198.51.100.2", "198.51.100.2"),
        ("2001:db8::1", "2001:db8::1"),
        ("::1", "::1"),
        ("head-node_1.example.org", "head-node_1.example.org"),
        ("-oProxyCommand=x", ""),
        ("a b", ""),
        ("a\nb", ""),
        ("{{ x }}", ""),
        (["1.2.3.4"], ""),
        (None, ""),
    ],
)
def test_an_address_is_none_that_ssh_could_take_for_an_option(given, kept):
    entry = cloud.instance({"ip": given, "hostname": given, "private_ip": given})
    assert (entry["ip"], entry["hostname"], entry["private_ip"]) == (kept, kept, kept)


@pytest.mark.parametrize("name", ["node1", "gpu-01.example.org", "campaign_2", "One", "0af3", "123"])
def test_a_name_that_is_a_hosts(name):
    assert cloud.can_be_host(name)
    assert cloud.name_problem(name) is None
    assert not cloud.can_be_host(name, [name])


@pytest.mark.parametrize(
    "name",
    [
        *("h100", "inference", "all", "ALL", "ungrouped", "localhost", "127.0.0.1", "::1", "x:!y", "x:&y", "h100[0]", "h100[0:2]"),
        *("*", "~.*", "@hosts", "a,b", "one:22", "-l", "tag_x", "region_x", "status_active", "", "a b", "a\n", "{{ x }}", "x" * 65),
    ],
)  # fmt: skip
def test_a_name_that_could_select_other_hosts_is_no_hosts(name):
    assert not cloud.can_be_host(name, ["h100"])
    assert "another name" in str(cloud.name_problem(name, ["h100"]))


def entry(name, id_, gpu_class=""):
    return {"name": name, "id": id_, "gpu_class": gpu_class}


def test_each_instance_has_a_host_of_its_own():
    """One named like another's identifier, or without a usable one, takes the place of none."""
    entries = [
        entry("b", "a"),
        entry("a", "x1"),
        entry("gh200", "c", "gh200"),
        entry("", "x:!y"),
        entry("twin", "d"),
        entry("twin", "e"),
    ]
    names = cloud.host_names(entries)
    assert names[0] == "b" and names[1] == "x1" and names[2] == "c" and names[4:] == ["d", "e"]
    assert names[3].startswith("lambda-") and len(set(names)) == len(names)


@given(st.text(max_size=30), st.text(max_size=30))
def test_groups_of_words_from_outside_are_of_their_kind(key, value):
    found = list(cloud.group_names({"status": key, "region": value, "tags": {key: value}}))
    assert all(
        name.startswith(cloud.MADE_GROUPS) and name.replace("_", "a").isalnum() and name.isascii() for name in found
    )
