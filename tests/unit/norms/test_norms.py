# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tests.norms import importer
from tests.norms.sanity import FAILED, NOT_RUN, PASSED, judge


@pytest.mark.parametrize(
    ("rc", "output", "word"),
    [
        (0, "Running sanity test", PASSED),
        (0, 'WARNING: Skipping sanity test "import" on Python 3.14 because it could not be found.', PASSED),
        (0, 'WARNING: Skipping sanity test "pslint" because pwsh was not found.', NOT_RUN),
        (1, "ERROR: plugins/a.py:1:1: E1: bad", FAILED),
        (1, "no word of why", FAILED),
        (1, "Download failed: <urlopen error>\nFATAL: Python 3.10 does not have pip available.", NOT_RUN),
    ],
)
def test_an_output_of_ansible_test_is_judged(rc, output, word):
    outcome = judge("some", rc, output)
    assert outcome.word == word
    assert outcome.said or output.startswith("Running")


@pytest.mark.parametrize(
    ("rc", "said", "word"),
    [
        (0, "Importer processing completed successfully", PASSED),
        (0, "", FAILED),
        (
            0,
            "WARNING: Ignore files skip ansible-test sanity tests, found ignore-2.19.txt with 1 statement(s)\n"
            "Importer processing completed successfully",
            PASSED,
        ),
        (1, "Importer processing completed successfully", FAILED),
        (0, "WARNING: roles/a.yml:1: rule\nImporter processing completed successfully", FAILED),
    ],
)
def test_an_output_of_the_importer_is_judged(rc, said, word):
    assert importer.judge(rc, said).word == word
