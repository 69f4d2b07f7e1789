# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.toolkit import (
    missing_links,
    parse_cdi_list,
    parse_cdi_spec,
    parse_ctk_version,
    probe_toolkit,
)

CDI_LIST = """time="2026-11-20T10:00:00Z" level=info msg="Found 3 CDI devices"
nvidia.com/gpu=0
nvidia.com/gpu=GPU-0b100000-0000-4000-8000-000000000002
nvidia.com/gpu=all
"""
SPEC = """cdiVersion: 0.5.0
containerEdits:
  mounts:
  - containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05
    hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05
kind: nvidia.com/gpu
"""


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVIDIA Container Toolkit CLI version 1.20.0\ncommit: 1\n", "1.20.0"),
        ("nvidia-ctk version v1.13.5", "1.13.5"),
        ("", None),
    ],
)
def test_version(text, version):
    assert parse_ctk_version(text) == version


def test_cdi_list():
    assert parse_cdi_list(CDI_LIST) == [
        "nvidia.com/gpu=0",
        "nvidia.com/gpu=GPU-0b100000-0000-4000-8000-000000000002",
        "nvidia.com/gpu=all",
    ]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (SPEC, {"nvidia": True, "cdi_version": "0.5.0", "driver_versions": ["580.95.05"]}),
        ("kind: vendor.com/net\n", {"nvidia": False, "cdi_version": None, "driver_versions": []}),
        ("", {"nvidia": False, "cdi_version": None, "driver_versions": []}),
    ],
)
def test_cdi_spec(text, spec):
    assert parse_cdi_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("---\ncdiVersion: 0.7.0\nkind: nvidia.com/gpu\n", "0.7.0"),
        ('cdiVersion: "0.7.0" # by a toolkit\n', "0.7.0"),
        ("containerEdits: {}\ncdiVersion: '1.0.0'\n", "1.0.0"),
        ('{"cdiVersion":"0.7.0","kind":"nvidia.com/gpu"}', "0.7.0"),
        ('{\n  "kind": "nvidia.com/gpu", "cdiVersion" : "v0.6"}', "0.6"),
        ("# cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n", None),
        ("cdiVersion: $(reboot)\n", None),
        ("cdiVersion: " + "9" * 500 + ".1\n", None),
        ("notcdiVersion: 0.5.0\n", None),
    ],
)
def test_the_version_of_a_specification(text, version):
    assert parse_cdi_spec(text)["cdi_version"] == version


def test_devices_without_a_link():
    devices = {"nvidia0": os.makedev(195, 0), "nvidiactl": os.makedev(195, 255), "nvidia-uvm": os.makedev(509, 0)}
    assert missing_links(devices, ["195:0", "1:3", "nonsense"]) == ["nvidia-uvm", "nvidiactl"]
    assert missing_links({}, []) == []


def test_a_host_without_a_toolkit(fake_host):
    probed = probe_toolkit(fake_host)
    assert (probed["installed"], probed["version"], probed["cdi_devices"], probed["cdi_specs"]) == (False, None, [], [])


def test_a_host_with_a_toolkit(fake_host):
    fake_host.program_says("nvidia-ctk", "NVIDIA Container Toolkit CLI version 1.20.0\n" + CDI_LIST)
    fake_host.program_says("nvidia-container-runtime-hook")
    fake_host.file("/etc/cdi/nvidia.yaml", SPEC)
    fake_host.file("/etc/cdi/net.yaml", "kind: vendor.com/net\n")
    fake_host.file("/etc/cdi/nvidia.yaml.bak", SPEC)  # no engine reads it
    fake_host.file("/dev/nvidia0", "a file under a device's name")
    fake_host.path("/dev/nvidia1").symlink_to("nowhere")
    probed = probe_toolkit(fake_host)
    assert probed["installed"] and probed["version"] == "1.20.0"
    assert probed["hook_path"].endswith("nvidia-container-runtime-hook") and probed["hook_changed_at_s"] > 0
    [spec] = probed["cdi_specs"]
    assert (spec["path"], spec["cdi_version"], spec["driver_versions"]) == (
        "/etc/cdi/nvidia.yaml",
        "0.5.0",
        ["580.95.05"],
    )
    assert probed["device_links_missing"] == []
    assert spec["changed_at_s"] > 0
    assert "nvidia.com/gpu=all" in probed["cdi_devices"]
