from __future__ import annotations

import copy

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.docker_changes import (
    GUARD_RULE,
    cdi_is_stale,
    daemon_options,
    engine_plan,
    gpu_access,
    toolkit_plan,
)

FOUR = [
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
]
HOST = {
    "os": {"pretty_name": "Ubuntu 24.04", "service_manager": "systemd"},
    "cloud_init": {"status": "done"},
    "gpu": {"driver_version": "580.95.05", "count": 1, "cards": [{"mig_mode": False}]},
    "packages": {
        "manager": "apt",
        "versions": {"docker-ce": "5:28.2.2-1", "docker-ce-cli": "5:28.2.2-1", **dict.fromkeys(FOUR, "1.20.0-1")},
        "held": [],
        "python_modules": {"apt": True, "debian": True, "requests": True},
    },
    "docker": {
        "state": "running",
        "message": None,
        "version": "28.2.2",
        "enabled": True,
        "containers": [],
        "daemon_config": {"path": "/etc/docker/daemon.json", "content": {"live-restore": True}, "error": None},
        "daemon_flags": ["-H", "fd://"],
        "daemon_started_at_s": 2000.0,
    },
    "toolkit": {
        "version": "1.20.0",
        "hook_changed_at_s": 1000.0,
        "cdi_devices": ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1", "nvidia.com/gpu=all"],
        "cdi_specs": [{"path": "/var/run/cdi/nvidia.yaml", "driver_versions": ["580.95.05"], "changed_at_s": 1001.0}],
        "guard_rule": GUARD_RULE,
    },
}
ENGINE = {
    "mode": "install",
    "source": "docker",
    "version": "",
    "version_min": "20.10",
    "hold": False,
    "defaults": {},
    "options": {"live-restore": True},
    "packages": {"docker": ["docker-ce", "docker-ce-cli", "containerd.io"], "distribution": ["docker.io"]},
    "conflicts": {"docker": ["docker.io"], "distribution": ["docker-ce", "docker-ce-cli"]},
    "needs": {"python3-requests": "requests"},
}
TOOLKIT = {
    "mode": "install",
    "version": "",
    "version_tested": "1.20.0",
    "version_min": "1.17.8",
    "hold": False,
    "access": "auto",
    "packages": FOUR,
}


SPEC = {"path": "/etc/cdi/nvidia.yaml", "driver_versions": [], "changed_at_s": 1001.0}


def changed(*changes):
    result = copy.deepcopy(HOST)
    for path, value in changes:
        target = result
        *way, last = path.split(".")
        for step in way:
            target = target[step]
        target[last] = value
    return result


BARE = [
    ("docker.state", "absent"),
    ("docker.version", None),
    ("docker.enabled", None),
    ("docker.daemon_config.content", {}),
    ("packages.versions", {}),
    ("packages.python_modules.requests", False),
]
EMPTY_TOOLKIT = [
    ("toolkit.version", None),
    ("toolkit.cdi_devices", []),
    ("toolkit.cdi_specs", []),
    ("toolkit.hook_changed_at_s", None),
    ("toolkit.guard_rule", None),
    ("packages.versions", {}),
]


def test_a_prepared_host_needs_nothing():
    assert not engine_plan(HOST, ENGINE)["changes"] and not engine_plan(HOST, ENGINE)["problems"]
    assert not toolkit_plan(HOST, TOOLKIT)["changes"] and not toolkit_plan(HOST, TOOLKIT)["problems"]


def test_a_bare_host():
    plan = engine_plan(changed(*BARE), ENGINE)
    assert plan["install"] and plan["config"] and plan["start"] and plan["changes"]
    assert plan["packages"] == ["docker-ce", "docker-ce-cli", "containerd.io"]
    assert plan["needs"] == ["python3-requests"]
    assert plan["problems"] == []


@pytest.mark.parametrize(
    ("changes", "want", "expected"),
    [
        ([], {"version": "28.2"}, {"install": False}),
        (
            [],
            {"version": "29.0.1"},
            {"install": True, "packages": ["docker-ce=*29.0.1*", "docker-ce-cli=*29.0.1*", "containerd.io"]},
        ),
        (
            [("packages.manager", "dnf")],
            {"version": "29.0.1"},
            {"packages": ["docker-ce-29.0.1*", "docker-ce-cli-29.0.1*", "containerd.io"]},
        ),
        ([], {"version_min": "29"}, {"install": True}),
        ([], {"source": "distribution"}, {"install": False, "conflicts": []}),
        ([], {"source": "distribution", "version_min": "29"}, {"conflicts": ["docker-ce", "docker-ce-cli"]}),
        ([("packages.held", ["docker-ce"])], {"hold": True}, {"hold": ["docker-ce-cli", "containerd.io"]}),
        ([("packages.held", ["docker-ce"]), ("docker.version", "19.03")], {}, {"install": True, "hold": ["docker-ce"]}),
        ([("packages.manager", "dnf"), ("packages.held", ["docker-ce"])], {}, {"release": [], "hold": []}),
        (
            [("packages.manager", "dnf"), ("packages.held", ["docker-ce"]), ("docker.version", "19.03")],
            {"hold": True},
            {"release": ["docker-ce"], "hold": ["docker-ce", "docker-ce-cli", "containerd.io"]},
        ),
        ([("docker.state", "stopped")], {}, {"start": True}),
        ([("docker.enabled", False)], {}, {"start": True}),
        ([("docker.enabled", None)], {}, {"start": False}),
        ([], {"options": {"debug": True}}, {"config": True}),
        ([("cloud_init.status", "running")], {}, {"wait_for_first_boot": True}),
        ([("docker.daemon_config.content", {})], {"mode": "verify"}, {"config": False, "changes": False}),
    ],
)
def test_what_differs_in_the_engine(changes, want, expected):
    plan = engine_plan(changed(*changes), {**ENGINE, **want})
    assert {key: plan[key] for key in expected} == expected
    assert plan["problems"] == []


@pytest.mark.parametrize(
    ("changes", "want", "said"),
    [
        ([("docker.daemon_config.error", "not JSON: line 1")], {}, "not touched"),
        ([], {"options": {"hosts": ["fd://"]}}, "command line"),
        ([], {"options": {"live-restore": "yes"}}, "true or false"),
        (BARE, {"packages": {}}, "docker_engine_source"),
        (
            [
                ("packages.versions", {"docker.io": "20.10.24"}),
                ("docker.version", "20.10.24"),
                ("docker.containers", [{"name": "llm"}]),
            ],
            {"version_min": "28"},
            "would stop llm",
        ),
        ([("docker.state", "no_answer"), ("docker.message", "permission denied")], {}, "does not answer"),
        ([*BARE, ("os.service_manager", None)], {}, "no systemd"),
        ([("os.service_manager", None)], {"options": {"debug": True}}, "no systemd"),
        (BARE, {"mode": "verify"}, "docker_engine_mode: install"),
        ([], {"mode": "verify", "version_min": "29"}, "29 or newer"),
    ],
)
def test_what_is_refused_has_its_remedy(changes, want, said):
    problems = engine_plan(changed(*changes), {**ENGINE, **want})["problems"]
    assert len(problems) == 1
    assert said in problems[0] and "Remedy: " in problems[0]


def test_a_host_without_a_toolkit():
    plan = toolkit_plan(changed(*EMPTY_TOOLKIT), TOOLKIT)
    assert plan["install"] and plan["guard"] and plan["refresh_cdi"]
    assert plan["packages"] == [f"{name}=1.20.0-*" for name in FOUR]
    assert (plan["access"], plan["daemon_options"], plan["cdi_path"]) == ("cdi", {}, "/etc/cdi/nvidia.yaml")


@pytest.mark.parametrize(
    ("changes", "want", "expected"),
    [
        ([("toolkit.version", "1.16.2")], {}, {"install": True}),
        ([("toolkit.version", "1.18.2")], {}, {"install": False}),
        (
            [("toolkit.version", "1.18.2")],
            {"version": "1.19.1"},
            {"install": True, "downgrade": False, "packages": [f"{name}=1.19.1-*" for name in FOUR]},
        ),
        ([], {"version": "1.19.1"}, {"install": True, "downgrade": True}),
        ([], {"version": "1.20.0"}, {"install": False}),
        (
            [("packages.manager", "dnf"), ("packages.held", FOUR)],
            {"version": "1.21.0"},
            {"release": FOUR, "hold": FOUR},
        ),
        ([("packages.manager", "dnf")], {"hold": True}, {"release": [], "hold": FOUR}),
        ([("packages.manager", "dnf"), ("packages.held", FOUR)], {"hold": True}, {"changes": False}),
        ([("packages.versions", {FOUR[0]: "1.20.0-1", FOUR[1]: "1.18.2-1"})], {}, {"install": True}),
        (
            [("packages.manager", "dnf"), ("toolkit.version", None)],
            {},
            {"packages": [f"{name}-1.20.0" for name in FOUR]},
        ),
        ([], {"hold": True}, {"hold": FOUR}),
        ([("packages.held", FOUR)], {"hold": True}, {"hold": []}),
        ([("packages.held", FOUR), ("toolkit.version", "1.16.2")], {"hold": True}, {"install": True, "hold": FOUR}),
        ([("packages.held", FOUR[:1]), ("toolkit.version", "1.16.2")], {}, {"install": True, "hold": FOUR[:1]}),
        ([("docker.version", "26.1.5")], {}, {"config": True, "daemon_options": {"features": {"cdi": True}}}),
        ([("docker.version", "20.10.24+dfsg1")], {}, {"access": "runtime", "config": True, "refresh_cdi": False}),
        ([], {"access": "runtime"}, {"access": "runtime", "config": True, "restart": False}),
        ([("toolkit.hook_changed_at_s", 3000.0)], {"access": "runtime"}, {"restart": True}),
        ([("toolkit.hook_changed_at_s", 3000.0)], {}, {"restart": False, "refresh_cdi": True}),
        ([("gpu.driver_version", "590.1")], {}, {"refresh_cdi": True, "cdi_path": "/var/run/cdi/nvidia.yaml"}),
        ([("toolkit.guard_rule", "old")], {}, {"guard": True}),
        ([("toolkit.guard_rule", None)], {"mode": "verify"}, {"guard": False, "changes": False}),
    ],
)
def test_what_differs_in_the_toolkit(changes, want, expected):
    plan = toolkit_plan(changed(*changes), {**TOOLKIT, **want})
    assert {key: plan[key] for key in expected} == expected
    assert plan["problems"] == []


@pytest.mark.parametrize(
    ("changes", "want", "said"),
    [
        (EMPTY_TOOLKIT, {"mode": "verify"}, "nvidia_container_toolkit_mode: install"),
        ([("docker.version", "20.10.24")], {"access": "cdi"}, "nvidia_container_toolkit_access: auto"),
        ([], {"version": "1.21.0", "mode": "verify"}, "1.21.0 needed"),
        ([], {"version_min": "1.21.0"}, "set nvidia_container_toolkit_version "),
        ([], {"version": "1.17.0"}, "lower nvidia_container_toolkit_version_min"),
    ],
)
def test_a_toolkit_that_is_refused_has_its_remedy(changes, want, said):
    problems = toolkit_plan(changed(*changes), {**TOOLKIT, **want})["problems"]
    assert len(problems) == 1
    assert said in problems[0] and "Remedy: " in problems[0]


@pytest.mark.parametrize(
    ("engine", "toolkit", "wanted", "access"),
    [
        ("28.2.2", "1.20.0", "auto", "cdi"),
        ("25.0.0", "1.14.0", "auto", "cdi"),
        ("24.0.7", "1.20.0", "auto", "runtime"),
        ("28.2.2", "1.13.5", "auto", "runtime"),
        (None, "1.20.0", "auto", "runtime"),
        ("28.2.2", "1.20.0", "runtime", "runtime"),
    ],
)
def test_access(engine, toolkit, wanted, access):
    assert gpu_access(engine, toolkit, wanted) == access


@pytest.mark.parametrize(
    ("access", "engine", "keys"),
    [("cdi", "28.2.2", []), ("cdi", "28.1.1", ["features"]), ("runtime", "20.10.24", ["runtimes"])],
)
def test_daemon_options(access, engine, keys):
    assert list(daemon_options(access, engine)) == keys


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ([], False),
        ([("toolkit.cdi_devices", [])], True),
        ([("gpu.driver_version", "590.1")], True),
        ([("gpu.count", 2)], True),
        ([("gpu.count", 2), ("gpu.cards", [{"mig_mode": True}])], False),
        ([("toolkit.cdi_specs", [SPEC])], False),
        ([("toolkit.hook_changed_at_s", None)], False),
        ([("toolkit.hook_changed_at_s", 1500.0)], True),
        (
            [("toolkit.hook_changed_at_s", 1500.0), ("toolkit.cdi_specs", [SPEC, {**SPEC, "changed_at_s": 1600.0}])],
            False,
        ),
    ],
)
def test_a_stale_specification(changes, stale):
    assert cdi_is_stale(changed(*changes)) is stale
