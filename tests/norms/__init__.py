# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact, before the checks that Ansible's own tests and Automation Hub make of it.

    artifact.py    builds it, and installs it into a git repository, as ansible-test wants it
    sanity.py      `ansible-test sanity`, test by test, in the environments of tests/matrix
    importer.py    galaxy-importer, in an environment of its own
    __main__.py    runs them, prints the table

Runs on a bare Python 3.11: nothing here needs a package.
"""
