# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.gpu import parse_smi_xml
from ansible_collections.llmfleet.serving.plugins.modules import host_info

from tests.support.core import patch_module_args


def run(module, capsys, **arguments):
    with patch_module_args(arguments), pytest.raises(SystemExit) as stop:
        module.main()
    assert stop.value.code == 0
    return json.loads(capsys.readouterr().out)


def documented(section, value, path):
    """Every key that came back is documented, and the other way round."""
    assert set(value) == set(section), path
    for key, entry in section.items():
        inner = entry.get("contains")
        samples = value[key] if isinstance(value[key], list) else [value[key]]
        for sample in samples if inner else []:
            documented(inner, sample, f"{path}.{key}")


def test_a_gpu_is_documented():
    report = Path(__file__).resolve().parents[2] / "fixtures" / "nvidia_smi" / "a100_mig.xml"
    sections = yaml.safe_load(host_info.RETURN)["host"]["contains"]
    for gpu in parse_smi_xml(report.read_text())["cards"]:
        documented(sections["gpu"]["contains"]["cards"]["contains"], gpu, "cards")


def test_host_info_returns_what_it_documents(capsys, tmp_path):
    result = run(host_info, capsys, ports=[1], paths=[str(tmp_path)], url="http://127.0.0.1:1/")
    sections = yaml.safe_load(host_info.RETURN)["host"]["contains"]
    assert not result["changed"]
    documented(sections, result["host"], "host")


def test_only_the_sections_that_are_asked_for(capsys):
    assert list(run(host_info, capsys, sections=["memory"])["host"]) == ["memory"]


def test_an_address_is_shown_without_its_password(capsys):
    assert "c4nary" not in json.dumps(
        run(host_info, capsys, sections=["network"], url="http://me:c4nary-Value@127.0.0.1:1/")
    )
