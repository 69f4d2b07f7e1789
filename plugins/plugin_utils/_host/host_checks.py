# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight's checks of a host apart from its GPUs: each looks at one thing and gives one verdict. Pure."""

from __future__ import annotations

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import ANOTHER_PORT

from .._gpu_choice import is_own
from .._ownership import container_problems, containers_of, port_holders, server_port_problem
from .checks import Check, Host, Verdict, Want, failed, judge, passed, skip

SUPPORTED_OS = {
    ("ubuntu", "22.04"),
    ("ubuntu", "24.04"),
    ("debian", "12"),
    ("debian", "13"),
    ("rhel", "9"),
    ("rocky", "9"),
    ("almalinux", "9"),
}

# The name of the image that a container was deployed with; Docker itself knows it by its ID alone.
IMAGE_LABEL = "org.llmfleet.image"

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _check_os(host: Host, want: Want) -> Verdict:
    system = host["os"]
    if not want["gpu"]["required"]:
        return skip(f"any system will do without a GPU ({system['pretty_name']})")
    major = (system["version"] or "").partition(".")[0] if system["family"] == "rhel" else system["version"]
    return judge(
        (system["distribution"], major) in SUPPORTED_OS,
        system["pretty_name"],
        "Ubuntu 22.04 or 24.04, Debian 12 or 13, RHEL, Rocky or AlmaLinux 9",
        "install one of these, or set gpu_preflight_severities: {os_supported: warning} and the modes docker_engine_mode and "
        "nvidia_container_toolkit_mode to verify, so that nothing is installed",
    )


def _check_memory(host: Host, want: Want) -> Verdict:
    total = host["memory"]["total_mib"]
    if total is None:
        return skip("the system does not say")
    need = want["memory_gib"]
    return judge(
        total >= need * 1024 * 0.97,  # what the kernel keeps for itself is not in the total
        f"{total / 1024:.1f} GiB",
        f"{need} GiB",
        "take a larger host, or lower gpu_preflight_memory_gib",
    )


def _check_disk(host: Host, want: Want) -> Verdict:
    disk = host["docker"]["root_disk"]
    if disk["free_mib"] is None:
        return skip(f"{disk['path']} cannot be measured")
    need = want["disk_free_deployed_gib"] if _is_deployed(host, want) else want["disk_free_gib"]
    return judge(
        disk["free_mib"] >= need * 1024,
        f"{disk['free_mib'] / 1024:.1f} GiB free for {disk['path']}",
        f"{need} GiB",
        "free space on that file system (docker image prune), move Docker with docker_engine_daemon_options: "
        "{data-root: /larger/disk}, or lower gpu_preflight_disk_free_gib (an image is about 30 GiB, the weights 17 GiB)",
    )


def _is_deployed(host: Host, want: Want) -> bool:
    own = [item for item in host["docker"]["containers"] if item["labels"]]
    return any(not want["image"] or item["labels"].get(IMAGE_LABEL) == want["image"] for item in own)


def _check_name(host: Host, want: Want) -> Verdict:
    server = want.get("server")
    if not server:
        return skip("no server is wanted")
    found = container_problems([server], server, containers_of(host), bool(want.get("become")))
    return failed(*found[0]) if found else passed(f"{server} free or ours", "")


def _check_server_ports(host: Host, want: Want) -> Verdict:
    server, ports = want.get("server"), want["ports"]
    held = port_holders(host, server) if server else {}
    first = next((port for port in ports if port in held), None)
    if first is None:
        return passed("the host's other servers have other ports", "")
    return failed(*server_port_problem(first, held[first], host, held, len(ports)))


def _check_ports(host: Host, want: Want) -> Verdict:
    strangers = [stranger for port in want["ports"] for stranger in _strangers(host, port)]
    ends = dict.fromkeys(end for _text, end in strangers)
    wanted = ", ".join(str(port) for port in want["ports"])
    if not wanted:
        return skip("no port is wanted")
    return judge(
        not strangers,
        "; ".join(text for text, _end in strangers) or f"{wanted} free or ours",
        f"port {wanted} free",
        f"stop what holds it ({'; '.join(ends)}), or {ANOTHER_PORT}",
    )


def _strangers(host: Host, port: int) -> list[tuple[str, str]]:
    """Who holds a port and is not one of our own servers, and the command that ends it."""
    publishers = [item for item in host["docker"]["containers"] if port in item["host_ports"]]
    if publishers:
        return [
            (f"port {port} taken by container {item['name']} ({item['image']})", f"docker stop {item['name']}")
            for item in publishers
            if not item["labels"]
        ]
    state = next((item for item in host["ports"] if item["port"] == port), None)
    if state is None or not state["in_use"]:
        return []
    owners = [owner for owner in state["owners"] if not is_own(host, owner)]
    if state["owners"] and not owners:
        return []
    seen = {owner["pid"]: f"process {owner['pid']} ({owner['command']})" for owner in owners if owner["pid"]}
    end = f"sudo kill {' '.join(map(str, seen))}" if seen else f"sudo ss -ltnp 'sport = :{port}' names it"
    return [(f"port {port} taken by {' and '.join(sorted(seen.values())) or 'a process that cannot be seen'}", end)]


def _check_daemon_config(host: Host, _want: Want) -> Verdict:
    config = host["docker"]["daemon_config"]
    return judge(
        config["error"] is None,
        f"{config['path']} {config['error'] or 'is right'}",
        "a JSON object, or no file",
        f"correct or move away {config['path']}; it was not touched",
    )


def _check_reboot(host: Host, _want: Want) -> Verdict:
    asked = host["packages"]["reboot_required"]
    return judge(not asked, "a reboot is asked for" if asked else "none asked for", "none", "reboot when it suits")


def _check_clock(host: Host, want: Want) -> Verdict:
    skew = host["clock"]["skew_s"]
    if skew is None:
        return skip("no reference time")
    limit = want["clock_skew_s"]
    return judge(
        abs(skew) <= limit,
        f"{skew:+.1f} s from the controller",
        f"at most {limit} s",
        "start a time service (systemctl enable --now systemd-timesyncd or chronyd) on the host, or correct the controller's clock",
    )


def _check_hub(host: Host, want: Want) -> Verdict:
    answer = host["network"]
    if want["offline"]:
        return skip("offline mode")
    if answer is None:
        return skip("no address is given")
    proxy = (want.get("proxy") or {}).get("https_proxy")
    way = "correct docker_engine_proxy" if proxy else "open the way, or name a proxy with docker_engine_proxy"
    return judge(
        answer["reachable"],
        f"{answer['url']}{f' through {proxy}' if proxy else ''}: {answer['error'] or answer['http_status']}",
        "an answer",
        f"{way}, name a mirror with gpu_preflight_hub_url, or bring the weights yourself and set gpu_preflight_offline: true",
    )


def _check_firewall(host: Host, want: Want) -> Verdict:
    """Docker's published ports pass by ufw and firewalld, in either direction a surprise; a process does not."""
    firewall, address = host.get("firewall") or {}, want.get("bind_address") or "127.0.0.1"
    if address in LOOPBACK or not firewall.get("name"):
        return skip("the server stays on loopback" if address in LOOPBACK else "neither ufw nor firewalld is active")
    ports = [int(port) for port in want["ports"]]
    closed = [port for port in ports if not any(low <= port <= high for low, high in firewall["allowed"])]
    name, docker = firewall["name"], want.get("runtime", "docker") == "docker"
    if docker and not firewall["strict_forwarding"]:
        return _passed_by(name, address, closed)
    wanted = ", ".join(map(str, ports))
    return judge(
        not closed,
        f"{name} is active and has no rule for port {', '.join(map(str, closed))}"
        if closed
        else f"{name} opens {wanted}",
        f"a rule that lets clients reach port {wanted}",
        _allow(name, closed[0], forwarded=docker) if closed else "",
    )


def _passed_by(name: str, address: str, closed: list[int]) -> Verdict:
    """A port that the owner's firewall seems to close and that Docker opens to every network that reaches the address."""
    port = closed[0] if closed else 0
    return judge(
        not closed,
        f"{name} is active and does not see what Docker publishes: port {', '.join(map(str, closed))} on {address} will be open to "
        "every network that reaches the host"
        if closed
        else f"{name} opens the port, as Docker does",
        f"a rule of {name} that says the same, or a filter where Docker looks",
        "set inference_server_bind_address to an address of the inner network; or let in one network alone: sudo iptables -I DOCKER-USER "
        f"-p tcp -m conntrack --ctorigdstport {port} --ctdir ORIGINAL ! -s 10.0.0.0/8 -j DROP; or, where it is meant to be open: "
        f"{_allow(name, port, forwarded=False)} (docs/operations.md, Firewalls)",
    )


def _allow(name: str, port: int, *, forwarded: bool) -> str:
    if name == "ufw":
        return f"sudo ufw allow from 10.0.0.0/8 to any port {port} proto tcp"
    strict = "set StrictForwardPorts=no in /etc/firewalld/firewalld.conf and " if forwarded else ""
    return f"{strict}sudo firewall-cmd --permanent --add-port={port}/tcp && sudo firewall-cmd --reload"


HOST_CHECKS: dict[str, Check] = {
    "os_supported": _check_os,
    "memory": _check_memory,
    "disk_space": _check_disk,
    "server_name": _check_name,
    "server_port": _check_server_ports,
    "port_free": _check_ports,
    "firewall": _check_firewall,
    "daemon_config": _check_daemon_config,
    "hub_reachable": _check_hub,
    "clock_skew": _check_clock,
    "reboot_required": _check_reboot,
}
