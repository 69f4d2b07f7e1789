# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What host_info reads is what the filters take: this machine's own state, whatever it is, goes through all of them."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.filter.host_preparation import FilterModule
from ansible_collections.llmfleet.serving.plugins.modules import host_info

from tests.support.core import patch_module_args

FILTERS = FilterModule().filters()
WANT = {
    "gpu": {"required": True, "count": 1, "mig": False, "profile": {"gpu_class": "h100", "name_pattern": "H100"}},
    "image": "vllm/vllm-openai:v0.32.0",
    "ports": [8000],
    "disk_free_gib": 1.0,
    "disk_free_deployed_gib": 1.0,
    "memory_gib": 1.0,
    "clock_skew_s": 10.0,
    "offline": False,
}
ENGINE = {
    **{"mode": "install", "source": "docker", "version": "", "version_min": "20.10", "hold": True},
    **{"defaults": {}, "options": {}, "packages": {"docker": ["docker-ce"]}, "conflicts": {"docker": []}, "needs": {}},
}
TOOLKIT = {
    **{"mode": "install", "version": "1.20.0", "version_min": "1.17.8", "hold": True, "access": "auto"},
    "packages": ["nvidia-container-toolkit"],
}


@pytest.fixture
def host(capsys):
    with patch_module_args({"ports": [8000], "reference_time_s": 1.0}), pytest.raises(SystemExit):
        host_info.main()
    return json.loads(capsys.readouterr().out)["host"]


def test_the_preflight_takes_any_host(host):
    checks = FILTERS["preflight_checks"](host, WANT, {"clock_skew": "error"})
    summary = FILTERS["preflight_summary"](checks, host)
    assert "clock_skew" in summary["failed"]
    assert "me: " in FILTERS["preflight_message"](checks, "me")
    shown = FILTERS["preflight_table"]({"me": {"gpu_preflight_summary": summary}, "gone": {}}, ["me", "gone"])
    assert [line.split()[:2] for line in shown.splitlines()[2:]] == [["gone", "unreached"], ["me", "failed"]]


def test_the_plans_take_any_host(host):
    assert isinstance(FILTERS["docker_engine_plan"](host, ENGINE)["changes"], bool)
    assert FILTERS["nvidia_toolkit_plan"](host, TOOLKIT)["access"] in ("cdi", "runtime")


def test_a_probe_container_is_judged():
    assert FILTERS["gpu_container_verdict"]({"rc": 0, "stdout": "", "stderr": ""}, "cdi")["ok"]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_each_filter_is_documented(name, request):
    path = request.config.rootpath / "plugins" / "filter" / f"{name}.yml"
    assert yaml.safe_load(path.read_text())["DOCUMENTATION"]["name"] == name
