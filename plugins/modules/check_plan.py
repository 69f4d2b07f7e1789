#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_plan
version_added: 0.1.0
short_description: Refuse a plan that cannot work, and say what is to be known of the others
description:
  - Takes what a filter of this collection has computed for a host, such as P(llmfleet.serving.server_spec#filter). It fails with the plan's
    problems, prints its warnings with the host's name before them, and returns the plan.
  - Runs on the controller, whatever the host.
options:
  plan:
    description:
      - What was computed. C(problems) is a list of what keeps it from working; C(warnings) is a list of what is to be known of it, and
        C(notes) of what is to be known of this run, which is printed too and not returned.
    type: dict
    required: true
  lock:
    description:
      - The lock that M(llmfleet.serving.host_info) has taken for this plan, as it returned it. A plan with problems gives it back.
    type: dict
  state_dir:
    description: The state folder on the host that has the O(lock).
    type: path
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
- name: Check that Docker can be installed
  llmfleet.serving.check_plan:
    plan: "{{ gpu_preflight_read.host | llmfleet.serving.docker_engine_plan(want) }}"
  register: docker
"""

RETURN = r"""
plan:
  description: The plan, which has no problems.
  returned: success
  type: dict
  sample: {"problems": [], "changes": false}
"""
