# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CUDA an inference image is built for, and which driver that takes.

PRIVATE to the collection. Pure. Sources: vLLM's tag rule (up to 0.19 the suffix -cu130 is CUDA 13; from 0.20 the plain
tag is CUDA 13 and -cu129 is CUDA 12), SGLang's release workflow, and NVIDIA's CUDA compatibility table.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .._version import version_key

DRIVER_FLOORS = {11: "450.80", 12: "525.60", 13: "580.0"}
BLACKWELL_FLOOR = "570.0"  # CUDA 12.8 brought Blackwell

_VLLM_CUDA13_SINCE = (0, 20)
_SGLANG_CUDA13_SINCE = (0, 5, 23)


class ImageCuda(NamedTuple):
    """What an image needs, and the same release for older drivers where there is one."""

    major: int
    older: str | None


def image_cuda(image: str) -> ImageCuda | None:
    """The CUDA family of a vLLM or SGLang image by its name, or None when the name does not tell."""
    repository, _colon, tag = image.partition("@")[0].rpartition(":")
    named = re.search(r"(?:^|[-_.])cu(?:da)?(\d{2})\d*(?:$|[-_.])", tag)
    if named:
        return ImageCuda(int(named.group(1)), None)
    if repository.endswith("vllm/vllm-openai"):
        return _by_release(repository, tag, _VLLM_CUDA13_SINCE)
    if repository.endswith("lmsysorg/sglang"):
        return _by_release(repository, tag, _SGLANG_CUDA13_SINCE)
    return None


def _by_release(repository: str, tag: str, since: tuple[int, ...]) -> ImageCuda:
    """A plain tag is CUDA 13 since a release; nightly and latest are newer than any release."""
    release = version_key(tag)
    if release and release < since:
        return ImageCuda(12, None)
    return ImageCuda(13, f"{repository}:{tag}-cu129" if release else None)
