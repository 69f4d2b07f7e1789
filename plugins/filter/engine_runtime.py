# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter engine_runtime; the engines are listed in module_utils/_engines/."""

from __future__ import annotations

DOCUMENTATION = r"""
name: engine_runtime
short_description: What an engine runs as unless the operator chooses otherwise
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Gives the default of C(inference_server_runtime) for an engine.
options:
  _input:
    description: The engine's name, as in C(inference_server_backend). One that is not known gives V(docker); the role
      C(inference_server) refuses it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Print what the engine runs as
  ansible.builtin.debug:
    msg: "{{ 'simulator' | llmfleet.serving.engine_runtime }}"  # process
"""

RETURN = r"""
_value:
  description: V(docker) or V(process).
  type: str
"""

from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES


def engine_runtime(backend: Any) -> str:
    """What an engine runs as by default; `docker` where the name is no engine's, which the argument specs refuse by name."""
    engine = ENGINES.get(str(backend))
    return engine.runtimes[0] if engine else "docker"


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        return {"engine_runtime": engine_runtime}
