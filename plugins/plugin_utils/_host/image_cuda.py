# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which CUDA an inference image is built for, by its name: what its tag says, else the engine's rule in `_engines/`.

Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES, Engine

from .._version import version_key


class ImageCuda(NamedTuple):
    """The CUDA family of an image, and the image for older drivers, of the same release where it has one, else of the last that has."""

    major: int
    older: str | None


def image_cuda(image: str) -> ImageCuda | None:
    """The CUDA family of an engine's image by its name, or None when the name does not show it."""
    repository, _colon, tag = image.partition("@")[0].rpartition(":")
    named = re.search(r"(?:^|[-_.])cu(?:da)?(\d{2})\d*(?:$|[-_.])", tag)
    if named:
        return ImageCuda(int(named.group(1)), None)
    for engine in ENGINES.values():
        if engine.image_repository and repository.endswith(engine.image_repository):
            return _by_release(repository, tag, engine)
    return None


def _by_release(repository: str, tag: str, engine: Engine) -> ImageCuda:
    """A plain tag is CUDA 13 since a release; nightly and latest are newer than any release."""
    release = version_key(tag)
    if release and release < engine.cuda13_since:
        return ImageCuda(12, None)
    if not release:
        return ImageCuda(13, None)
    last = engine.cuda12_last
    return ImageCuda(13, f"{repository}:{last if last and release > version_key(last) else tag}{engine.cuda12_suffix}")
