# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from tools.metric_docs import BEGIN, END, MODULE, description, main, renewed, section


def test_the_module_is_up_to_date() -> None:
    assert main(["--check"]) == 0, "type ./run fix, or python tools/metric_docs.py"


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    assert renewed(f"before\n{BEGIN}\nold\n{END}\nafter\n") == f"before\n{section()}\nafter\n"


@pytest.mark.parametrize("source", ["neither", f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n"])
def test_a_module_without_both_markers_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="markers"):
        renewed(source)


def test_check_writes_nothing_and_without_it_the_file_is_corrected(tmp_path: Path) -> None:
    module, whole = tmp_path / "bench_serve.py", MODULE.read_text()
    module.write_text(whole.replace("Requests that did not.", "Something else."))
    changed = module.read_text()
    assert main(["--check"], module) == 1
    assert module.read_text() == changed
    assert main([], module) == 0
    assert module.read_text() == whole


def test_a_long_meaning_takes_several_lines() -> None:
    lines = description("many words " * 20).splitlines()
    assert lines[0].endswith("description:")
    assert lines[1].startswith(" " * 12 + "- many")
    assert lines[2].startswith(" " * 14 + "many") or lines[2].startswith(" " * 14 + "words")
    assert max(map(len, lines)) <= 140
