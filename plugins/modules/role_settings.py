#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: role_settings
version_added: 0.1.0
short_description: The variables of a role of this collection in the types of its argument specs
description:
  - Evaluates the variables of a role for the host, and makes each of them what the role's argument specs say. A text becomes the number,
    the list or the dictionary that it stands for, as C(-e name=value), a survey of AWX or a template before ansible-core 2.19 give it.
  - A variable that is null, or an empty text where that has no meaning of its own, has its default.
  - A list given as text is split as a shell splits it, at blanks and commas where its items are numbers or choices; or it is JSON. A
    dictionary given as text is JSON, YAML, or words C(key=value).
  - Refuses what cannot be of its type, each variable by name, before anything is changed. Every role of this collection begins with it.
  - Runs on the controller, whatever the host.
options:
  role:
    description: Name of the role, such as V(inference_server).
    type: str
    required: true
  also:
    description: Names of roles whose variables are checked besides, so that everything is refused at once, and returned as RV(also).
    type: list
    elements: str
    default: []
  home:
    description: Folder in place of C(~) at the start of paths; without it the C(~) stays.
    type: str
    default: ""
extends_documentation_fragment:
  - llmfleet.serving.attributes.controller
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
author:
  - The llmfleet authors (@llmfleet)
"""

EXAMPLES = r"""
- name: Check the settings of the server
  llmfleet.serving.role_settings:
    role: inference_server
  register: server

- name: Print the port
  ansible.builtin.debug:
    msg: "{{ server.typed.port }}"
"""

RETURN = r"""
typed:
  description:
    - The role's variables by name without the role's prefix. A variable without value and default is missing.
    - Not shown on the terminal where one of them is a secret.
  returned: success
  type: dict
  sample: {"port": 8000, "extra_args": ["--max-model-len=4096"]}
also:
  description: The variables of the roles O(also), each as C(typed) under the role's name.
  returned: success, when O(also) is given
  type: dict
  sample: {"docker_engine": {"typed": {"mode": "install"}}}
"""
