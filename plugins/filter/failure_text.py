# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a task failed, as text."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failure_text
short_description: Why a task failed, as text
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Takes the message out of C(ansible_failed_result). For a loop, the messages of those items that failed.
options:
  _input:
    description: The result of a failed task.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Fail with the reason
  ansible.builtin.fail:
    msg: "{{ ansible_failed_result | llmfleet.serving.failure_text }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
"""

from typing import Any

from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import failure_text


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        return {"failure_text": failure_text}
