# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters around the preflight and the host's preparation; the logic is in plugin_utils/_host/."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.llmfleet.serving.plugins.plugin_utils._host import (
    docker_changes,
    gpu_container,
    preflight,
    toolkit_changes,
)
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import plain


def preflight_checks(host: Any, want: Any, severities: Any) -> list[dict[str, Any]]:
    """Every check of a host."""
    return preflight.evaluate(plain(host), plain(want), plain(severities))


def preflight_summary(checks: Any, host: Any) -> dict[str, Any]:
    """What is kept of a preflight as a fact."""
    return preflight.summary(plain(host), plain(checks))


def preflight_message(checks: Any, hostname: str) -> str:
    """The failed checks of a host, in one text."""
    return preflight.message(hostname, plain(checks))


def preflight_table(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> str:
    """The fleet in one table. A host without a summary was not reached."""
    summaries = [(name, hostvars.get(name, {}).get("gpu_preflight_summary")) for name in hosts]
    return preflight.table((str(name), plain(summary)) for name, summary in summaries)


def docker_engine_plan(host: Any, want: Any) -> dict[str, Any]:
    """What to do about Docker."""
    return _worded(docker_changes.docker_changes(plain(host), plain(want)))


def nvidia_toolkit_plan(host: Any, want: Any) -> dict[str, Any]:
    """What to do about the NVIDIA container toolkit."""
    return _worded(toolkit_changes.toolkit_changes(plain(host), plain(want)))


def _worded(changes: dict[str, Any]) -> dict[str, Any]:
    """The same with its problems as sentences."""
    return {**changes, "problems": [str(problem) for problem in changes["problems"]]}


def gpu_container_verdict(result: Any, access: str) -> dict[str, Any]:
    """Whether containers can use the GPU, by how the probe container ended."""
    return gpu_container.verdict(plain(result), access)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "preflight_checks": preflight_checks,
            "preflight_summary": preflight_summary,
            "preflight_message": preflight_message,
            "preflight_table": preflight_table,
            "docker_engine_plan": docker_engine_plan,
            "nvidia_toolkit_plan": nvidia_toolkit_plan,
            "gpu_container_verdict": gpu_container_verdict,
        }
