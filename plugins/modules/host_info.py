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
    choices: [os, memory, disk, ports, processes, gpu, docker, toolkit, packages, cloud_init, clock, network]
    default: [os, memory, disk, ports, processes, gpu, docker, toolkit, packages, cloud_init, clock, network]
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
  pid_files:
    description:
      - Pid files to look into. Each holds a process ID, or a JSON object with a C(pid).
      - A leading C(~) is the home of the user who connected, behind sudo too.
    type: list
    elements: str
    default: []
  reference_time_s:
    description: The controller's time in seconds since the epoch. Without it the host's clock is not judged.
    type: float
  url:
    description: An address that the host needs, such as the model hub. Without it nothing is asked.
    type: str
  url_timeout_s:
    description: How long O(url) may take to answer, in seconds.
    type: float
    default: 5.0
extends_documentation_fragment:
  - llmfleet.serving.attributes.info
seealso:
  - module: llmfleet.serving.gpu_info
"""

EXAMPLES = r"""
- name: Read the host
  llmfleet.serving.host_info:
    paths: [/var/lib/docker]
    ports: [8000]
    url: https://huggingface.co
    reference_time_s: "{{ now().timestamp() }}"
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
        changed_at_s:
          description: When that was last changed, in seconds since the epoch.
          type: float
          returned: always
          sample: 1779465600.25
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
              description: The process; null, as all below, where the caller may not see it.
              type: int
              returned: always
              sample: 4711
            command:
              description: Its command line; values of options that are named like a secret are masked.
              type: str
              returned: always
              sample: python3 -m http.server 8000
            session_id:
              description: Its session.
              type: int
              returned: always
            container_id:
              description: The Docker container that it runs in, if any.
              type: str
              returned: always
    processes:
      description: The process that each of O(pid_files) names.
      type: list
      elements: dict
      returned: when V(processes) is in O(sections)
      contains:
        path:
          description: The pid file.
          type: str
          returned: always
        pid:
          description: The process; null when the file is absent or the process is gone.
          type: int
          returned: always
    gpu:
      description: The cards, exactly as M(llmfleet.serving.gpu_info) returns them.
      type: dict
      returned: when V(gpu) is in O(sections)
    docker:
      description: The Docker engine, exactly as M(llmfleet.serving.gpu_info) returns it.
      type: dict
      returned: when V(docker) is in O(sections)
    toolkit:
      description: The NVIDIA container toolkit, exactly as M(llmfleet.serving.gpu_info) returns it.
      type: dict
      returned: when V(toolkit) is in O(sections)
    packages:
      description: The package manager.
      type: dict
      returned: when V(packages) is in O(sections)
      contains:
        manager:
          description: V(apt), V(dnf) or null.
          type: str
          returned: always
          sample: apt
        versions:
          description: Installed versions of the engine's and the toolkit's packages, by package.
          type: dict
          returned: always
          sample: {docker-ce: "5:28.2.2-1~ubuntu.24.04~noble"}
        held:
          description: Which of them are on hold.
          type: list
          elements: str
          returned: always
          sample: []
        python_modules:
          description: Whether the Python that ran this module has the modules that Ansible's own modules need of a host.
          type: dict
          returned: always
          contains:
            apt:
              description: For M(ansible.builtin.apt).
              type: bool
              returned: always
            debian:
              description: For M(ansible.builtin.deb822_repository).
              type: bool
              returned: always
            requests:
              description: For the modules of community.docker.
              type: bool
              returned: always
        lock:
          description: Who holds the package manager's lock.
          type: dict
          returned: always
          contains:
            held:
              description: Whether it is held.
              type: bool
              returned: always
            pid:
              description: The process that holds it.
              type: int
              returned: always
            command:
              description: Its command line.
              type: str
              returned: always
        reboot_required:
          description: Whether the distribution asks for a reboot.
          type: bool
          returned: always
    cloud_init:
      description: The host's first boot.
      type: dict
      returned: when V(cloud_init) is in O(sections)
      contains:
        installed:
          description: Whether cloud-init is there.
          type: bool
          returned: always
        status:
          description: V(running), V(done), V(error), V(disabled) or null.
          type: str
          returned: always
          sample: done
    clock:
      description: The host's clock.
      type: dict
      returned: when V(clock) is in O(sections)
      contains:
        epoch_s:
          description: Its time in seconds since the epoch.
          type: float
          returned: always
          sample: 1763800000.5
        skew_s:
          description: How far it is ahead of O(reference_time_s), the module's way to the host included, in seconds.
          type: float
          returned: always
          sample: 0.4
        synchronized:
          description: Whether it is synchronised, as systemd says; null where nobody says.
          type: bool
          returned: always
    network:
      description: Whether O(url) answers. Null without a O(url).
      type: dict
      returned: when V(network) is in O(sections)
      contains:
        url:
          description: The address.
          type: str
          returned: always
          sample: https://huggingface.co
        reachable:
          description: Whether it answered at all, with whatever status.
          type: bool
          returned: always
        http_status:
          description: Status of the answer.
          type: int
          returned: always
          sample: 200
        error:
          description: Why there was no answer.
          type: str
          returned: always
          sample: null
        elapsed_ms:
          description: How long it took in milliseconds.
          type: float
          returned: always
          sample: 84.0
"""

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._docker import probe_docker
from ansible_collections.llmfleet.serving.plugins.module_utils._gpu import probe_gpu
from ansible_collections.llmfleet.serving.plugins.module_utils._host import (
    probe_clock,
    probe_cloud_init,
    probe_disk,
    probe_memory,
    probe_os,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._network import probe_url
from ansible_collections.llmfleet.serving.plugins.module_utils._packages import probe_packages
from ansible_collections.llmfleet.serving.plugins.module_utils._ports import probe_ports
from ansible_collections.llmfleet.serving.plugins.module_utils._proc import probe_pid_file
from ansible_collections.llmfleet.serving.plugins.module_utils._system import System
from ansible_collections.llmfleet.serving.plugins.module_utils._toolkit import probe_toolkit

PROBES: dict[str, Callable[[System, dict[str, Any]], Any]] = {
    "os": lambda system, _params: probe_os(system),
    "memory": lambda system, _params: probe_memory(system),
    "disk": lambda system, params: [probe_disk(system, path) for path in params["paths"]],
    "ports": lambda system, params: probe_ports(system, params["ports"]),
    "processes": lambda system, params: [probe_pid_file(system, path) for path in params["pid_files"]],
    "gpu": lambda system, _params: probe_gpu(system),
    "docker": lambda system, _params: probe_docker(system),
    "toolkit": lambda system, _params: probe_toolkit(system),
    "packages": lambda system, _params: probe_packages(system),
    "cloud_init": lambda system, _params: probe_cloud_init(system),
    "clock": lambda system, params: probe_clock(system, params["reference_time_s"]),
    "network": lambda _system, params: probe_url(params["url"], params["url_timeout_s"]) if params["url"] else None,
}


def main() -> None:
    sections = list(PROBES)
    module = AnsibleModule(
        argument_spec={
            "sections": {"type": "list", "elements": "str", "choices": sections, "default": sections},
            "paths": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "pid_files": {"type": "list", "elements": "str", "default": []},
            "reference_time_s": {"type": "float"},
            "url": {"type": "str"},
            "url_timeout_s": {"type": "float", "default": 5.0},
        },
        supports_check_mode=True,
    )
    system, wanted = System(), module.params["sections"]
    module.exit_json(
        changed=False, host={name: probe(system, module.params) for name, probe in PROBES.items() if name in wanted}
    )


if __name__ == "__main__":
    main()
