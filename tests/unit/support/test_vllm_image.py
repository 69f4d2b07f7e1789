# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tests.support.vllm_image import AptSource, NoMirror, image_tag, parse_indextargets, versions

LISTING = """http://mirror.example.org/debian/ bookworm main
http://mirror.example.org/debian/ bookworm contrib
http://mirror.example.org/debian/ bookworm-updates main
https://other.example.org/apt bookworm extra
http://mirror.example.org/debian-security/ bookworm-security main
"""


def test_the_first_source_of_the_release_is_taken_with_all_its_components():
    source = parse_indextargets(LISTING, "bookworm")
    assert source == AptSource("http://mirror.example.org/debian/", "bookworm", ("main", "contrib"))


def test_a_release_without_a_source_is_reported():
    with pytest.raises(NoMirror, match="trixie"):
        parse_indextargets(LISTING, "trixie")


def test_equal_inputs_give_equal_tags():
    assert image_tag("bookworm", "0.31.0") == image_tag("bookworm", "0.31.0")
    assert image_tag("bookworm", "0.31.0") != image_tag("trixie", "0.31.0")
    assert image_tag("bookworm", "0.31.0") != image_tag("bookworm", "0.32.0")


def test_the_newest_vllm_comes_first():
    assert versions() == ["0.32.0", "0.31.0"]
