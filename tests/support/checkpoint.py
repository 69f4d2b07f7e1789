# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small checkpoint that the real engine serves in the tests; made once per image, inside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.progress import run_step, say

_SCRIPT = Path(__file__).parent / "vllm_image" / "make_checkpoint.py"


def ensure_checkpoint(image: str, folder: Path) -> Path:
    """Give a folder with the checkpoint below `folder`, making it where this image and script have not made it yet."""
    digest = hashlib.sha256(image.encode() + _SCRIPT.read_bytes()).hexdigest()[:12]
    checkpoint = folder / f"checkpoint-{digest}"
    if (checkpoint / "config.json").exists():
        say(f"checkpoint {checkpoint} is there")
        return checkpoint
    checkpoint.mkdir(parents=True, exist_ok=True)
    mounts = ["--volume", f"{_SCRIPT}:/make_checkpoint.py:ro", "--volume", f"{checkpoint}:/checkpoint"]
    command = ["docker", "run", "--rm", "--entrypoint", "python", *mounts, image, "/make_checkpoint.py", "/checkpoint"]
    run_step("make the checkpoint", command, folder / "checkpoint.log", timeout_s=300)
    return checkpoint
