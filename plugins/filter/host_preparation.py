# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters around the preflight and the host's preparation; the logic is in plugin_utils/_host/."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils import _knobs, _proxies
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host import (
    docker_changes,
    gpu_checks,
    gpu_container,
    preflight,
    toolkit_changes,
)
from ansible_collections.llmfleet.serving.plugins.plugin_utils._plain import plain

# What templates before ansible-core 2.19 give as text.
_NUMBERS = ("disk_free_gib", "disk_free_deployed_gib", "memory_gib", "clock_skew_s")
_NEEDED = {
    **{name: {"type": "float"} for name in _NUMBERS},
    "ports": {"type": "list", "elements": "int"},
    "offline": {"type": "bool"},
}
_NEEDED_GPU = {
    **{"required": {"type": "bool"}, "count": {"type": "int"}, "mig": {"type": "bool"}},
    "named": {"type": "list", "elements": "str"},
}
_WANTED = {"hold": {"type": "bool"}, "version": {"type": "str", "default": ""}, "version_min": {"type": "str"}}


def preflight_checks(host: Any, want: Any, severities: Any) -> list[dict[str, Any]]:
    """Every check of a host."""
    try:
        return preflight.evaluate(plain(host), _needed(want), plain(severities))
    except UserError as error:
        raise AnsibleFilterError(str(error)) from error


def _needed(want: Any) -> dict[str, Any]:
    needed = _coerced(want, _NEEDED)
    return {**needed, "gpu": _coerced(needed["gpu"], _NEEDED_GPU)}


def preflight_summary(checks: Any, host: Any, want: Any = None) -> dict[str, Any]:
    """What is kept of a preflight as a fact."""
    return preflight.summary(plain(host), plain(checks), _needed(want) if want else None)


def usable_gpus(host: Any, want: Any) -> list[dict[str, Any]]:
    """The GPUs of a host that its server may use; all of them where none is of its class or free."""
    read, gpu = plain(host), _coerced(want, _NEEDED_GPU)
    return gpu_checks.with_usable(read, gpu_checks.choice_of(read, {"gpu": gpu}))["gpu"]["cards"] if read else []


def preflight_message(checks: Any, hostname: str) -> str:
    """The failed checks of a host, in one text."""
    return preflight.message(hostname, plain(checks))


def preflight_notes(summary: Any) -> list[str]:
    """What is to be known of a host that can serve."""
    return preflight.notes(plain(summary))


def preflight_table(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> str:
    """The fleet in one table. A host without a summary was not reached."""
    summaries = [(name, hostvars.get(name, {}).get("gpu_preflight_summary")) for name in hosts]
    return preflight.table((str(name), plain(summary)) for name, summary in summaries)


def docker_engine_plan(host: Any, want: Any) -> dict[str, Any]:
    """What to do about Docker."""
    return _worded(docker_changes.docker_changes(plain(host), _coerced(want, _WANTED)))


def nvidia_toolkit_plan(host: Any, want: Any) -> dict[str, Any]:
    """What to do about the NVIDIA container toolkit."""
    return _worded(toolkit_changes.toolkit_changes(plain(host), _coerced(want, _WANTED)))


def _coerced(want: Mapping[str, Any], options: _knobs.Options) -> dict[str, Any]:
    """What is wanted in the types that the logic takes."""
    try:
        return _knobs.coerced(want, options)
    except UserError as error:
        raise AnsibleFilterError(str(error)) from None


def _worded(changes: dict[str, Any]) -> dict[str, Any]:
    """The same with its problems as sentences, and with `to_do`: whether there is anything to change, to wait for, or to say."""
    said = ("changes", "wait_for_first_boot", "problems", "warnings", "notes")
    to_do = any(changes.get(name) for name in said)
    return {**changes, "problems": [str(problem) for problem in changes["problems"]], "to_do": to_do}


def gpu_container_verdict(result: Any, access: str) -> dict[str, Any]:
    """Whether containers can use the GPU, by how the probe container ended."""
    return gpu_container.verdict(plain(result), access)


def proxy_environment(proxy: Any) -> dict[str, str]:
    """A proxy as environment variables."""
    return _proxies.environment(plain(proxy))


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "preflight_checks": preflight_checks,
            "preflight_summary": preflight_summary,
            "preflight_message": preflight_message,
            "preflight_notes": preflight_notes,
            "preflight_table": preflight_table,
            "usable_gpus": usable_gpus,
            "docker_engine_plan": docker_engine_plan,
            "nvidia_toolkit_plan": nvidia_toolkit_plan,
            "gpu_container_verdict": gpu_container_verdict,
            "proxy_environment": proxy_environment,
        }
