# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.gpu import (
    SmiError,
    _nvidia_pci_devices,
    classify_failure,
    missing_gpus,
    parse_fabric_manager_version,
    parse_kernel_module,
    parse_library_version,
    parse_smi_xml,
    probe_gpu,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import Output
from hypothesis import given
from hypothesis import strategies as st

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "nvidia_smi"
CAPTURES = sorted(FIXTURES.glob("*/smi*.xml"))


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text()


@pytest.mark.parametrize(
    ("name", "driver", "cuda", "count"),
    [
        ("a100.xml", "470.256.02", "11.4", 1),
        ("a100_mig.xml", "535.216.01", "12.2", 1),
        ("h100.xml", "580.95.05", "13.0", 1),
        ("h100_hgx_busy.xml", "580.95.05", "13.0", 2),
        ("b200.xml", "580.95.05", "13.0", 1),
        ("h200/smi.xml", "580.159.04", "13.0", 1),
        ("h200/smi_busy.xml", "580.159.04", "13.0", 1),
    ],
)
def test_every_schema_is_understood(name, driver, cuda, count):
    report = parse_smi_xml(fixture(name))
    assert (report["driver_version"], report["cuda_version"], len(report["cards"])) == (driver, cuda, count)


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        (
            "a100.xml",
            0,
            {
                "name": "NVIDIA A100-SXM4-40GB",
                "architecture": "Ampere",
                "uuid": "GPU-0a100000-0000-4000-8000-000000000000",
                "memory_total_mib": 40960,
                "memory_free_mib": 40348,
                "persistence_mode": False,
                "mig_mode": False,
                "mig_devices": [],
                "ecc_mode": True,
                "ecc_uncorrectable_volatile": 0,
                "power_draw_w": 44.6,
                "power_limit_w": 400.0,
                "clock_sm_max_mhz": 1410,
                "throttle_reasons": ["gpu_idle"],
                "fabric_state": None,
                "recovery_action": None,
                "compute_processes": [],
            },
        ),
        (
            "a100_mig.xml",
            0,
            {
                "mig_mode": True,
                "mig_mode_pending": True,
                "mig_devices": [
                    {"index": 0, "gpu_instance_id": 1, "compute_instance_id": 0, "memory_total_mib": 19968},
                    {"index": 1, "gpu_instance_id": 2, "compute_instance_id": 0, "memory_total_mib": 19968},
                ],
                "utilization_pct": None,
                "row_remap_pending": None,
            },
        ),
        (
            "h100_hgx_busy.xml",
            0,
            {
                "power_draw_w": 612.44,
                "power_limit_default_w": 700.0,
                "throttle_reasons": ["sw_power_cap"],
                "fabric_state": "Completed",
                "fabric_status": "Success",
                "row_remap_failure": False,
                "compute_processes": [
                    {"pid": 41822, "type": "C", "name": "VLLM::EngineCore", "memory_used_mib": 72300}
                ],
            },
        ),
        ("h100_hgx_busy.xml", 1, {"index": 1, "ecc_uncorrectable_volatile": 0, "ecc_uncorrectable_aggregate": 6}),
        ("b200.xml", 0, {"name": "NVIDIA B200", "memory_total_mib": 183359, "clock_memory_max_mhz": 3996}),
        ("h200/smi.xml", 0, {"name": "NVIDIA H200", "memory_total_mib": 143771, "throttle_reasons": ["gpu_idle"]}),
        (  # a large matrix product in a loop: the GPU slows down to keep its power limit
            "h200/smi_busy.xml",
            0,
            {
                "power_draw_w": 668.49,
                "clock_sm_mhz": 1455,
                "temperature_c": 61,
                "utilization_pct": 100,
                "throttle_reasons": ["sw_power_cap"],
                "compute_processes": [{"pid": 451, "type": "C", "name": "python3", "memory_used_mib": 874}],
            },
        ),
    ],
)
def test_figures_of_a_gpu(name, index, expected):
    gpu = parse_smi_xml(fixture(name))["cards"][index]
    assert {key: gpu[key] for key in expected} == expected


def test_every_gpu_has_the_same_keys():
    names = ["a100.xml", "a100_mig.xml", "h100.xml", "h100_hgx_busy.xml", "b200.xml", "h200/smi.xml"]
    assert len({tuple(gpu) for name in names for gpu in parse_smi_xml(fixture(name))["cards"]}) == 1


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("<gpu_recovery_action>None</gpu_recovery_action>", None),
        ("<gpu_recovery_action>Reboot</gpu_recovery_action>", "Reboot"),
        ("<gpu_reset_status><reset_required>Yes</reset_required></gpu_reset_status>", "Reset"),
        ("", None),
    ],
)
def test_what_the_driver_asks_for_after_an_error(words, state):
    report = parse_smi_xml(f"<nvidia_smi_log><gpu>{words}</gpu></nvidia_smi_log>")
    assert report["cards"][0]["recovery_action"] == state


@pytest.mark.parametrize(
    ("words", "unreadable"),
    [
        ("<gpu_recovery_action>Unknown</gpu_recovery_action>", ["recovery action"]),
        ("<gpu_recovery_action>[Unknown Error]</gpu_recovery_action>", ["recovery action"]),
        ("<gpu_recovery_action>None</gpu_recovery_action>", []),
        ("<gpu_power_readings><instant_power_draw>ERR!</instant_power_draw></gpu_power_readings>", ["power draw"]),
        ("<temperature><gpu_temp>[GPU is lost]</gpu_temp></temperature>", ["temperature"]),
        ("<fb_memory_usage><total>Unknown Error</total></fb_memory_usage>", ["memory"]),
        ("<fb_memory_usage><total>N/A</total></fb_memory_usage>", []),
        ("", []),
    ],
)
def test_a_gpu_that_does_not_answer_is_not_well_and_asks_for_nothing(words, unreadable):
    [gpu] = parse_smi_xml(f"<nvidia_smi_log><gpu>{words}</gpu></nvidia_smi_log>")["cards"]
    assert (gpu["unreadable"], gpu["recovery_action"]) == (unreadable, None)


@pytest.mark.parametrize("words", ["N/A", "Not Supported", "Requested functionality has been deprecated", ""])
def test_what_a_gpu_does_not_report_is_none(words):
    gpu = f"<compute_mode>{words}</compute_mode><fabric><state>{words}</state></fabric>"
    report = parse_smi_xml(f"<nvidia_smi_log><gpu>{gpu}</gpu></nvidia_smi_log>")
    assert report["cards"][0]["compute_mode"] is None and report["cards"][0]["fabric_state"] is None


@pytest.mark.parametrize(
    "text", ["", "No devices were found", "<nvidia_smi_log><gpu>", "<nvidia_smi_log>&</nvidia_smi_log>"]
)
def test_what_is_no_report(text):
    with pytest.raises(SmiError):
        parse_smi_xml(text)


@given(st.text(max_size=200))
def test_any_figure_is_a_number_or_none(value):
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = f"<nvidia_smi_log><gpu><fb_memory_usage><total>{escaped}</total></fb_memory_usage></gpu></nvidia_smi_log>"
    try:
        total = parse_smi_xml(text)["cards"][0]["memory_total_mib"]
    except SmiError:  # characters that XML cannot hold
        return
    assert total is None or isinstance(total, int)


@pytest.mark.parametrize(
    ("rc", "name", "state"),
    [
        (18, "mismatch.txt", "driver_library_mismatch"),
        (9, "driver_not_loaded.txt", "driver_not_loaded"),
        (6, "no_device.txt", "no_device"),
        (15, "card_lost.txt", "failed"),
        (None, "no_device.txt", "timeout"),
    ],
)
def test_failures_are_distinguished(rc, name, state):
    assert classify_failure(Output(rc, fixture(name), "")) == state


@pytest.mark.parametrize(
    ("text", "version"),
    [("NVML library version: 580.95", "580.95"), ("NVML library version: 535.216.01\n", "535.216.01"), ("", None)],
)
def test_library_version(text, version):
    assert parse_library_version(text) == version


@pytest.mark.parametrize(
    ("version", "banner", "expected"),
    [
        ("580.95.05\n", "proc_version_open.txt", {"loaded": True, "version": "580.95.05", "flavour": "open"}),
        (None, "proc_version_proprietary.txt", {"loaded": True, "version": "535.216.01", "flavour": "proprietary"}),
        ("580.95.05\n", None, {"loaded": True, "version": "580.95.05", "flavour": None}),
        (None, None, {"loaded": False, "version": None, "flavour": None}),
    ],
)
def test_kernel_module(version, banner, expected):
    assert parse_kernel_module(version, fixture(banner) if banner else None) == expected


@pytest.mark.parametrize(
    ("text", "version"), [("Fabric Manager version is : 580.95.05", "580.95.05"), ("no such thing", None)]
)
def test_fabric_manager_version(text, version):
    assert parse_fabric_manager_version(text) == version


def test_a_host_without_a_gpu(fake_host):
    gpu = probe_gpu(fake_host)
    assert (gpu["state"], gpu["count"], gpu["cards"], gpu["pci_count"]) == ("absent", 0, [], 0)


def test_a_gpu_without_a_driver(fake_host):
    fake_host.file("/sys/bus/pci/devices/0000:06:00.0/vendor", "0x10de\n")
    fake_host.file("/sys/bus/pci/devices/0000:06:00.0/class", "0x030200\n")
    fake_host.file("/sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n")
    gpu = probe_gpu(fake_host)
    assert (gpu["state"], gpu["pci_count"]) == ("driver_not_loaded", 1)
    assert "not installed" in gpu["message"]


def test_a_healthy_host_behind_nvswitches(fake_host):
    fake_host.program_says("nvidia-smi", fixture("h100_hgx_busy.xml"))
    fake_host.program_says("nv-fabricmanager", "Fabric Manager version is : 580.95.05\n")
    fake_host.program_says("systemctl", "active\n")
    fake_host.file("/sys/module/nvidia/version", "580.95.05\n")
    fake_host.file("/proc/driver/nvidia/version", fixture("proc_version_open.txt"))
    for slot in ("05", "06"):
        fake_host.file(f"/sys/bus/pci/devices/0000:{slot}:00.0/vendor", "0x10de\n")
        fake_host.file(f"/sys/bus/pci/devices/0000:{slot}:00.0/class", "0x068000\n")
    gpu = probe_gpu(fake_host)
    assert (gpu["state"], gpu["count"], gpu["nvswitch_count"]) == ("present", 2, 2)
    assert gpu["library_version"] == gpu["kernel_module"]["version"] == "580.95.05"
    assert gpu["fabric_manager"] == {"installed": True, "active": True, "version": "580.95.05"}


def test_gpus_that_the_driver_does_not_offer(fake_host):
    offered = "0000:61:00.0"  # 00000000:61:00.0 in nvidia-smi's words
    for address, driver in ((offered, "nvidia"), ("0000:5e:00.0", "vfio-pci"), ("0000:5f:00.0", None)):
        folder = f"/sys/bus/pci/devices/{address}"
        fake_host.file(f"{folder}/vendor", "0x10de\n")
        fake_host.file(f"{folder}/class", "0x030200\n")
        if driver:
            fake_host.path(f"{folder}/driver").symlink_to(f"../../../../bus/pci/drivers/{driver}")
    function = "/sys/bus/pci/devices/0000:61:00.4"  # a part of the GPU, for a virtual machine
    fake_host.file(f"{function}/vendor", "0x10de\n")
    fake_host.file(f"{function}/class", "0x030200\n")
    fake_host.path(f"{function}/physfn").symlink_to(f"../{offered}")
    found = missing_gpus(_nvidia_pci_devices(fake_host), [{"pci_bus_id": "00000000:61:00.0"}])
    assert found == [
        {"pci_bus_id": "0000:5e:00.0", "driver": "vfio-pci"},
        {"pci_bus_id": "0000:5f:00.0", "driver": None},
    ]
    assert [probe_gpu(fake_host)[key] for key in ("pci_count", "state")] == [3, "driver_not_loaded"]


def test_a_driver_upgraded_under_its_module(fake_host):
    fake_host.program_says("nvidia-smi", fixture("mismatch.txt"), rc=18)
    fake_host.file("/sys/module/nvidia/version", "580.65.06\n")
    gpu = probe_gpu(fake_host)
    assert (gpu["state"], gpu["library_version"], gpu["kernel_module"]["version"]) == (
        "driver_library_mismatch",
        "580.95",
        "580.65.06",
    )


@pytest.mark.parametrize(("text", "state"), [("<nvidia_smi_log></nvidia_smi_log>", "no_device"), ("hello", "failed")])
def test_an_answer_without_gpus(fake_host, text, state):
    fake_host.program_says("nvidia-smi", text)
    assert probe_gpu(fake_host)["state"] == state


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_real_capture(fake_host, capture):
    fake_host.program_says("nvidia-smi", capture.read_text())
    fake_host.file("/proc/driver/nvidia/version", (capture.parent / "proc_version.txt").read_text())
    probed = probe_gpu(fake_host)
    assert probed["state"] == "present"
    assert probed["driver_version"] == probed["kernel_module"]["version"]
    assert probed["kernel_module"]["flavour"] in ("open", "proprietary")
    for gpu in probed["cards"]:
        assert gpu["uuid"].startswith("GPU-")
        assert gpu["memory_total_mib"] > gpu["memory_used_mib"] >= 0
        assert gpu["power_limit_w"] and gpu["clock_sm_max_mhz"] and gpu["temperature_c"]
