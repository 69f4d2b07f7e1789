# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.choices import KINDS, ROOT, List, listed, main, renewed


def test_every_list_of_this_checkout_is_current() -> None:
    assert main(["--check"]) == 0, "type ./run fix, or python tools/choices.py"


@pytest.mark.parametrize(
    ("old", "names", "entry", "by_letter", "new"),
    [
        ("vllm, sglang", ["sglang", "vllm"], "{}", False, "vllm, sglang"),
        ("vllm, sglang", ["sglang", "vllm"], "{}", True, "sglang, vllm"),
        ("vllm, sglang", ["sglang", "trt", "vllm"], "{}", False, "vllm, sglang, trt"),
        ("vllm, sglang", ["sglang"], "{}", False, "sglang"),
        ("\n    a.ENGINE,\n    b.ENGINE,\n", ["a", "b"], "{}.ENGINE", False, "\n    a.ENGINE,\n    b.ENGINE,\n"),
        ("\n    a.ENGINE,\n    b.ENGINE,\n", ["a", "b", "c"], "{}.ENGINE", False, "a.ENGINE, b.ENGINE, c.ENGINE"),
        ('"a": a.make', ["a", "b"], '"{0}": {0}.make', False, '"a": a.make, "b": b.make'),
    ],
)
def test_a_list_keeps_its_order(old: str, names: list[str], entry: str, by_letter: bool, new: str) -> None:
    assert listed(old, names, entry, by_letter) == new


@pytest.mark.parametrize("text", ["", "x = [a]\nx = [b]\n"])
def test_a_file_without_its_one_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected one"):
        renewed(text, List("file", r"x = \[(.*)\]"), ["a"])


def test_a_new_file_enters_every_list(tmp_path: Path) -> None:
    for kind in KINDS:
        shutil.copytree(ROOT / kind.folder, tmp_path / kind.folder)
        for place in kind.lists:
            (tmp_path / place.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / place.path, tmp_path / place.path)
        (tmp_path / kind.folder / "planted.py").touch()
    assert main(["--check"], tmp_path) == 1
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    for kind in KINDS:
        assert all("planted" in (tmp_path / place.path).read_text() for place in kind.lists)
