# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.host import (
    os_family,
    parse_meminfo,
    parse_os_release,
    probe_disk,
    probe_memory,
    probe_os,
)
from hypothesis import given
from hypothesis import strategies as st

DEBIAN = (
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n# comment\n\n'
)


def test_os_release():
    values = parse_os_release(DEBIAN)
    assert (values["ID"], values["VERSION_ID"], values["VERSION_CODENAME"]) == ("debian", "12", "bookworm")


@given(st.text(max_size=300))
def test_os_release_takes_any_text(text):
    assert all(isinstance(value, str) for value in parse_os_release(text).values())


@pytest.mark.parametrize(
    ("release", "family"),
    [
        ({"ID": "debian"}, "debian"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "debian"),
        ({"ID": "pop", "ID_LIKE": "ubuntu debian"}, "debian"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "rhel"),
        ({"ID": "rhel"}, "rhel"),
        ({"ID": "arch"}, None),
        ({}, None),
    ],
)
def test_family(release, family):
    assert os_family(release) == family


def test_meminfo():
    text = "MemTotal:       24683520 kB\nMemAvailable:   24000000 kB\nHugePages_Total:       0\n"
    assert parse_meminfo(text) == {"MemTotal": 24105, "MemAvailable": 23437}


def test_an_empty_host(fake_host):
    assert probe_os(fake_host)["distribution"] is None
    assert probe_memory(fake_host) == {"total_mib": None, "available_mib": None}


def test_a_debian_host(fake_host):
    fake_host.file("/etc/os-release", DEBIAN)
    fake_host.path("/run/systemd/system").mkdir(parents=True)
    probed = probe_os(fake_host)
    assert (probed["distribution"], probed["family"], probed["service_manager"]) == ("debian", "debian", "systemd")


def test_a_disk_is_measured_at_the_nearest_folder_that_exists(fake_host):
    fake_host.file("/var/lib/x")
    disk = probe_disk(fake_host, "/var/lib/docker/overlay2")
    assert disk["measured_path"] == "/var/lib"
    assert disk["changed_at_s"] == fake_host.path("/var/lib").stat().st_mtime
    assert disk["total_mib"] >= disk["free_mib"] >= 0
