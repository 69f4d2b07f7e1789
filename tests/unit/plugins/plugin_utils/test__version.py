# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._version import at_least, matches, version_key
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("5:28.2.2-1~ubuntu.24.04~noble", (28, 2, 2)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("v0.32.0-cu129", (0, 32, 0)),
        ("580", (580,)),
        ("nightly", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_key(text, key):
    assert version_key(text) == key


@pytest.mark.parametrize(
    ("version", "floor", "enough"),
    [
        ("580.95.05", "580.0", True),
        ("580", "580.0", True),
        ("20.10", "20.10.0", True),
        ("575.57.08", "580.0", False),
        (None, "1", False),
        ("unknown", "0", False),
    ],
)
def test_at_least(version, floor, enough):
    assert at_least(version, floor) is enough


@pytest.mark.parametrize(
    ("version", "wanted", "does"),
    [
        ("28.2.2", "28.2", True),
        ("28.20.0", "28.2", False),
        ("5:28.2.2-1", "28.2.2", True),
        (None, "28", False),
        ("28", "", False),
    ],
)
def test_matches(version, wanted, does):
    assert matches(version, wanted) is does


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_compared(left, right):
    assert isinstance(at_least(left, right), bool)
    assert isinstance(matches(left, right), bool)
