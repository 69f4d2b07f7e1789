#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Read a host's NVIDIA GPUs, their health and how containers get at them
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Reads every NVIDIA card of a host in one call of C(nvidia-smi), with the loaded kernel module, NVSwitches and the
    fabric manager, and the Docker engine and NVIDIA container toolkit that hand the cards to containers.
  - A host without a GPU is an answer and no error. RV(gpu.state) says what is the case, and RV(gpu) has the same keys
    on every host.
  - Needs Python 3.8 and nothing else.
extends_documentation_fragment:
  - llmfleet.serving.attributes.info
seealso:
  - module: llmfleet.serving.host_info
"""

EXAMPLES = r"""
- name: Read the cards
  llmfleet.serving.gpu_info:
  register: cards

- name: Say what is in the host
  ansible.builtin.debug:
    msg: "{{ cards.gpu.count }} x {{ cards.gpu.cards[0].name }}, driver {{ cards.gpu.driver_version }}"
  when: cards.gpu.state == 'present'
"""

RETURN = r"""
gpu:
  description: The host's cards. Every key is always there; a figure that is not reported is null.
  returned: always
  type: dict
  contains:
    state:
      description:
        - V(present), at least one card that the driver can use.
        - V(absent), no nvidia-smi and no NVIDIA card on the PCI bus.
        - V(driver_not_loaded), no nvidia-smi but a card on the bus, or nvidia-smi cannot reach its kernel module.
        - V(driver_library_mismatch), the user-space driver was upgraded under the loaded kernel module; reboot.
        - V(no_device), the driver is loaded and finds no card.
        - V(timeout), nvidia-smi did not answer; a card has most likely fallen off the bus.
        - V(failed), anything else; RV(gpu.message) has nvidia-smi's own words.
      type: str
      returned: always
      sample: present
    message:
      description: What nvidia-smi said when it failed.
      type: str
      returned: always
      sample: null
    count:
      description: Number of cards that the driver can use.
      type: int
      returned: always
      sample: 1
    driver_version:
      description: Version of the driver.
      type: str
      returned: always
      sample: 580.95.05
    cuda_version:
      description: Newest CUDA version that the driver can run.
      type: str
      returned: always
      sample: "13.0"
    library_version:
      description: Version of the driver's user-space library, also known when it does not match the kernel module.
      type: str
      returned: always
      sample: 580.95.05
    kernel_module:
      description: The loaded kernel module.
      type: dict
      returned: always
      contains:
        loaded:
          description: Whether it is loaded.
          type: bool
          returned: always
        version:
          description: Its version.
          type: str
          returned: always
          sample: 580.95.05
        flavour:
          description: V(open) or V(proprietary). Blackwell needs the open one.
          type: str
          returned: always
          sample: open
    pci_count:
      description: NVIDIA cards on the PCI bus, whether or not the driver can use them.
      type: int
      returned: always
      sample: 1
    nvswitch_count:
      description: NVSwitches on the PCI bus (HGX A100, H100 and H200).
      type: int
      returned: always
      sample: 0
    fabric_manager:
      description: NVIDIA's fabric manager, which cards behind NVSwitches need before CUDA starts.
      type: dict
      returned: always
      contains:
        installed:
          description: Whether it is installed.
          type: bool
          returned: always
        active:
          description: Whether its service runs.
          type: bool
          returned: always
        version:
          description: Its version, which must equal the driver's.
          type: str
          returned: always
          sample: 580.95.05
    cards:
      description: The cards, in the driver's order.
      type: list
      elements: dict
      returned: always
      contains:
        index:
          description: Place in the driver's order.
          type: int
          returned: always
          sample: 0
        name:
          description: Product name.
          type: str
          returned: always
          sample: NVIDIA H100 80GB HBM3
        architecture:
          description: Architecture.
          type: str
          returned: always
          sample: Hopper
        uuid:
          description: The card's UUID.
          type: str
          returned: always
          sample: GPU-6d9b2f55-3e0c-4a8e-9b0f-0f5d7c1a2b01
        pci_bus_id:
          description: Address on the PCI bus.
          type: str
          returned: always
          sample: "00000000:1B:00.0"
        memory_total_mib:
          description: Memory in MiB.
          type: int
          returned: always
          sample: 81559
        memory_used_mib:
          description: Memory in use in MiB.
          type: int
          returned: always
          sample: 1
        memory_free_mib:
          description: Free memory in MiB.
          type: int
          returned: always
          sample: 81001
        persistence_mode:
          description: Whether the driver stays initialised without a user.
          type: bool
          returned: always
        compute_mode:
          description: Who may open the card (V(Default), V(Exclusive_Process), V(Prohibited)).
          type: str
          returned: always
          sample: Default
        mig_mode:
          description: Whether the card is split into MIG instances. Null where it cannot be.
          type: bool
          returned: always
        mig_mode_pending:
          description: The same after the next reset.
          type: bool
          returned: always
        mig_devices:
          description: The MIG instances.
          type: list
          elements: dict
          returned: always
          contains:
            index:
              description: Place on the card.
              type: int
              returned: always
            gpu_instance_id:
              description: ID of the GPU instance.
              type: int
              returned: always
            compute_instance_id:
              description: ID of the compute instance.
              type: int
              returned: always
            memory_total_mib:
              description: Memory in MiB.
              type: int
              returned: always
        ecc_mode:
          description: Whether ECC is on.
          type: bool
          returned: always
        ecc_uncorrectable_volatile:
          description: Uncorrectable memory errors since the driver was loaded.
          type: int
          returned: always
          sample: 0
        ecc_uncorrectable_aggregate:
          description: Uncorrectable memory errors in the card's life.
          type: int
          returned: always
          sample: 0
        row_remap_pending:
          description: Whether a memory row waits for a reset to be replaced.
          type: bool
          returned: always
        row_remap_failure:
          description: Whether a memory row could not be replaced; the card is to be exchanged.
          type: bool
          returned: always
        recovery_action:
          description: What the driver asks for after an error (V(Reset), V(Reboot), ...); null for nothing.
          type: str
          returned: always
          sample: null
        power_draw_w:
          description: Power draw in watts.
          type: float
          returned: always
          sample: 71.2
        power_limit_w:
          description: Power limit in force in watts.
          type: float
          returned: always
          sample: 700.0
        power_limit_default_w:
          description: Power limit that the card was built for in watts.
          type: float
          returned: always
          sample: 700.0
        power_limit_max_w:
          description: Highest power limit that can be set in watts.
          type: float
          returned: always
          sample: 700.0
        temperature_c:
          description: Temperature in degrees Celsius.
          type: int
          returned: always
          sample: 31
        utilization_pct:
          description: Share of time with a kernel running, in percent.
          type: int
          returned: always
          sample: 0
        clock_sm_mhz:
          description: Clock of the multiprocessors now in MHz.
          type: int
          returned: always
          sample: 345
        clock_sm_max_mhz:
          description: Highest clock of the multiprocessors in MHz.
          type: int
          returned: always
          sample: 1980
        clock_memory_mhz:
          description: Clock of the memory now in MHz.
          type: int
          returned: always
          sample: 2619
        clock_memory_max_mhz:
          description: Highest clock of the memory in MHz.
          type: int
          returned: always
          sample: 2619
        throttle_reasons:
          description: Why the clocks are below their maximum now. An idle card says V(gpu_idle).
          type: list
          elements: str
          returned: always
          sample: [gpu_idle]
        fabric_state:
          description:
            - How far the card has joined the NVLink fabric (V(Completed), V(In Progress), ...).
            - Null where there is none.
          type: str
          returned: always
          sample: Completed
        fabric_status:
          description: The result of joining (V(Success) or an error).
          type: str
          returned: always
          sample: Success
        compute_processes:
          description: Processes that use the card for computing.
          type: list
          elements: dict
          returned: always
          contains:
            pid:
              description: Process ID.
              type: int
              returned: always
            type:
              description: V(C) for compute, V(C+G) for compute and graphics, V(M+C) for MPS.
              type: str
              returned: always
            name:
              description: Name; values of options that are named like a secret are masked.
              type: str
              returned: always
            memory_used_mib:
              description: The card's memory that it uses in MiB.
              type: int
              returned: always
            session_id:
              description: Its session; null where it cannot be seen.
              type: int
              returned: always
            container_id:
              description: The Docker container that it runs in, if any.
              type: str
              returned: always
docker:
  description: The Docker engine. Every key is always there.
  returned: always
  type: dict
  contains:
    state:
      description:
        - V(running), it answers.
        - V(no_answer), it runs and does not answer, or the caller may not ask it; RV(docker.message) says which.
        - V(stopped), it is installed and does not run.
        - V(absent), it is not installed.
      type: str
      returned: always
      sample: running
    message:
      description: Why the engine did not answer.
      type: str
      returned: always
      sample: null
    version:
      description: Version of the engine.
      type: str
      returned: always
      sample: 28.2.2
    root_dir:
      description: Its data root, or where that would be.
      type: str
      returned: always
      sample: /var/lib/docker
    root_disk:
      description: Space on the file system of the data root, as M(llmfleet.serving.host_info) returns it for a path.
      type: dict
      returned: always
    storage_driver:
      description: Storage driver.
      type: str
      returned: always
      sample: overlay2
    cgroup_driver:
      description: V(systemd) or V(cgroupfs).
      type: str
      returned: always
      sample: systemd
    cgroup_version:
      description: V(1) or V(2).
      type: str
      returned: always
      sample: "2"
    live_restore:
      description: Whether containers outlive the engine's restart.
      type: bool
      returned: always
    swarm_active:
      description: Whether the engine is in a swarm, which rules live-restore out.
      type: bool
      returned: always
    runtimes:
      description: Names of the runtimes.
      type: list
      elements: str
      returned: always
      sample: [io.containerd.runc.v2, nvidia, runc]
    default_runtime:
      description: The default runtime.
      type: str
      returned: always
      sample: runc
    cdi_spec_dirs:
      description: Folders that the engine reads CDI specifications from; empty when it does not.
      type: list
      elements: str
      returned: always
      sample: [/etc/cdi, /var/run/cdi]
    containers:
      description: The running containers.
      type: list
      elements: dict
      returned: always
      contains:
        id:
          description: Full ID.
          type: str
          returned: always
        name:
          description: Name.
          type: str
          returned: always
          sample: llmfleet-server
        image:
          description: Image that it was started from.
          type: str
          returned: always
        labels:
          description: Its labels that begin with C(org.llmfleet.).
          type: dict
          returned: always
        host_ports:
          description: Ports of the host that lead to it.
          type: list
          elements: int
          returned: always
          sample: [8000]
    enabled:
      description: Whether its service starts with the host; null where it is not installed or nobody can say.
      type: bool
      returned: always
    daemon_config:
      description: The engine's configuration file.
      type: dict
      returned: always
      contains:
        path:
          description: Its path.
          type: str
          returned: always
          sample: /etc/docker/daemon.json
        exists:
          description: Whether it exists.
          type: bool
          returned: always
        content:
          description: Its content; empty when it is absent or wrong.
          type: dict
          returned: always
        error:
          description: What is wrong with it.
          type: str
          returned: always
          sample: null
    daemon_flags:
      description: The options on the running engine's command line.
      type: list
      elements: str
      returned: always
      sample: [-H, "fd://"]
    daemon_started_at_s:
      description: When the engine started, in seconds since the epoch.
      type: float
      returned: always
      sample: 1763800000.5
toolkit:
  description: The NVIDIA container toolkit. Every key is always there.
  returned: always
  type: dict
  contains:
    installed:
      description: Whether C(nvidia-ctk) is there.
      type: bool
      returned: always
    version:
      description: Its version.
      type: str
      returned: always
      sample: 1.20.0
    hook_path:
      description: The hook that makes C(docker run --gpus) work.
      type: str
      returned: always
      sample: /usr/bin/nvidia-container-runtime-hook
    hook_changed_at_s:
      description:
        - When the hook came to the host, in seconds since the epoch.
        - An engine that started before does not know it.
      type: float
      returned: always
      sample: 1763790000.25
    cdi_devices:
      description: The CDI devices.
      type: list
      elements: str
      returned: always
      sample: [nvidia.com/gpu=0, nvidia.com/gpu=all]
    cdi_specs:
      description: The CDI specifications of NVIDIA cards.
      type: list
      elements: dict
      returned: always
      contains:
        path:
          description: The file.
          type: str
          returned: always
          sample: /var/run/cdi/nvidia.yaml
        driver_versions:
          description:
            - Driver versions that its library names carry.
            - It is stale when the host's driver is not among them.
          type: list
          elements: str
          returned: always
          sample: [580.95.05]
        changed_at_s:
          description:
            - When the file was written, in seconds since the epoch.
            - It is stale when an upgrade of the toolkit came after it.
          type: float
          returned: always
          sample: 1763790000.25
    guard_rule:
      description: Content of the udev rule that keeps containers' GPUs across a C(systemctl daemon-reload).
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._docker import probe_docker
from ansible_collections.llmfleet.serving.plugins.module_utils._gpu import probe_gpu
from ansible_collections.llmfleet.serving.plugins.module_utils._system import System
from ansible_collections.llmfleet.serving.plugins.module_utils._toolkit import probe_toolkit


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    system = System()
    module.exit_json(changed=False, gpu=probe_gpu(system), docker=probe_docker(system), toolkit=probe_toolkit(system))


if __name__ == "__main__":
    main()
