#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Read a serving host's whole state in one call
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Reads what the roles of this collection need to know of a host, in one module call. Each further call to each host
    costs a round trip.
  - What is absent is reported as absent. The module works on a laptop without a GPU and on macOS as well.
  - Needs Python 3.8 and nothing else. Run it with privileges to see other users' processes.
options:
  sections:
    description: What to read.
    type: list
    elements: str
    choices: [os, memory, disk, ports, gpu]
    default: [os, memory, disk, ports, gpu]
  paths:
    description: Paths whose file systems are measured. A path need not exist yet.
    type: list
    elements: str
    default: []
  ports:
    description: TCP ports to look at.
    type: list
    elements: int
    default: []
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
seealso:
  - module: llmfleet.serving.gpu_info
"""

EXAMPLES = r"""
- name: Read the host
  llmfleet.serving.host_info:
    paths: [/var/lib/docker]
    ports: [8000]
  become: true
  register: probe

- name: Refuse a port that is taken
  ansible.builtin.fail:
    msg: "Port 8000 is taken by {{ probe.host.ports[0].owners }}"
  when: probe.host.ports[0].in_use
"""

RETURN = r"""
host:
  description: The host's state, one key for each of O(sections).
  returned: always
  type: dict
  contains:
    os:
      description: The operating system.
      type: dict
      returned: when V(os) is in O(sections)
      contains:
        system:
          description: Kernel family.
          type: str
          returned: always
          sample: Linux
        distribution:
          description: C(ID) of os-release.
          type: str
          returned: always
          sample: debian
        version:
          description: C(VERSION_ID) of os-release.
          type: str
          returned: always
          sample: "12"
        codename:
          description: C(VERSION_CODENAME) of os-release.
          type: str
          returned: always
          sample: bookworm
        family:
          description: V(debian), V(rhel) or null.
          type: str
          returned: always
          sample: debian
        pretty_name:
          description: The name for people.
          type: str
          returned: always
          sample: Debian GNU/Linux 12 (bookworm)
        kernel:
          description: Kernel release.
          type: str
          returned: always
          sample: 6.8.0-60-generic
        architecture:
          description: Machine architecture.
          type: str
          returned: always
          sample: x86_64
        hostname:
          description: The host's own name.
          type: str
          returned: always
          sample: gpu-01
        cpus:
          description: Number of logical processors.
          type: int
          returned: always
          sample: 26
        python_version:
          description: Version of the Python that ran the module.
          type: str
          returned: always
          sample: 3.10.12
        boot_id:
          description: ID of this boot of the kernel.
          type: str
          returned: always
          sample: 7d5b3a3c-6f49-4b7b-9a55-3cf6f1a1f9a4
        service_manager:
          description: V(systemd) or null.
          type: str
          returned: always
          sample: systemd
    memory:
      description: Main memory.
      type: dict
      returned: when V(memory) is in O(sections)
      contains:
        total_mib:
          description: All of it in MiB.
          type: int
          returned: always
          sample: 225000
        available_mib:
          description: What can be had without swapping, in MiB.
          type: int
          returned: always
          sample: 219000
    disk:
      description: Space on the file system of each of O(paths).
      type: list
      elements: dict
      returned: when V(disk) is in O(sections)
      contains:
        path:
          description: The path asked for.
          type: str
          returned: always
          sample: /var/lib/docker
        measured_path:
          description: The path itself, or its nearest folder that exists.
          type: str
          returned: always
          sample: /var/lib
        total_mib:
          description: Size in MiB.
          type: int
          returned: always
          sample: 1400000
        free_mib:
          description: Space free to all users in MiB.
          type: int
          returned: always
          sample: 1300000
    ports:
      description: State of each of O(ports).
      type: list
      elements: dict
      returned: when V(ports) is in O(sections)
      contains:
        port:
          description: The port.
          type: int
          returned: always
          sample: 8000
        in_use:
          description: Whether a process listens on it.
          type: bool
          returned: always
        owners:
          description: The listening sockets and who holds them. Empty on a system without C(/proc).
          type: list
          elements: dict
          returned: always
          contains:
            address:
              description: Address that the socket is bound to.
              type: str
              returned: always
              sample: 0.0.0.0
            pid:
              description: The process; null where the caller may not see it.
              type: int
              returned: always
              sample: 4711
            command:
              description: Its command line; values of options that are named like a secret are masked.
              type: str
              returned: always
              sample: python3 -m http.server 8000
    gpu:
      description: The cards, exactly as M(llmfleet.serving.gpu_info) returns them.
      type: dict
      returned: when V(gpu) is in O(sections)
"""

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._gpu import probe_gpu
from ansible_collections.llmfleet.serving.plugins.module_utils._host import probe_disk, probe_memory, probe_os
from ansible_collections.llmfleet.serving.plugins.module_utils._ports import probe_ports
from ansible_collections.llmfleet.serving.plugins.module_utils._system import System

SECTIONS = ["os", "memory", "disk", "ports", "gpu"]


def probe_host(system: System, params: dict[str, Any]) -> dict[str, Any]:
    """Read the sections that are asked for."""
    probes: dict[str, Callable[[], Any]] = {
        "os": lambda: probe_os(system),
        "memory": lambda: probe_memory(system),
        "disk": lambda: [probe_disk(system, path) for path in params["paths"]],
        "ports": lambda: probe_ports(system, params["ports"]),
        "gpu": lambda: probe_gpu(system),
    }
    return {section: probes[section]() for section in SECTIONS if section in params["sections"]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sections": {"type": "list", "elements": "str", "choices": SECTIONS, "default": SECTIONS},
            "paths": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, host=probe_host(System(), module.params))


if __name__ == "__main__":
    main()
