#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: awx_setup
version_added: 0.1.0
short_description: Bring AWX or an automation controller to the state that this project wants
description:
  - Finds the objects of a fleet in AWX, makes what is missing, changes what differs and removes what it made and no longer wants. What it
    did not make stays.
  - Looks at everything first, and refuses with all problems at once before anything is made.
  - Asks the API itself, so no other collection is needed. It serves AWX (API at C(/api/v2/)) and the automation controller of a platform
    (behind C(/api/controller/v2/)); which of them answers is found out.
  - Where the API is and how to log in comes from the environment, from the variables that the collections awx.awx, ansible.controller and
    ansible.platform read, E(CONTROLLER_HOST) and E(CONTROLLER_OAUTH_TOKEN) before the others.
  - Runs on the controller, whatever the host. The role P(llmfleet.serving.awx_setup#role) calls it.
options:
  settings:
    description: The variables of the role P(llmfleet.serving.awx_setup#role) without their prefix, in their types. May hold secrets.
    type: dict
    required: true
extends_documentation_fragment:
  - llmfleet.serving.attributes.controller
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: Predicts what would be done, also where nothing exists yet.
    support: full
author:
  - The llmfleet authors (@llmfleet)
"""

EXAMPLES = r"""
- name: Check the settings
  llmfleet.serving.role_settings:
    role: awx_setup
  register: awx

- name: Configure AWX
  llmfleet.serving.awx_setup:
    settings: "{{ awx.typed }}"
"""

RETURN = r"""
changes:
  description: What was done, or in check mode would be, one line for each object.
  returned: success, except in a dry run
  type: list
  elements: str
  sample: ["job template llmfleet deploy: created"]
kept:
  description: What others have set in AWX and was left as it is.
  returned: success, except in a dry run
  type: list
  elements: str
  sample: ["llmfleet keys: credential hub token, which was attached in AWX"]
text:
  description: Both in lines to print; in a dry run the wanted objects as YAML.
  returned: success
  type: str
"""
