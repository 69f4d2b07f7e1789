# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System


def test_absence_is_no_error(tmp_path):
    system = System(root=str(tmp_path), folders=[str(tmp_path)])
    assert system.read("/etc/none") is None
    assert system.listing("/none") == []
    assert system.link("/none") is None
    assert system.program("none") is None
    assert system.run(["none"]) is None


def test_a_program_is_run_without_a_shell_and_in_the_c_locale(fake_host):
    output = fake_host.run(["sh", "-c", 'echo "$LC_ALL $1"; echo no >&2; exit 3', "sh", "$(id)"])
    assert output == (3, "C $(id)\n", "no\n")
    assert output.text == "C $(id)\nno"


def test_a_program_that_hangs_is_given_up(fake_host):
    output = fake_host.run(["sleep", "60"], timeout_s=0.1)
    assert output.rc is None
    assert "sleep" in output.text


def test_a_file_that_is_no_program(fake_host):
    broken = fake_host.bin / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    assert fake_host.run(["broken"]).rc == 126
