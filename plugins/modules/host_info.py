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
  - What the host lacks is reported as absent. The module works on a laptop without a GPU and on macOS as well.
  - Needs Python 3.8 and nothing else. Run it with privileges to see other users' processes.
options:
  sections:
    description: What to read.
    type: list
    elements: str
    choices: [os, memory, disk, ports, processes, gpu, docker, toolkit, packages, cloud_init, clock, network, firewall, servers]
    default: [os, memory, disk, ports, processes, gpu, docker, toolkit, packages, cloud_init, clock, network, firewall, servers]
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
  state_dir:
    description:
      - State folder of a server. Those of the host's other servers are looked for beside it, and in C(~/.local/state/llmfleet), where
        C(~) is the home of the user who connected, behind sudo too.
    type: str
  images:
    description: Names of images to look for in the host's Docker.
    type: list
    elements: str
    default: []
  settings_of:
    description:
      - Name of a role such as V(gpu_preflight). Its settings are returned, as M(llmfleet.serving.role_settings) makes them once the host
        was read; its defaults find what was read under the name that the task registers. Not with O(lock).
    type: str
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
  lock:
    description:
      - Takes the lock of a server before the host is read, so that no other run changes or measures the server meanwhile; fails where
        another run has it. M(llmfleet.serving.host_fact) with O(llmfleet.serving.host_fact#module:release) gives it back.
      - Check mode takes none. A run of the same controller whose process has ended is taken over at once.
    type: dict
    suboptions:
      state_dir:
        description: The state folder of the server, which has the lock as C(lock.json).
        type: path
        required: true
      wait_s:
        description: Seconds to wait for another run.
        type: float
        default: 0.0
      lease_s:
        description: Seconds after which the lock ends by itself, if this run does not give it back.
        type: float
        default: 3600.0
      takeover:
        description: The run that this one takes the lock over from.
        type: str
        default: ""
      holder:
        description: Who takes it. Filled in on the controller.
        type: dict
        default: {}
extends_documentation_fragment:
  - llmfleet.serving.attributes.info
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: Reads only, and takes no O(lock).
    support: full
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

- name: Check that the port is free
  ansible.builtin.fail:
    msg: "Port 8000 is taken by {{ probe.host.ports[0].owners }}"
  when: probe.host.ports[0].in_use
"""

RETURN = r"""
lock:
  description:
    - The lock that was taken. C(run) is what gives it back, C(path) its file, C(taken_over) the holder that had it, null for none, and
      C(kept_digest) the SHA-256 of the fact C(llmfleet_server_good) that the host keeps.
    - Null in check mode.
  returned: when O(lock) is given
  type: dict
  sample: {"run": "3fa9c1d20b77", "path": "/home/me/.local/state/llmfleet/lock.json", "taken_over": null, "kept_digest": "74234e98afe7498f"}
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
        readable:
          description: Whether the user who runs the module may read RV(host.disk[].measured_path).
          type: bool
          returned: always
        writable:
          description: Whether that user may write there; no user may on a file system that is mounted read-only.
          type: bool
          returned: always
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
          description: The process; null when the file is absent or the process has ended.
          type: int
          returned: always
    gpu:
      description: The host's GPUs. Every key is always present; a figure that is not reported is null.
      type: dict
      returned: when V(gpu) is in O(sections)
      contains:
        state:
          description:
            - V(present), at least one GPU that the driver can use.
            - V(absent), no nvidia-smi and no NVIDIA GPU on the PCI bus.
            - V(driver_not_loaded), no nvidia-smi but a GPU on the bus, or nvidia-smi cannot reach its kernel module.
            - V(driver_library_mismatch), the user-space driver was upgraded under the loaded kernel module; reboot.
            - V(no_device), the driver is loaded and finds no GPU.
            - V(timeout), nvidia-smi did not answer; a GPU has most likely fallen off the bus.
            - V(failed), anything else; RV(host.gpu.message) has nvidia-smi's own words.
          type: str
          returned: always
          sample: present
        message:
          description: What nvidia-smi said when it failed.
          type: str
          returned: always
          sample: null
        count:
          description: Number of GPUs that the driver can use.
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
          description: Version of the driver's user-space library, reported also when it does not match the kernel module.
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
          description: NVIDIA GPUs on the PCI bus, whether or not the driver can use them.
          type: int
          returned: always
          sample: 1
        missing:
          description: The GPUs on the PCI bus that the driver does not offer. Virtual functions are not among them.
          type: list
          elements: dict
          returned: always
          contains:
            pci_bus_id:
              description: The PCI address.
              type: str
              returned: always
              sample: "0000:3b:00.0"
            driver:
              description: The driver that the GPU is bound to, such as V(vfio-pci) of one lent to a virtual machine; null for none.
              type: str
              returned: always
              sample: vfio-pci
        nvswitch_count:
          description: NVSwitches on the PCI bus (HGX A100, H100 and H200).
          type: int
          returned: always
          sample: 0
        fabric_manager:
          description: NVIDIA's fabric manager, which GPUs behind NVSwitches need before CUDA starts.
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
          description: The GPUs, in the driver's order.
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
              description: The GPU's UUID.
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
              description: Who may open the GPU (V(Default), V(Exclusive_Process), V(Prohibited)).
              type: str
              returned: always
              sample: Default
            mig_mode:
              description: Whether the GPU is split into MIG instances. Null where it cannot be.
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
                  description: Place on the GPU.
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
              description: Uncorrectable memory errors in the GPU's life.
              type: int
              returned: always
              sample: 0
            row_remap_pending:
              description: Whether a memory row waits for a reset to be replaced.
              type: bool
              returned: always
            row_remap_failure:
              description: Whether a memory row could not be replaced; the GPU is to be exchanged.
              type: bool
              returned: always
            recovery_action:
              description: What the driver asks for after an error (V(Reset), V(Reboot), ...); null for nothing, or unknown.
              type: str
              returned: always
              sample: null
            unreadable:
              description: What the driver cannot read of a GPU in trouble (V(recovery action), V(memory), ...); empty of one that is well.
              type: list
              elements: str
              returned: always
              sample: []
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
              description: Power limit that the GPU was built for in watts.
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
              description: Why the clocks are below their maximum now. An idle GPU has V(gpu_idle).
              type: list
              elements: str
              returned: always
              sample: [gpu_idle]
            fabric_state:
              description:
                - How far the GPU has joined the NVLink fabric (V(Completed), V(In Progress), ...).
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
              description: Processes that use the GPU for computing.
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
                  description: The GPU's memory that it uses in MiB.
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
      description: Docker. Every key is always present.
      type: dict
      returned: when V(docker) is in O(sections)
      contains:
        state:
          description:
            - V(running), it answers.
            - V(no_answer), it runs and does not answer, or the caller may not ask it; RV(host.docker.message) says which.
            - V(stopped), it is installed and does not run.
            - V(absent), it is not installed.
          type: str
          returned: always
          sample: running
        message:
          description: Why Docker did not answer.
          type: str
          returned: always
          sample: null
        version:
          description: Version of Docker.
          type: str
          returned: always
          sample: 28.2.2
        root_dir:
          description: Its data root, or where that would be.
          type: str
          returned: always
          sample: /var/lib/docker
        root_disk:
          description: Space on the file system of the data root, as for one of RV(host.disk).
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
        runc_version:
          description: Version of runc, which starts the containers; null where there is none.
          type: str
          returned: always
          sample: 1.3.3
        live_restore:
          description: Whether containers outlive Docker's restart.
          type: bool
          returned: always
        swarm_active:
          description: Whether Docker is in a swarm, which rules live-restore out.
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
          description: Folders that Docker reads CDI specifications from; empty when it does not.
          type: list
          elements: str
          returned: always
          sample: [/etc/cdi, /var/run/cdi]
        limits:
          description:
            - The most that it can give a container, by the limit's name, where it cannot raise it; a limit that is not named it can.
          type: dict
          returned: always
          sample: {nofile: 1048576}
        proxies:
          description: The proxy that it goes through, with C(http_proxy), C(https_proxy) and C(no_proxy); each null where there is none.
          type: dict
          returned: always
          sample: {http_proxy: null, https_proxy: "http://proxy.example.org:3128", no_proxy: localhost}
        containers:
          description: Its containers, the stopped ones included.
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
            state:
              description: What it does, in the engine's word, such as V(running), V(exited) or V(created).
              type: str
              returned: always
              sample: running
            labels:
              description: Its labels that begin with C(org.llmfleet.).
              type: dict
              returned: always
            host_ports:
              description: Ports of the host that lead to it now.
              type: list
              elements: int
              returned: always
              sample: [8000]
            bound_ports:
              description: Ports of the host that it takes whenever it runs, of a container with such a label.
              type: list
              elements: int
              returned: always
              sample: [8000]
            gpus:
              description: The UUIDs of the GPUs that it was given, or V(all), of a container with such a label.
              type: list
              elements: str
              returned: always
        images:
          description: Those of O(images) that it has, by name, each with C(Id), C(RepoDigests) and C(Metadata) as its API has them.
          type: dict
          returned: always
        enabled:
          description: Whether its service starts with the host; null where it is not installed or systemd does not say.
          type: bool
          returned: always
        daemon_config:
          description: Docker's configuration file.
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
          description: The options on the command line of the running dockerd.
          type: list
          elements: str
          returned: always
          sample: [-H, "fd://"]
        daemon_started_at_s:
          description: When dockerd started, in seconds since the epoch.
          type: float
          returned: always
          sample: 1763800000.5
    toolkit:
      description: The NVIDIA container toolkit. Every key is always present.
      type: dict
      returned: when V(toolkit) is in O(sections)
      contains:
        installed:
          description: Whether C(nvidia-ctk) is installed.
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
            - A dockerd that started before does not know it.
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
          description: The CDI specifications of NVIDIA GPUs.
          type: list
          elements: dict
          returned: always
          contains:
            path:
              description: The file.
              type: str
              returned: always
              sample: /var/run/cdi/nvidia.yaml
            cdi_version:
              description:
                - The version of the specification; null where the file names none.
                - An engine leaves out a file that is newer than what it reads.
              type: str
              returned: always
              sample: 0.7.0
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
        start_unit:
          description: Content of the unit that starts servers whose GPUs Docker does not know yet when it starts.
          type: str
          returned: always
        device_links_missing:
          description:
            - The driver's devices that have no link in C(/dev/char).
            - A runc before 1.1.7 takes such devices away from its containers at a C(systemctl daemon-reload).
          type: list
          elements: str
          returned: always
          sample: [nvidia0, nvidiactl]
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
          description: Installed versions of Docker's and the toolkit's packages, by package.
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
          description: Whether cloud-init is installed.
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
          description: Whether it is synchronised, as systemd says; null without systemd's answer.
          type: bool
          returned: always
    firewall:
      description: The firewall that the host's owner manages. Seen with privileges alone.
      type: dict
      returned: when V(firewall) is in O(sections)
      contains:
        name:
          description: V(ufw), V(firewalld) or null, where neither is active.
          type: str
          returned: always
          sample: ufw
        allowed:
          description: Ranges of TCP ports that it opens, first and last; those of firewalld's default zone.
          type: list
          elements: list
          returned: always
          sample: [[22, 22], [8000, 8007]]
        strict_forwarding:
          description: Whether firewalld keeps closed what Docker publishes (C(StrictForwardPorts)).
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
    servers:
      description: The servers of this collection that the host has, running or not, as their state folders describe them.
      type: list
      elements: dict
      returned: when V(servers) is in O(sections)
      contains:
        name:
          description: Its name.
          type: str
          returned: always
          sample: llmfleet-server
        state_dir:
          description: Its state folder.
          type: str
          returned: always
        owner:
          description: The inventory's name of the host that deployed it; null where it was not recorded.
          type: str
          returned: always
        runtime:
          description: V(docker) or V(process).
          type: str
          returned: always
        model:
          description: The model that it serves.
          type: str
          returned: always
        instances:
          description: Name, port and GPUs of each instance.
          type: list
          elements: dict
          returned: always
          contains:
            name:
              description: Its name.
              type: str
              returned: always
            port:
              description: Its port.
              type: int
              returned: always
            gpu_uuids:
              description: The UUIDs of its GPUs.
              type: list
              elements: str
              returned: always
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._files import read_json
from ansible_collections.llmfleet.serving.plugins.module_utils._lease import Holder, held_problem, parsed, take
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.docker import probe_docker
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.firewall import probe_firewall
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.gpu import probe_gpu
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.host import (
    probe_clock,
    probe_cloud_init,
    probe_disk,
    probe_memory,
    probe_os,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.network import probe_url
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.packages import probe_packages
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.ports import probe_ports
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.process import probe_pid_file
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.servers import probe_servers
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.toolkit import probe_toolkit
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import mask

PROBES: dict[str, Callable[[System, dict[str, Any]], Any]] = {
    "os": lambda system, _params: probe_os(system),
    "memory": lambda system, _params: probe_memory(system),
    "disk": lambda system, params: [probe_disk(system, path) for path in params["paths"]],
    "ports": lambda system, params: probe_ports(system, params["ports"]),
    "processes": lambda system, params: [probe_pid_file(system, path) for path in params["pid_files"]],
    "gpu": lambda system, _params: probe_gpu(system),
    "docker": lambda system, params: probe_docker(system, params["images"]),
    "toolkit": lambda system, _params: probe_toolkit(system),
    "packages": lambda system, _params: probe_packages(system),
    "cloud_init": lambda system, _params: probe_cloud_init(system),
    "clock": lambda system, params: probe_clock(system, params["reference_time_s"]),
    "network": lambda _system, params: probe_url(params["url"], params["url_timeout_s"]) if params["url"] else None,
    "firewall": lambda system, _params: probe_firewall(system),
    "servers": lambda system, params: probe_servers(system, params["state_dir"]),
}
LOCK = {
    "state_dir": {"type": "path", "required": True},
    "wait_s": {"type": "float", "default": 0.0},
    "lease_s": {"type": "float", "default": 3600.0},
    "takeover": {"type": "str", "default": ""},
    "holder": {"type": "dict", "default": {}},
}


def locked(module: AnsibleModule, wanted: dict[str, Any]) -> dict[str, Any]:
    """Takes the lock of a server, or fails with who has it."""
    folder, now_s = Path(wanted["state_dir"]), time.time()
    times = {"since_s": now_s, "expires_s": now_s + wanted["wait_s"] + wanted["lease_s"]}
    claim = parsed({"run": "unknown", **wanted["holder"], **times})
    try:
        if claim is None:
            raise ValueError("lock.holder names no run")
        outcome = take(folder, claim, wait_s=wanted["wait_s"], takeover=wanted["takeover"])
    except (UserError, ValueError) as error:
        module.fail_json(msg=str(error))
    if "held" in outcome:
        found = Holder(**outcome["held"])
        remedy = f"take it over: add -e inference_server_lock_takeover={found.run}"
        problem = held_problem(found, Path(outcome["path"]), time.time(), wanted["wait_s"], remedy)
        module.fail_json(msg=str(problem), held=outcome["held"])
    kept = json.dumps(read_json(folder / "facts.d" / "llmfleet_server_good.fact"), sort_keys=True)
    return {"run": claim.run, **outcome, "kept_digest": hashlib.sha256(kept.encode()).hexdigest()}


def main() -> None:
    sections = list(PROBES)
    module = AnsibleModule(
        argument_spec={
            "sections": {"type": "list", "elements": "str", "choices": sections, "default": sections},
            "paths": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "pid_files": {"type": "list", "elements": "str", "default": []},
            "state_dir": {"type": "str"},
            "images": {"type": "list", "elements": "str", "default": []},
            "settings_of": {"type": "str"},
            "reference_time_s": {"type": "float"},
            "url": {"type": "str"},
            "url_timeout_s": {"type": "float", "default": 5.0},
            "lock": {"type": "dict", "options": LOCK},
        },
        supports_check_mode=True,
    )
    system, wanted, lock = System(), module.params["sections"], module.params["lock"]
    taken = locked(module, lock) if lock and not module.check_mode else None
    host = {name: probe(system, module.params) for name, probe in PROBES.items() if name in wanted}
    mask(module, found=host)
    module.exit_json(changed=False, host=host, **({"lock": taken} if lock else {}))


if __name__ == "__main__":
    main()
