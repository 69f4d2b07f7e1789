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
    description: Folder of the facts on the host. Required, unless O(settings_of) says which role's it is.
    type: path
  settings_of:
    description:
      - Name of a role with a variable C(state_dir), such as V(inference_server). Its settings are checked before the host is asked, as
        M(llmfleet.serving.role_settings) checks them, and returned as they are with what the host keeps and with its home for C(~).
    type: str
  also:
    description: Names of roles whose settings are checked besides, so that everything is refused at once, and returned as RV(also).
    type: list
    elements: str
    default: []
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

RETURN = r"""
typed:
  description: The settings of the role O(settings_of), as M(llmfleet.serving.role_settings) returns them.
  returned: success, when O(settings_of) is given
  type: dict
  sample: {"port": 8000, "state_dir": "/home/ubuntu/.local/state/llmfleet"}
also:
  description: The settings of the roles O(also), each as C(typed) under the role's name.
  returned: success, when O(also) is given
  type: dict
  sample: {"docker_engine": {"typed": {"mode": "install"}}}
"""
