# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users have written into their inventories, playbooks and scripts keeps working: no public name is lost, none slips in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import BY_KEY

from tests.support.public_names import public_names

ROOT = Path(__file__).resolve().parents[2]
RECORDED = json.loads((ROOT / "tests" / "unit" / "fixtures" / "public_names.json").read_text())

# Names that were removed, each with its reason. A name that is only renamed does not belong here: it keeps its old name, deprecated.
REMOVED = {
    "module_options": {"gpu_info/"},  # nothing used it: host_info returns the same
}

PROXIED = ("docker_engine", "nvidia_container_toolkit", "gpu_preflight", "model_cache")

# Names that were added after the recording. An entry is a promise: the name is public from the next release on.
_AWX = {
    *("awx_setup_state", "awx_setup_prefix", "awx_setup_sync_timeout_s", "awx_setup_extra_vars"),
    *("awx_setup_inventory_credential", "awx_setup_api_key_credential", "awx_setup_hub_token_credential"),
    *("awx_setup_replace_surveys", "awx_setup_schedule_answers", "awx_setup_approval_timeout_s"),
}
ADDED: dict[str, set[str]] = {
    "role_options": {
        *(f"awx_setup/main/{name}" for name in _AWX),
        *(
            f"report/{entry}/report_{name}"
            for entry in ("main", "read")
            for name in ("contact", "failure_reason", "failed_run", "fleet_run", "max_age_s", "model_names")
        ),
        "benchmark/main/benchmark_fleet_run",
        *(
            f"inference_server/{entry}/inference_server_{name}"
            for entry in ("main", "absent", "clients", "prune", "rollback", "stop")
            for name in (
                "engine_version",
                "renamed_from",
                "lock_takeover",
                "lock_wait_s",
                "gpu_access",
                "gpus",
                "lora",
                "lora.name",
                "lora.source",
                "lora.revision",
                "lora.rank",
                "proxy",
            )
        ),
        *(
            f"gpu_preflight/main/gpu_preflight_{name}"
            for name in ("bind_address", "gpu_access", "gpus", "model", "server_name", "tensor_parallel_size")
        ),
        "nvidia_container_toolkit/main/nvidia_container_toolkit_server_access",
        *(f"{role}/main/{role}_proxy" for role in PROXIED),
    },
    "role_defaults": {
        *(f"{role}/{role}_proxy" for role in (*PROXIED, "inference_server")),
        "benchmark/benchmark_fleet_run",
        "report/report_fleet_run",
        "report/report_max_age_s",
        "gpu_preflight/gpu_preflight_bind_address",
        *(f"awx_setup/{name}" for name in _AWX),
        "gpu_preflight/gpu_preflight_gpu_access",
        "gpu_preflight/gpu_preflight_server_name",
        "gpu_preflight/gpu_preflight_gpus",
        "nvidia_container_toolkit/nvidia_container_toolkit_server_access",
        "gpu_preflight/gpu_preflight_model",
        "gpu_preflight/gpu_preflight_tensor_parallel_size",
        "inference_server/inference_server_gpu_access",
        "inference_server/inference_server_gpus",
        "inference_server/inference_server_lock_takeover",
        "inference_server/inference_server_lock_wait_s",
        "inference_server/inference_server_lora",
        "inference_server/inference_server_engine_version",
        "inference_server/inference_server_renamed_from",
        "report/report_contact",
        "report/report_failure_reason",
        "report/report_failed_run",
        "report/report_model_names",
    },
    "module_options": {
        *("model_cache/state", "server_smoke/keyless_key", "host_info/state_dir", "host_info/images"),
        *("host_info/settings_of", "host_facts/also", "server_ready/smoke"),
        *("awx_setup/", "awx_setup/settings"),
        *("host_facts/", "host_facts/fact_path", "host_facts/gather_subset", "host_facts/settings_of"),
        *("check_plan/", "check_plan/plan", "check_plan/lock", "check_plan/state_dir", "model_cache/license"),
        *(
            f"host_info/{name}"
            for name in ("lock", "lock.state_dir", "lock.wait_s", "lock.lease_s", "lock.takeover", "lock.holder")
        ),
        *("host_fact/release", "bench_serve/fleet_run", "bench_serve/lock_takeover"),
        *("role_settings/", "role_settings/also", "role_settings/home", "role_settings/role"),
        *("server_ready/adapters", "server_smoke/adapters", "server_smoke/tests.lora"),
    },
    "fact_keys": {
        "gpu_preflight_summary.gpu.left",
        "llmfleet_benchmark.fleet_run",
        "llmfleet_benchmark.record_error",
        "llmfleet_server.lora",
        *(f"llmfleet_server_good.current.spec.{name}" for name in ("gpus_left", "lora", "lora_fetched")),
        "llmfleet_server_good.current.spec.instances[].device_requests[].count",
    },
    "playbooks": {"begin.yml", "prune.yml", "upgrade.yml"},
    "filters": {
        "preflight_notes",
        "announced_change",
        "client_urls",
        "container_problems",
        "engine_runtime",
        "gpu_profile_problem",
        "gpu_profiles",
        "lambda_name_problems",
        "model_gpu_problem",
        "model_recipe",
        "observed_start",
        "proxy_environment",
        "prunable",
        "orphaned_instances",
        "rollback_outcome",
        "rollback_point",
        "required_tests",
        "server_paths",
        "server_state_dir",
        "start_steps",
        "unused_volumes",
        "usable_gpus",
    },
}


# Entry points that came later have the options of `main` that were there before.
ADDED["role_options"] |= {
    f"{role}/with_settings/{role}_settings"
    for role in ("docker_engine", "nvidia_container_toolkit", "gpu_preflight", "inference_server")
} | {
    name.replace("/main/", f"/{entry}/")
    for name in RECORDED["role_options"]
    for entry in ("prune", "stop")
    if name.startswith("inference_server/main/") and name not in REMOVED.get("role_options", set())
}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return public_names(ROOT, tmp_path_factory.mktemp("names"))


@pytest.mark.parametrize("kind", RECORDED)
def test_every_name_that_was_public_is_still_understood(names, kind):
    assert sorted(set(RECORDED[kind]) - set(names[kind]) - REMOVED.get(kind, set())) == []


def has_row(name: str) -> bool:
    """True for a figure of a result: its row in the metric table is the promise."""
    return any(part in BY_KEY for part in name.split("."))


@pytest.mark.parametrize("kind", RECORDED)
def test_a_name_becomes_public_on_purpose(names, kind):
    new = {name for name in set(names[kind]) - set(RECORDED[kind]) if not has_row(name)}
    assert new == ADDED.get(kind, set()), f"a new public name belongs in ADDED of {Path(__file__).name}"


def test_the_exceptions_are_still_exceptions(names):
    assert set(names) == set(RECORDED)
    assert all(set(gone).isdisjoint(names[kind]) for kind, gone in REMOVED.items())
