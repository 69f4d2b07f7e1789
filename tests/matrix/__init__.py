# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection on each version of Ansible that it supports.

    table.toml        which versions, as data
    table.py          reads it, and chooses rows and Pythons
    environment.py    one environment a row, kept in .matrix/
    notices.py        warnings in an output, and the rules for those that are not the project's
    checks.py         what is run in each
    __main__.py       runs the rows, prints the table

Runs on a bare Python 3.11: nothing here needs a package.
"""
