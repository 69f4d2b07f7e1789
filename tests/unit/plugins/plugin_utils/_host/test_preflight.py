from __future__ import annotations

import copy

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.preflight import (
    CHECKS,
    evaluate,
    failures,
    message,
    summary,
    table,
    verdict_of,
)

OURS, THEIRS = "ab" * 32, "cd" * 32
CARD = {
    "index": 0,
    "name": "NVIDIA H100 80GB HBM3",
    "architecture": "Hopper",
    "mig_mode": False,
    "mig_mode_pending": False,
    "persistence_mode": True,
    "recovery_action": None,
    "ecc_uncorrectable_volatile": 0,
    "row_remap_pending": False,
    "row_remap_failure": False,
    "power_limit_w": 700.0,
    "power_limit_default_w": 700.0,
    "fabric_state": None,
    "compute_processes": [],
}
HOST = {
    "os": {"distribution": "ubuntu", "version": "24.04", "family": "debian", "pretty_name": "Ubuntu 24.04.3 LTS"},
    "memory": {"total_mib": 225000},
    "ports": [{"port": 8000, "in_use": False, "owners": []}],
    "processes": [{"path": "/x", "pid": None}],
    "gpu": {
        "state": "present",
        "message": None,
        "count": 1,
        "cards": [CARD],
        "driver_version": "580.95.05",
        "library_version": "580.95.05",
        "kernel_module": {"version": "580.95.05", "flavour": "open"},
        "pci_count": 1,
        "nvswitch_count": 0,
        "fabric_manager": {"installed": False, "active": False, "version": None},
    },
    "docker": {
        "version": "28.2.2",
        "root_disk": {"path": "/var/lib/docker", "free_mib": 900000},
        "containers": [],
        "daemon_config": {"path": "/etc/docker/daemon.json", "error": None},
    },
    "toolkit": {"version": "1.20.0"},
    "packages": {"reboot_required": False},
    "clock": {"skew_s": 0.4},
    "network": {"url": "https://hub", "reachable": True, "http_status": 200, "error": None},
}
WANT = {
    "gpu": {
        "required": True,
        "count": 1,
        "mig": False,
        "profile": {"gpu_class": "h100", "name": "NVIDIA H100", "name_pattern": "H100"},
    },
    "image": "vllm/vllm-openai:v0.32.0",
    "ports": [8000],
    "disk_free_gib": 100.0,
    "disk_free_deployed_gib": 10.0,
    "memory_gib": 16.0,
    "clock_skew_s": 10.0,
    "offline": False,
}
LABELS = {"org.llmfleet.spec": "1", "org.llmfleet.image": WANT["image"]}
OWN = {"id": OURS, "name": "llm", "image": "sha256:5d58c024", "labels": LABELS, "host_ports": [8000]}
FOREIGN = {"id": THEIRS, "name": "web", "image": "nginx", "labels": {}, "host_ports": [8000]}


def changed(base, *changes):
    """A copy with values put at dotted paths; a number in a path is a place in a list."""
    result = copy.deepcopy(base)
    for path, value in changes:
        target = result
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in way:
            target = target[step]
        target[last] = value
    return result


def check_of(name, host, want=WANT, severities=None):
    return next(check for check in evaluate(host, want, severities or {}) if check["name"] == name)


def process(**values):
    return {
        "pid": 7,
        "type": "C",
        "name": "python",
        "memory_used_mib": 10,
        "session_id": 7,
        "container_id": None,
        **values,
    }


def owner(**values):
    return {"address": "0.0.0.0", "pid": 7, "command": "python3 -m x", "session_id": 7, "container_id": None, **values}


def port_taken(**values):
    return ("ports", [{"port": 8000, "in_use": True, "owners": [owner(**values)]}])


def test_a_right_host_passes_everything():
    checks = evaluate(HOST, WANT, {})
    assert [check["name"] for check in checks if check["status"] == "fail"] == []
    assert [check["name"] for check in checks] == list(CHECKS)
    assert verdict_of(checks) == "ok"


FAILING = [
    ("os_supported", [("os.version", "20.04")], "docker_engine_mode"),
    ("memory", [("memory.total_mib", 8000)], "larger host"),
    ("disk_space", [("docker.root_disk.free_mib", 50000)], "docker image prune"),
    ("port_free", [port_taken()], "inference_server_port"),
    ("port_free", [port_taken(pid=None, command=None)], "inference_server_port"),
    ("port_free", [("docker.containers", [FOREIGN])], "inference_server_port"),
    ("daemon_config", [("docker.daemon_config.error", "not JSON")], "mend"),
    ("hub_reachable", [("network.reachable", False), ("network.error", "timed out")], "gpu_preflight_offline"),
    ("clock_skew", [("clock.skew_s", -75.0)], "time service"),
    ("reboot_required", [("packages.reboot_required", True)], "reboot"),
    ("gpu_present", [("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0)], "gpu_preflight_gpu_required"),
    ("gpu_present", [("gpu.state", "driver_library_mismatch"), ("gpu.cards", []), ("gpu.count", 0)], "reboot"),
    ("gpu_present", [("gpu.state", "driver_not_loaded"), ("gpu.cards", []), ("gpu.count", 0)], "install the driver"),
    ("gpu_present", [("gpu.state", "timeout"), ("gpu.cards", []), ("gpu.count", 0)], "reboot"),
    ("gpu_present", [("gpu.state", "failed"), ("gpu.cards", []), ("gpu.count", 0)], "nvidia-smi"),
    ("gpu_present", [("gpu.state", "no_device"), ("gpu.cards", []), ("gpu.count", 0)], "nvrm"),
    ("gpu_present", [("gpu.pci_count", 2)], "nvrm"),
    ("gpu_matches_profile", [("gpu.cards.0.name", "NVIDIA A100-SXM4-40GB")], "inventory group"),
    ("gpu_healthy", [("gpu.cards.0.recovery_action", "Reset")], "reset"),
    ("gpu_healthy", [("gpu.cards.0.ecc_uncorrectable_volatile", 2)], "reset"),
    ("gpu_healthy", [("gpu.cards.0.row_remap_failure", True)], "exchanged"),
    ("row_remap", [("gpu.cards.0.row_remap_pending", True)], "reset"),
    ("driver_version", [("gpu.driver_version", "535.216.01")], "v0.32.0-cu129"),
    ("driver_version", [("gpu.driver_version", "470.256.02")], "install driver 580"),
    ("driver_module", [("gpu.kernel_module.version", "575.57.08")], "reboot"),
    (
        "driver_module",
        [("gpu.cards.0.architecture", "Blackwell"), ("gpu.kernel_module.flavour", "proprietary")],
        "open flavour",
    ),
    ("mig", [("gpu.cards.0.mig_mode", True)], "nvidia-smi -mig 0"),
    ("mig_pending", [("gpu.cards.0.mig_mode_pending", True)], "reset"),
    ("compute_processes", [("gpu.cards.0.compute_processes", [process()])], "stop it"),
    (
        "compute_processes",
        [("gpu.cards.0.compute_processes", [process(container_id=THEIRS)]), ("docker.containers", [FOREIGN])],
        "stop it",
    ),
    ("fabric_manager", [("gpu.nvswitch_count", 4)], "580.95.05"),
    ("fabric_manager", [("gpu.cards.0.fabric_state", "In Progress")], "580.95.05"),
    (
        "fabric_manager",
        [
            ("gpu.cards.0.fabric_state", "Completed"),
            ("gpu.fabric_manager", {"installed": True, "active": True, "version": "575.57.08"}),
        ],
        "580.95.05",
    ),
    ("persistence_mode", [("gpu.cards.0.persistence_mode", False)], "nvidia-persistenced"),
    ("power_limit", [("gpu.cards.0.power_limit_w", 500.0)], "nvidia-smi -pl"),
]


@pytest.mark.parametrize(
    ("name", "changes", "remedy"), FAILING, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_failure_has_its_remedy(name, changes, remedy):
    check = check_of(name, changed(HOST, *changes))
    assert check["status"] == "fail"
    assert check["found"] and check["needed"]
    assert remedy in check["remedy"]


def test_the_table_covers_every_check():
    assert {name for name, _changes, _remedy in FAILING} == set(CHECKS)


PASSING = [
    ("port_free", [("docker.containers", [OWN])], {}),
    ("port_free", [port_taken(container_id=OURS), ("docker.containers", [{**OWN, "host_ports": []}])], {}),
    ("port_free", [port_taken(session_id=70), ("processes.0.pid", 70)], {}),
    ("compute_processes", [("gpu.cards.0.compute_processes", [process(session_id=70)]), ("processes.0.pid", 70)], {}),
    (
        "compute_processes",
        [("gpu.cards.0.compute_processes", [process(container_id=OURS)]), ("docker.containers", [OWN])],
        {},
    ),
    ("disk_space", [("docker.root_disk.free_mib", 20000), ("docker.containers", [OWN])], {}),
    (
        "os_supported",
        [("os", {"distribution": "rocky", "version": "9.6", "family": "rhel", "pretty_name": "Rocky"})],
        {},
    ),
    ("driver_version", [("gpu.driver_version", "535.216.01")], {"image": "vllm/vllm-openai:v0.32.0-cu129"}),
    ("driver_version", [("gpu.driver_version", "535.216.01")], {"image": ""}),
    (
        "fabric_manager",
        [
            ("gpu.cards.0.fabric_state", "Completed"),
            ("gpu.nvswitch_count", 4),
            ("gpu.fabric_manager", {"installed": True, "active": True, "version": "580.95.05"}),
        ],
        {},
    ),
]


@pytest.mark.parametrize(("name", "changes", "want"), PASSING)
def test_what_is_right_all_the_same(name, changes, want):
    assert check_of(name, changed(HOST, *changes), {**WANT, **want})["status"] == "pass"


def test_a_host_without_a_profile_is_refused_with_the_remedy():
    problem = {"found": "no GPU profile", "expected": "a group of a class", "remedy": "set gpu_profile"}
    wanted = {**WANT, "gpu": {**WANT["gpu"], "profile": {}, "profile_problem": problem}}
    check = check_of("gpu_matches_profile", HOST, wanted)
    assert (check["status"], check["severity"]) == ("fail", "error")
    assert (check["found"], check["needed"], check["remedy"]) == tuple(problem.values())


@pytest.mark.parametrize(
    ("name", "changes", "want"),
    [
        ("hub_reachable", [("network", None)], {}),
        ("hub_reachable", [("network.reachable", False)], {"offline": True}),
        ("port_free", [], {"ports": []}),
        ("memory", [("memory.total_mib", None)], {}),
        ("disk_space", [("docker.root_disk.free_mib", None)], {}),
        ("clock_skew", [("clock.skew_s", None)], {}),
        ("gpu_matches_profile", [], {"gpu": {**WANT["gpu"], "profile": {}}}),
        ("mig", [("gpu.cards.0.mig_mode", True)], {"gpu": {**WANT["gpu"], "mig": True}}),
        ("driver_module", [("gpu.kernel_module.version", None)], {}),
        ("driver_version", [("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0)], {}),
        (
            "compute_processes",
            [("gpu.cards.0.compute_processes", [process()])],
            {"gpu": {**WANT["gpu"], "required": False}},
        ),
        (
            "gpu_present",
            [("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0)],
            {"gpu": {**WANT["gpu"], "required": False}},
        ),
    ],
)
def test_what_cannot_be_judged_is_skipped(name, changes, want):
    check = check_of(name, changed(HOST, *changes), {**WANT, **want})
    assert (check["status"], check["remedy"]) == ("skip", "")


def test_blackwell_needs_its_own_driver():
    host = changed(HOST, ("gpu.cards.0.architecture", "Blackwell"), ("gpu.driver_version", "550.54.15"))
    check = check_of("driver_version", host, {**WANT, "image": "vllm/vllm-openai:v0.32.0-cu129"})
    assert check["status"] == "fail" and "Blackwell" in check["needed"]


def test_severities_can_be_changed():
    host = changed(HOST, ("packages.reboot_required", True), ("memory.total_mib", 1))
    checks = evaluate(host, WANT, {"reboot_required": "error", "memory": "ignore"})
    assert [check["name"] for check in failures(checks, "error")] == ["reboot_required"]
    assert check_of("memory", host, severities={"memory": "ignore"})["status"] == "skip"


def test_one_message_has_all_failures():
    host = changed(HOST, ("memory.total_mib", 1), ("gpu.driver_version", "470.1"), ("packages.reboot_required", True))
    text = message("gpu-01", evaluate(host, WANT, {}))
    assert "gpu-01: 2 of" in text and "memory" in text and "driver_version" in text
    assert "reboot_required" not in text


def test_the_summary_and_the_table():
    good = summary(HOST, evaluate(HOST, WANT, {}))
    broken = changed(HOST, ("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0), ("gpu.driver_version", None))
    bad = summary(broken, evaluate(broken, WANT, {}))
    slow = changed(HOST, ("gpu.cards.0.persistence_mode", False))
    warned = summary(slow, evaluate(slow, WANT, {}))
    assert (good["verdict"], bad["verdict"], warned["verdict"]) == ("ok", "failed", "warned")
    assert bad["failed"] == ["gpu_present"] and warned["warned"] == ["persistence_mode"]
    lines = table([("a", good), ("b", warned), ("c", bad), ("d", None)]).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["d", "c", "b", "a"]
    assert "unreached" in lines[2] and "gpu_present" in lines[3] and "(persistence_mode)" in lines[4]
    assert "1 x NVIDIA H100 80GB HBM3" in lines[5]
