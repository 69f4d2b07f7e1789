#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: print_text
version_added: 0.1.0
short_description: Print text on the terminal as it is
description:
  - Prints several lines without the frame, quotes and escapes that M(ansible.builtin.debug) puts around them.
  - Control characters and escape sequences, which a terminal would obey, become spaces; line feeds and tabs stay.
  - Runs on the controller, whatever the host.
options:
  text:
    description: What to print.
    type: str
    required: true
extends_documentation_fragment:
  - llmfleet.serving.attributes.controller
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: Prints in check mode as well.
    support: full
author:
  - The llmfleet authors (@llmfleet)
"""

EXAMPLES = r"""
- name: Print two lines
  llmfleet.serving.print_text:
    text: |
      host     tok/s
      h100-01  3,787
  run_once: true
"""

RETURN = r""" # """
