# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._docker_config import (
    changed_keys,
    config_problems,
    flag_keys,
    merge_config,
    stages,
    steps_to_apply,
)
from hypothesis import given
from hypothesis import strategies as st

DEFAULTS = {"log-driver": "json-file", "log-opts": {"max-size": "50m", "max-file": "3"}}
ON = {"live-restore": True}
TEXTS = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "debug": st.booleans(),
        "log-driver": st.sampled_from(["json-file", "local", "journald"]),
        "log-opts": TEXTS,
        "runtimes": TEXTS,
        "x": st.one_of(st.none(), st.integers(), st.lists(st.text(max_size=2), max_size=2)),
    },
)


@pytest.mark.parametrize(
    ("current", "options", "expected"),
    [
        ({}, ON, {**DEFAULTS, **ON}),
        ({"debug": True}, {}, {**DEFAULTS, "debug": True}),
        (
            {"log-opts": {"max-size": "7m"}},
            {},
            {"log-driver": "json-file", "log-opts": {"max-size": "7m", "max-file": "3"}},
        ),
        ({"log-driver": "journald"}, {}, {"log-driver": "journald"}),
        ({"log-driver": "local"}, {}, {**DEFAULTS, "log-driver": "local"}),
        (
            {"log-driver": "journald", "log-opts": {"tag": "x"}},
            {},
            {"log-driver": "journald", "log-opts": {"tag": "x"}},
        ),
        ({}, {"log-driver": "syslog"}, {"log-driver": "syslog"}),
        ({"live-restore": False}, ON, {**DEFAULTS, **ON}),
        (
            {"runtimes": {"mine": {"path": "/x"}}, "hosts": ["a"]},
            {"runtimes": {"nvidia": {"path": "n"}}, "hosts": ["b"]},
            {**DEFAULTS, "runtimes": {"mine": {"path": "/x"}, "nvidia": {"path": "n"}}, "hosts": ["b"]},
        ),
    ],
)
def test_merge(current, options, expected):
    assert merge_config(current, DEFAULTS, options) == expected


@given(CONFIGS, CONFIGS)
def test_a_merged_file_stays_as_it_is(current, options):
    once = merge_config(current, DEFAULTS, options)
    assert merge_config(once, DEFAULTS, options) == once


@given(CONFIGS)
def test_keys_that_are_not_named_are_kept(current):
    merged = merge_config(current, {}, ON)
    assert {key: merged[key] for key in current} == current


def test_changed_keys():
    assert changed_keys({"a": 1, "b": 2, "d": None}, {"a": 1, "b": 3, "c": 4}) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("keys", "live_restore", "force", "steps"),
    [
        ([], False, False, []),
        ([], True, True, ["restart"]),
        (["live-restore"], False, False, ["reload"]),
        (["live-restore", "log-opts"], False, False, ["reload", "restart"]),
        (["live-restore"], False, True, ["reload", "restart"]),
        (["log-opts"], True, False, ["restart"]),
        (["runtimes", "registry-mirrors"], True, False, ["reload"]),
        (["features"], True, False, ["restart"]),
        (["live-restore", "log-opts"], True, False, ["restart"]),
    ],
)
def test_steps(keys, live_restore, force, steps):
    assert steps_to_apply(keys, live_restore, force) == steps


def test_a_restart_that_is_refused_falls_back_to_a_file_that_protects_containers():
    current, wanted = {"debug": True}, {"debug": True, "live-restore": True, "log-driver": "local"}
    assert stages(current, wanted, live_restore_now=False) == [
        ("reload", {"debug": True, "live-restore": True}),
        ("restart", wanted),
    ]


def test_a_change_that_needs_one_step_goes_in_one():
    assert stages({}, {"live-restore": True}, live_restore_now=False) == [("reload", {"live-restore": True})]
    assert stages({}, {}, live_restore_now=True, force_restart=True) == [("restart", {})]


@pytest.mark.parametrize(
    ("config", "flags", "problems"),
    [
        ({**DEFAULTS, **ON, "unknown": 1}, [], 0),
        ({"live-restore": "yes"}, [], 1),
        ({"mtu": True}, [], 1),
        ({"log-opts": {"max-file": 3}}, [], 1),
        ({"log-opts": "x"}, [], 1),
        ({"hosts": ["fd://"]}, ["-H", "fd://"], 1),
        ({"log-driver": "local"}, ["--log-driver=json-file"], 1),
        ({"insecure-registries": []}, ["--insecure-registry", "x"], 1),
        ({"debug": True}, ["-H", "fd://"], 0),
    ],
)
def test_problems(config, flags, problems):
    assert len(config_problems(config, flags)) == problems


def test_flag_keys():
    assert flag_keys(["-H", "fd://", "--log-opt=max-size=1m", "--debug"]) == ["hosts", "log-opts", "debug"]
