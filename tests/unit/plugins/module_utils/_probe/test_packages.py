# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.packages import (
    WATCHED,
    parse_dpkg_query,
    parse_proc_locks,
    parse_rpm_query,
    parse_versionlock,
    probe_packages,
)
from hypothesis import given
from hypothesis import strategies as st

DPKG = """hold installed docker.io 26.1.5+dfsg1-9+b9
install installed nvidia-container-toolkit 1.20.0-1
deinstall config-files docker-ce 5:28.2.2-1
"""


def test_dpkg():
    versions = {"docker.io": "26.1.5+dfsg1-9+b9", "nvidia-container-toolkit": "1.20.0-1"}
    assert parse_dpkg_query(DPKG) == (versions, ["docker.io"])


def test_rpm():
    text = "docker-ce 28.2.2-1.el9\npackage docker.io is not installed\n"
    assert parse_rpm_query(text) == {"docker-ce": "28.2.2-1.el9"}


def test_versionlock():
    text = "# Added lock on Sat Nov 1\ndocker-ce-3:28.2.2-1.el9.*\nnvidia-container-toolkit-base-0:1.20.0-1.*\nvim-2:9.0-1.*\n"
    assert parse_versionlock(text) == ["docker-ce", "nvidia-container-toolkit-base"]


def test_every_package_that_the_roles_install_hold_or_replace_is_watched():
    roles = Path(__file__).resolve().parents[5] / "roles"
    engine = yaml.safe_load((roles / "docker_engine/vars/main.yml").read_text())
    named = set(
        yaml.safe_load((roles / "nvidia_container_toolkit/vars/main.yml").read_text())[
            "__nvidia_container_toolkit_packages"
        ]
    )
    named.update(engine["__docker_engine_packages"]["docker"])
    for names in (
        *engine["__docker_engine_distribution_packages"].values(),
        *engine["__docker_engine_conflicts"].values(),
    ):
        named.update(names)
    assert named - set(WATCHED) == set()


@pytest.mark.parametrize(
    ("text", "holders"),
    [
        ("1: POSIX  ADVISORY  WRITE 912 fe:00:1572 0 EOF\n", {1572: 912}),
        ("1: -> POSIX  ADVISORY  WRITE 912 fe:00:1572 0 EOF\n", {}),
        ("1: OFDLCK ADVISORY  WRITE -1 fe:00:15 0 EOF\n", {15: -1}),
        ("", {}),
    ],
)
def test_locks(text, holders):
    assert parse_proc_locks(text) == holders


@given(st.text(max_size=200))
def test_any_table_is_taken(text):
    parse_proc_locks(text)
    parse_dpkg_query(text)
    parse_rpm_query(text)


def test_a_host_whose_package_manager_is_busy(fake_host):
    fake_host.program_says("dpkg-query", DPKG, rc=1)
    fake_host.file("/var/lib/dpkg/lock-frontend")
    inode = fake_host.path("/var/lib/dpkg/lock-frontend").stat().st_ino
    fake_host.file("/proc/locks", f"1: POSIX  ADVISORY  WRITE 912 fe:00:{inode} 0 EOF\n")
    fake_host.file("/proc/912/cmdline", "apt-get\0upgrade\0")
    fake_host.file("/run/reboot-required")
    probed = probe_packages(fake_host)
    assert (probed["manager"], probed["held"], probed["reboot_required"]) == ("apt", ["docker.io"], True)
    assert probed["lock"] == {"held": True, "pid": 912, "command": "apt-get upgrade"}
