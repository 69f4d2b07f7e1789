# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.gpu_checks import GPU_CHECKS
from preflight_hosts import FOREIGN, HOST, OURS, OWN, THEIRS, WANT, changed, missing, process


@pytest.mark.parametrize("name", GPU_CHECKS)
def test_a_right_host_passes(name):
    assert GPU_CHECKS[name](HOST, WANT)["status"] in ("pass", "skip")


FAILING = [
    ("gpu_present", [("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0)], "gpu_preflight_gpu_required"),
    ("gpu_present", [("gpu.state", "driver_library_mismatch"), ("gpu.cards", []), ("gpu.count", 0)], "reboot"),
    ("gpu_present", [("gpu.state", "driver_not_loaded"), ("gpu.cards", []), ("gpu.count", 0)], "install the driver"),
    ("gpu_present", [("gpu.state", "timeout"), ("gpu.cards", []), ("gpu.count", 0)], "reboot"),
    ("gpu_present", [("gpu.state", "failed"), ("gpu.cards", []), ("gpu.count", 0)], "nvidia-smi"),
    ("gpu_present", [("gpu.state", "no_device"), ("gpu.cards", []), ("gpu.count", 0)], "nvrm"),
    ("gpu_present", [("gpu.missing", [missing("nvidia")])], "nvrm"),
    ("gpu_present", [("gpu.missing", [missing(None)])], "gpu_preflight_severities: {gpu_present: warning}"),
    ("gpu_present", [("gpu.missing", [missing("nouveau")])], "nvrm"),
    ("gpu_present", [("gpu.missing", [missing("vfio-pci"), missing("nvidia")])], "reboot"),
    (
        "gpu_present",
        [
            ("gpu.state", "no_device"),
            ("gpu.cards", []),
            ("gpu.missing", [missing("vfio-pci"), missing("nvgrace_gpu_vfio_pci")]),
        ],
        "take the host out of its GPU group",
    ),
    ("gpu_healthy", [("gpu.cards.0.recovery_action", "Reset")], "reset"),
    ("gpu_healthy", [("gpu.cards.0.unreadable", ["recovery action"])], "reboot"),
    ("gpu_healthy", [("gpu.cards.0.ecc_uncorrectable_volatile", 2)], "reset"),
    ("gpu_healthy", [("gpu.cards.0.row_remap_failure", True)], "exchanged"),
    ("row_remap", [("gpu.cards.0.row_remap_pending", True)], "reset"),
    ("driver_version", [("gpu.driver_version", "535.216.01")], "v0.32.0-cu129"),
    ("driver_version", [("gpu.driver_version", "470.256.02")], "install driver 580"),
    ("driver_module", [("gpu.kernel_module.version", "575.57.08")], "reboot"),
    (
        "driver_module",
        [("gpu.cards.0.architecture", "Blackwell"), ("gpu.kernel_module.flavour", "proprietary")],
        "open flavour",
    ),
    ("mig", [("gpu.cards.0.mig_mode", True)], "nvidia-smi -mig 0"),
    ("mig_pending", [("gpu.cards.0.mig_mode_pending", True)], "reset"),
    ("compute_processes", [("gpu.cards.0.compute_processes", [process()])], "stop it"),
    (
        "compute_processes",
        [("gpu.cards.0.compute_processes", [process(container_id=THEIRS)]), ("docker.containers", [FOREIGN])],
        "stop it",
    ),
    ("fabric_manager", [("gpu.nvswitch_count", 4)], "580.95.05"),
    ("fabric_manager", [("gpu.cards.0.fabric_state", "In Progress")], "580.95.05"),
    (
        "fabric_manager",
        [("gpu.cards.0.fabric_state", "Completed"), ("gpu.cards.0.fabric_status", "Insufficient Resources")],
        "580.95.05",
    ),
    (
        "fabric_manager",
        [
            ("gpu.cards.0.fabric_state", "Completed"),
            ("gpu.fabric_manager", {"installed": True, "active": True, "version": "575.57.08"}),
        ],
        "580.95.05",
    ),
    ("persistence_mode", [("gpu.cards.0.persistence_mode", False)], "nvidia-persistenced"),
    ("power_limit", [("gpu.cards.0.power_limit_w", 500.0)], "nvidia-smi -pl"),
    ("cdi_specification", [("docker.version", "26.0.2")], "docker_engine_version_min: '26.1'"),
    ("cdi_specification", [("docker.version", "25.0.5")], "nvidia_container_toolkit_version: 1.18.2"),
    ("cdi_specification", [("toolkit.cdi_specs.0.cdi_version", "1.1.0")], "docker_engine_version_min: '29.2'"),
    ("cdi_specification", [("toolkit.cdi_specs.0.cdi_version", "1.2.0")], "write it in a lower version; else GPUs"),
    ("daemon_reload", [("docker.version", "20.10.24"), ("docker.cdi_spec_dirs", [])], "native.cgroupdriver=cgroupfs"),
    ("daemon_reload", [("docker.version", "26.0.2")], "nvidia_container_toolkit_access: auto"),
    ("daemon_reload", [("toolkit.cdi_devices", ["nvidia.com/gpu=all"])], "needs a restart"),
    (
        "daemon_reload",
        [("docker.runc_version", "1.1.5"), ("toolkit.device_links_missing", ["nvidia0"])],
        "upgrade runc",
    ),
]


@pytest.mark.parametrize(
    ("name", "changes", "remedy"), FAILING, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_failure_has_its_remedy(name, changes, remedy):
    check = GPU_CHECKS[name](changed(HOST, *changes), WANT)
    assert check["status"] == "fail"
    assert check["found"] and check["needed"]
    assert remedy in check["remedy"]
    assert "None" not in check["remedy"]


def test_every_check_has_a_failure():
    by_the_want = {"gpu_memory", "gpu_choice", "gpu_matches_profile"}  # in test_preflight: not by the host alone
    assert {name for name, _changes, _remedy in FAILING} == set(GPU_CHECKS) - by_the_want


PASSING = [
    ("compute_processes", [("gpu.cards.0.compute_processes", [process(session_id=70)]), ("processes.0.pid", 70)], {}),
    (
        "compute_processes",
        [("gpu.cards.0.compute_processes", [process(container_id=OURS)]), ("docker.containers", [OWN])],
        {},
    ),
    ("driver_version", [("gpu.driver_version", "535.216.01")], {"image": "vllm/vllm-openai:v0.32.0-cu129"}),
    ("driver_version", [("gpu.driver_version", "535.216.01")], {"image": ""}),
    ("gpu_present", [("gpu.pci_count", 2), ("gpu.missing", [missing("vfio-pci")])], {}),
    ("gpu_present", [("gpu.missing", [missing("pci-stub")])], {}),
    (
        "fabric_manager",
        [
            ("gpu.cards.0.fabric_state", "Completed"),
            ("gpu.cards.0.fabric_status", "Success"),
            ("gpu.nvswitch_count", 4),
            ("gpu.fabric_manager", {"installed": True, "active": True, "version": "580.95.05"}),
        ],
        {},
    ),
]


@pytest.mark.parametrize(("name", "changes", "want"), PASSING)
def test_what_is_right_all_the_same(name, changes, want):
    assert GPU_CHECKS[name](changed(HOST, *changes), {**WANT, **want})["status"] == "pass"


@pytest.mark.parametrize(
    ("name", "changes", "want"),
    [
        ("gpu_matches_profile", [], {"gpu": {**WANT["gpu"], "profile": {}}}),
        ("mig", [("gpu.cards.0.mig_mode", True)], {"gpu": {**WANT["gpu"], "mig": True}}),
        ("driver_module", [("gpu.kernel_module.version", None)], {}),
        ("cdi_specification", [("docker.cdi_spec_dirs", []), ("docker.version", "28.5.2")], {}),
        ("cdi_specification", [("toolkit.cdi_specs", [])], {}),
        ("driver_version", [("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0)], {}),
        (
            "compute_processes",
            [("gpu.cards.0.compute_processes", [process()])],
            {"gpu": {**WANT["gpu"], "required": False}},
        ),
        (
            "gpu_present",
            [("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0)],
            {"gpu": {**WANT["gpu"], "required": False}},
        ),
    ],
)
def test_what_cannot_be_judged_is_skipped(name, changes, want):
    check = GPU_CHECKS[name](changed(HOST, *changes), {**WANT, **want})
    assert (check["status"], check["remedy"]) == ("skip", "")


def test_a_server_that_takes_no_cdi_loses_its_gpus_where_others_keep_them():
    want = {**WANT, "gpu": {**WANT["gpu"], "access": "runtime"}}
    assert [GPU_CHECKS["daemon_reload"](HOST, each)["status"] for each in (WANT, want)] == ["pass", "fail"]


def test_blackwell_needs_its_own_driver():
    host = changed(HOST, ("gpu.cards.0.architecture", "Blackwell"), ("gpu.driver_version", "550.54.15"))
    check = GPU_CHECKS["driver_version"](host, {**WANT, "image": "vllm/vllm-openai:v0.32.0-cu129"})
    assert check["status"] == "fail" and "Blackwell" in check["needed"]
