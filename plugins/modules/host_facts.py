#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
version_added: 0.1.0
short_description: Read the facts that a host keeps
description:
  - Runs M(ansible.builtin.setup), which reads what M(llmfleet.serving.host_fact) wrote.
  - A fact that is no dictionary, larger than 1 MiB or nested more than 24 deep is left out with a warning that names its file.
  - A host whose Python is too old for ansible-core or for this collection is refused with its version and what to install.
    Without that, the first module ends there in a traceback.
options:
  fact_path:
    description: Folder of the facts on the host.
    type: path
    required: true
  gather_subset:
    description: What else is read, as in M(ansible.builtin.setup).
    type: list
    elements: str
    default: ["!all", "!min", local]
extends_documentation_fragment:
  - llmfleet.serving.attributes.info
  - llmfleet.serving.attributes.action_group
author:
  - The llmfleet authors (@llmfleet)
"""

EXAMPLES = r"""
- name: Read the facts that the host keeps
  llmfleet.serving.host_facts:
    fact_path: ~/.local/state/llmfleet/facts.d
"""

RETURN = r""" # """
