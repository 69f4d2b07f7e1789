# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the tasks that talk to Docker become root, unless the operator says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.filter.engine_runtime import engine_runtime

from tests.support.core import load_templates, render, trust_as_template

ROLE = Path(__file__).resolve().parents[4] / "roles" / "inference_server"
DOCKER, PROCESS = {"spec": {"runtime": "docker"}}, {"spec": {"runtime": "process"}}


@pytest.mark.parametrize(
    ("backend", "kept", "become"),
    [
        ("vllm", {}, True),
        ("simulator", {}, False),
        (
            "simulator",
            {"llmfleet_server": {"runtime": "process"}, "llmfleet_server_good": {"current": PROCESS, "before": None}},
            False,
        ),
        ("simulator", {"llmfleet_server": {"runtime": "docker"}, "llmfleet_server_good": {"current": DOCKER}}, True),
        (
            "simulator",
            {"llmfleet_server": {"runtime": "process"}, "llmfleet_server_good": {"current": PROCESS, "before": DOCKER}},
            True,
        ),
    ],
)
def test_root_where_a_container_is_wanted_kept_or_to_be_gone_back_to(backend, kept, become):
    settings = {name: load_templates(ROLE / name / "main.yml") for name in ("defaults", "vars")}
    # Outside a playbook no filter of a collection is found, so the default that is one comes from its function.
    assert (
        settings["defaults"]["inference_server_runtime"]
        == "{{ inference_server_backend | llmfleet.serving.engine_runtime }}"
    )
    choices = {"inference_server_backend": backend, "inference_server_runtime": engine_runtime(backend)}
    facts = {"ansible_facts": {"ansible_local": kept, "user_dir": "/home/me"}}
    variables = {**settings["defaults"], **settings["vars"], **choices, **facts}
    assert render(trust_as_template("{{ inference_server_become | bool }}"), variables) is become
