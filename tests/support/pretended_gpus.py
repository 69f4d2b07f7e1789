# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose nvidia-smi reports GPUs that do not exist."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

REPORT = Path(__file__).parents[1] / "unit" / "fixtures" / "nvidia_smi" / "h100.xml"
H100 = "NVIDIA H100 80GB HBM3"


def python_with_gpus(folder: Path, gpus: Sequence[tuple[str, int]], first: int = 1) -> Path:
    """A Python whose processes find an nvidia-smi that reports GPUs of these names and mebibytes; the UUID of the first ends in `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "smi.xml").write_text(report_of(gpus, first))
    for name, line in {
        "nvidia-smi": f"exec cat {folder}/smi.xml",
        "python": f'PATH={folder}:$PATH exec {sys.executable} "$@"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return folder / "python"


def report_of(gpus: Sequence[tuple[str, int]], first: int = 1) -> str:
    """What `nvidia-smi -q -x` says of them."""
    head, gpu, foot = re.split(r"(\t<gpu id=.*</gpu>\n)", REPORT.read_text(), flags=re.DOTALL)
    many = [
        re.sub(r"<total>\d+ MiB</total>", f"<total>{mebibytes} MiB</total>", gpu, count=1)
        .replace(H100, name)
        .replace("000000000002", f"{at + first - 1:012}")
        .replace(":06:", f":{at:02}:")
        for at, (name, mebibytes) in enumerate(gpus, 1)
    ]
    return head + "".join(many) + foot


def uuid(number: int) -> str:
    """The UUID of a pretended GPU; the first has number 1."""
    return f"GPU-0b100000-0000-4000-8000-{number:012}"
