# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters around the server's specification; the logic is in module_utils/_server_spec.py."""

from __future__ import annotations

DOCUMENTATION = r"""
name: server_spec
short_description: The server's specification from the operator's choices, the engine, the model's recipe and the GPU
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Computes image, arguments, mounts, ports and files of one inference server.
  - A wrong choice does not raise an error here. It is told in C(problems), all of them at once, so that the role can stop
    before it changes anything.
positional: engine, recipe, gpu_profile, host, previous
options:
  _input:
    description: The knobs of the role C(inference_server) without their prefix.
    type: dict
    required: true
  engine:
    description: The dict of C(roles/inference_server/vars/backends/).
    type: dict
    required: true
  recipe:
    description: The dict of C(roles/inference_server/vars/recipes/); empty for a model without one.
    type: dict
    required: true
  gpu_profile:
    description: The dict of C(group_vars/).
    type: dict
    required: true
  host:
    description: The return of M(llmfleet.serving.host_info), sections V(gpu) and V(ports).
    type: dict
    required: true
  previous:
    description: The fact C(llmfleet_server) of the last deployment; empty on a new host.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Compute the specification
  ansible.builtin.set_fact:
    spec: "{{ want | llmfleet.serving.server_spec(engine, recipe, gpu_profile, probe.host, previous) }}"
"""

RETURN = r"""
_value:
  description:
    - The specification, with C(problems) as an empty list; or C(problems) alone, one sentence each.
  type: dict
"""

from pathlib import Path
from typing import Any

import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils import _server_spec as spec


def server_spec(
    want: dict[str, Any],
    engine: dict[str, Any],
    recipe: dict[str, Any],
    gpu_profile: dict[str, Any],
    host: dict[str, Any],
    previous: dict[str, Any],
) -> dict[str, Any]:
    """The specification with `problems: []`, or the problems alone."""
    try:
        parts = [_plain(part) for part in (want, engine, recipe, gpu_profile, host, previous)]
        return {**spec.server_spec(*parts), "problems": []}
    except spec.SpecError as error:
        return {"problems": [str(problem) for problem in error.args]}


def gpu_profile_of(card_name: str, folder: str) -> dict[str, Any]:
    """The profile in `folder` whose `name_pattern` matches the card's name; an empty dict when none does."""
    return spec.profile_for(
        card_name, [yaml.safe_load(path.read_text())["gpu_profile"] for path in sorted(Path(folder).glob("*.yml"))]
    )


def server_fact(
    server: dict[str, Any], gpu: dict[str, Any], previous: dict[str, Any], ready: dict[str, Any]
) -> dict[str, Any]:
    """The fact `llmfleet_server` of a server that answers."""
    return spec.server_fact(_plain(server), _plain(gpu), _plain(previous), _plain(ready))


def _plain(value: Any) -> Any:
    """Ansible's lazy and tagged containers as plain ones, which can be copied and serialised."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "server_spec": server_spec,
            "gpu_profile_of": gpu_profile_of,
            "server_fact": server_fact,
        }
