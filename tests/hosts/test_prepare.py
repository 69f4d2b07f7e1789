# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""prepare.yml on real hosts: what a prepared host costs, and what every refusal says and leaves alone."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.support.progress import say

CALL_LIMIT = 10
CONFIG = "/etc/docker/daemon.json"
CONTAINER = "docker inspect --format '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' "
CARDS = [
    f"GPU {number}: NVIDIA H100 80GB HBM3 (UUID: GPU-0b100000-0000-4000-8000-00000000000{number})" for number in (0, 1)
]
ONE_CARD = ["GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0b100000-0000-4000-8000-000000000002)"]
TOOLKIT = [
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
]
SPECIFICATION = "/etc/cdi/nvidia.yaml"
OLDER_TOOLKIT = f"""
    held=$(apt-mark showhold)
    apt-get install --yes --allow-downgrades --allow-change-held-packages {" ".join(name + "=1.18.2-1" for name in TOOLKIT)}
    test -z "$held" || apt-mark hold $held
    test ! -f {SPECIFICATION} || nvidia-ctk cdi generate --output={SPECIFICATION}
"""


@pytest.fixture
def card(fleet):
    """Puts another driver's answer into a host, and the old one back."""
    changed = []

    def put(host, script):
        fleet.sh(host, f"cp -a /etc/pretend /tmp/pretend; cp -a /usr/bin/nvidia-smi /tmp/nvidia-smi; {script}")
        changed.append(host)

    yield put
    for host in changed:
        fleet.sh(host, "rm -rf /etc/pretend; mv /tmp/pretend /etc/pretend; mv /tmp/nvidia-smi /usr/bin/nvidia-smi")


@pytest.fixture
def container(fleet):
    """Starts containers that do nothing, and removes them at the end."""
    started = []

    def start(host, *options, name="model"):
        fleet.sh(host, f"docker run --detach --name {name} {shlex.join(options)} 127.0.0.1:5000/probe:1 sleep 100000")
        started.append((host, name))
        return fleet.sh(host, CONTAINER + name)

    yield start
    for host, name in started:
        fleet.sh(host, f"docker rm --force {name}")


@pytest.mark.parametrize("host", ["debian12", "debian13", "lived_in"])
def test_a_prepared_host_costs_few_module_calls(fleet, host):
    run = fleet.prepare(host)
    say(f"{host}: prepare on a prepared host took {run.calls[host]} module calls (limit {CALL_LIMIT})")
    assert run.rc == 0, run.output
    assert run.changed(host) == 0
    assert run.calls[host] <= CALL_LIMIT


@pytest.mark.parametrize(
    ("host", "ways"),
    [
        ("debian12", {"--gpus all": ONE_CARD}),
        (
            "debian13",
            {
                "--gpus all": CARDS,
                "--gpus device=1": CARDS[1:],
                "--device nvidia.com/gpu=all": CARDS,
                "--device nvidia.com/gpu=1": CARDS[1:],
                "--device nvidia.com/gpu=GPU-0b100000-0000-4000-8000-000000000001": CARDS[1:],
            },
        ),
    ],
    ids=["debian12", "debian13"],
)
def test_containers_get_their_cards_side_by_side_in_every_way(fleet, container, host, ways):
    for number, way in enumerate(ways):
        container(host, *way.split(), name=f"way{number}")
    seen = {way: fleet.sh(host, f"docker exec way{number} nvidia-smi -L") for number, way in enumerate(ways)}
    assert {way: cards.splitlines() for way, cards in seen.items()} == ways


def test_two_cards_are_in_the_table_in_the_facts_and_in_the_proof(fleet):
    run = fleet.prepare("debian13", "-v")
    assert run.rc == 0, run.output
    line = next(line for line in run.output.splitlines() if line.startswith("debian13 "))
    assert line.split()[1] == "ok" and "2 x NVIDIA H100 80GB HBM3" in line
    assert re.search(r"gpu_preflight_summary:\n[^*]*?  gpu:\n +count: 2\n", run.output)
    assert all(card in run.output for card in CARDS)  # what the proof's container printed


def test_the_preflight_alone_is_a_check_up_of_the_fleet(fleet, small):
    run = fleet.prepare(
        "debian12,debian13,small",
        *("--tags", "preflight"),
        gpu_preflight_disk_free_gib=1,
        gpu_preflight_clock_skew_s=1000,  # a busy test machine takes its time to reach a host, which counts as skew
    )
    assert run.rc == 2
    assert set(run.calls.values()) == {1}
    lines = run.output.splitlines()
    heads = next(place for place, line in enumerate(lines) if line.startswith("host ") and "verdict" in line)
    assert [line.split()[:2] for line in lines[heads + 2 : heads + 5]] == [
        ["small", "failed"],
        ["debian12", "ok"],
        ["debian13", "ok"],
    ]


# The second of two GPUs is a display's.
DISPLAY = "sed -i '0,/H100 80GB HBM3/! s/H100 80GB HBM3/T400 4GB/' /etc/pretend/smi.xml"
XML = "cp /opt/pretend/nvidia_smi/{0} /etc/pretend/smi.xml"
REFUSALS = {
    "driver too old": (
        XML.format("h100.xml") + "; sed -i s/580.95.05/535.216.01/ /etc/pretend/smi.xml",
        {"inference_server_image": "vllm/vllm-openai:v0.32.0"},
        ["driver_version", "driver 535.216.01", "vllm/vllm-openai:v0.32.0-cu129"],
    ),
    "driver much too old": (
        XML.format("a100.xml"),
        {"gpu_profile": {"gpu_class": "a100"}},
        ["driver_version", "driver 470.256.02", "install driver 525"],
    ),
    "driver upgraded under its module": (
        "cp /opt/pretend/nvidia_smi/mismatch.txt /etc/pretend/failure",
        {},
        ["gpu_present", "Driver/library version mismatch", "reboot the host"],
    ),
    "no GPU": ("rm /usr/bin/nvidia-smi", {}, ["gpu_present", "no nvidia-smi", "gpu_preflight_gpu_required"]),
    "wrong card": (XML.format("b200.xml"), {}, ["gpu_matches_profile", "NVIDIA B200", "inventory group"]),
    "named card that is not there": (
        "",
        {"inference_server_gpus": "7"},
        ["gpu_choice", "names 7, which the host has not"],
    ),
    "named card of another class": (
        DISPLAY,
        {"inference_server_gpus": [1]},
        ["gpu_choice", "names GPU 1 (NVIDIA T400 4GB, 80 GiB), and it is not of class h100", "gpu_profile"],
    ),
    "card that does not answer": (
        "sed -i '0,/<gpu_recovery_action>None/ s/<gpu_recovery_action>None/<gpu_recovery_action>[Unknown Error]/' /etc/pretend/smi.xml",
        {},
        ["gpu_healthy", "GPU 0 does not say its recovery action"],
    ),
    "too few cards": ("", {"gpu_preflight_gpu_count": 3}, ["gpu_present", "2 x NVIDIA H100", "Expected: 3 GPU"]),
    "split card": (
        XML.format("a100_mig.xml"),
        {"gpu_profile": {"gpu_class": "a100"}},
        ["mig", "MIG on GPU 0", "nvidia-smi -mig 0"],
    ),
    "two failures at once": (
        XML.format("a100_mig.xml"),
        {"gpu_preflight_memory_gib": 100000},
        ["memory", "mig:", "gpu_matches_profile"],
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_card_that_will_not_do_is_refused(fleet, card, case):
    script, variables, said = REFUSALS[case]
    card("debian13", script)
    before = fleet.fingerprint("debian13")
    run = fleet.prepare("debian13", **variables)
    assert run.rc != 0
    for words in (*said, "Remedy: "):
        assert words in run.output
    assert fleet.fingerprint("debian13") == before


def test_a_display_card_is_left_alone_and_named(fleet, card):
    card("debian13", DISPLAY)
    run = fleet.prepare("debian13", "--tags", "preflight", gpu_preflight_clock_skew_s=1000)
    assert run.rc == 0, run.output
    line = next(line for line in run.output.splitlines() if line.startswith("debian13 ") and " x " in line)
    assert "1 x NVIDIA H100 80GB HBM3" in line
    assert run.output.count("left alone on debian13: GPU 1 (NVIDIA T400 4GB, 80 GiB): not of class h100") == 1


@pytest.fixture
def bus(fleet):
    """Puts one GPU more than nvidia-smi reports on a host's PCI bus, bound to a driver or to none, and takes it off."""
    hosts = []

    def put(host, driver):
        hosts.append(host)
        offered = fleet.sh(host, "sed -n 's#.*<pci_bus_id>0000\\(.*\\)</.*#\\1#p' /etc/pretend/smi.xml").split()
        for address, bound_to in [*((each, "nvidia") for each in offered), ("0000:7f:00.0", driver)]:
            device = f"/run/pci/{address.lower()}"
            bound = f"ln -s /sys/bus/pci/drivers/{bound_to} {device}/driver" if bound_to else ":"
            fleet.sh(host, f"mkdir -p {device}; echo 0x10de >{device}/vendor; echo 0x030200 >{device}/class; {bound}")
        fleet.sh(host, "mount --bind /run/pci /sys/bus/pci/devices")

    yield put
    for host in hosts:
        fleet.sh(host, "umount /sys/bus/pci/devices; rm -rf /run/pci")


@pytest.mark.parametrize(
    ("driver", "fault"),
    [("vfio-pci", None), ("nvidia", "0000:7f:00.0 (nvidia), which"), (None, "0000:7f:00.0 (no driver), which")],
)
def test_a_gpu_lent_to_a_virtual_machine_is_no_fault_and_a_lost_one_is(fleet, bus, driver, fault):
    bus("debian13", driver)
    run = fleet.prepare("debian13", "--tags", "preflight", gpu_preflight_clock_skew_s=1000)
    if fault is None:
        assert run.rc == 0, run.output
        return
    assert run.rc != 0
    assert f"gpu_present: 2 x NVIDIA H100 80GB HBM3, and on the PCI bus {fault} the driver does not offer" in run.output
    severities = {"gpu_present": "warning"}  # as the message says to serve on the others meanwhile
    run = fleet.prepare(
        "debian13", "--tags", "preflight", gpu_preflight_clock_skew_s=1000, gpu_preflight_severities=severities
    )
    assert run.rc == 0, run.output


def test_a_port_that_is_taken_is_refused_with_its_owner(fleet):
    fleet.sh("debian13", "systemd-run --quiet --unit=squatter python3 -m http.server 8000")
    fleet.sh("debian13", "until ss --listening --tcp --numeric | grep -q :8000; do sleep 0.1; done")
    before = fleet.fingerprint("debian13")
    run = fleet.prepare("debian13")
    after = fleet.fingerprint("debian13")
    fleet.sh("debian13", "systemctl stop squatter")
    assert run.rc != 0
    for words in ("port_free", "python3 -m http.server 8000", "inference_server_port"):
        assert words in run.output
    assert after == before


def test_a_file_that_is_no_json_is_refused_and_left_alone(fleet):
    fleet.sh("debian13", f"cp {CONFIG} /tmp/good; echo '{{,}}' >{CONFIG}")
    before = fleet.fingerprint("debian13")
    run = fleet.prepare("debian13")
    after = fleet.fingerprint("debian13")
    fleet.sh("debian13", f"cat /tmp/good >{CONFIG}")
    assert run.rc != 0
    assert "not JSON" in run.output and "Remedy: " in run.output
    assert after == before


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("debian13", "dockerd refuses the configuration"),
        ("debian12", "did not come back"),  # an engine too old for --validate: started, refused, taken back
    ],
)
def test_an_option_that_the_engine_refuses_costs_no_container(fleet, container, host, said):
    model, before = container(host), fleet.fingerprint(host)
    run = fleet.prepare(host, docker_engine_daemon_options={"no-such-option": 1})
    assert run.rc != 0
    assert said in run.output and "no-such-option" in run.output
    assert fleet.fingerprint(host) == before
    assert fleet.sh(host, CONTAINER + "model") == model


def test_a_container_lives_through_every_change_of_the_settings(fleet, container):
    model = container("debian12")
    run = fleet.prepare(
        "debian12", docker_engine_log_max_size="20m", docker_engine_daemon_options={"debug": False, "mtu": 1450}
    )
    assert run.rc == 0, run.output
    config = json.loads(fleet.sh("debian12", f"cat {CONFIG}"))
    assert (config["mtu"], config["log-opts"]["max-size"]) == (1450, "50m")  # the role's default yields to the file
    assert fleet.sh("debian12", CONTAINER + "model") == model
    say(f"debian12: a running container had 0 restarts, its process {model.split()[0]} is the same")


@pytest.mark.parametrize(
    ("host", "way", "cards", "changed"),
    [
        ("debian12", "--gpus all", ONE_CARD, 2),  # the packages, the engine's restart for the new hook
        ("debian13", "--device nvidia.com/gpu=all", CARDS, 3),  # the packages, their hold, the CDI specification
    ],
    ids=["debian12", "debian13"],
)
def test_an_older_toolkit_is_upgraded_as_a_whole_under_a_running_container(fleet, container, host, way, cards, changed):
    state = "dpkg-query --show --showformat '${Version} ${db:Status-Want}\\n' " + " ".join(TOOLKIT)
    before = fleet.sh(host, state)
    fleet.sh(host, OLDER_TOOLKIT)
    assert fleet.sh(host, state) == before.replace("1.20.0", "1.18.2")
    model = container(host, *way.split())

    wanted = {"nvidia_container_toolkit_version": "1.20.0", "nvidia_container_toolkit_version_min": "1.18.0"}
    first = fleet.prepare(host, "-v", **wanted)
    assert first.rc == 0, first.output
    assert first.changed(host) == changed, first.output
    assert all(card in first.output for card in cards)  # what the proof's container printed
    assert fleet.sh(host, state) == before
    assert "1.18.2" not in fleet.sh(host, f"cat {SPECIFICATION} 2>/dev/null || :")
    second = fleet.prepare(host, **wanted)
    assert (second.rc, second.changed(host)) == (0, 0), second.output
    assert fleet.sh(host, CONTAINER + "model") == model
    assert fleet.sh(host, "docker exec model nvidia-smi -L").splitlines() == cards
    say(f"{host}: the toolkit was upgraded; a running container had 0 restarts and keeps its {len(cards)} card(s)")


def test_a_disk_that_is_full_is_refused(fleet, small):
    before = fleet.fingerprint(small)
    run = fleet.prepare(small, gpu_preflight_disk_free_gib=1)
    assert run.rc != 0
    for words in ("disk_space", "/var/lib/docker", "docker image prune"):
        assert words in run.output
    assert fleet.fingerprint(small) == before


def test_check_mode_predicts_and_changes_nothing_on_a_bare_host(fleet, small):
    before = fleet.fingerprint(small)
    run = fleet.prepare(small, "--check", gpu_preflight_disk_free_gib=0)
    assert run.rc == 0, run.output
    assert run.changed(small) >= 4
    assert "docker.io" in run.output and "nvidia-container-toolkit" in run.output
    assert fleet.fingerprint(small) == before


def test_verify_mode_refuses_a_bare_host_and_changes_nothing(fleet, small):
    before = fleet.fingerprint(small)
    run = fleet.prepare(small, gpu_preflight_disk_free_gib=0, docker_engine_mode="verify")
    assert run.rc != 0
    assert "docker_engine_mode: install" in run.output
    assert fleet.fingerprint(small) == before


def test_verify_mode_accepts_a_prepared_host(fleet):
    run = fleet.prepare("lived_in", docker_engine_mode="verify", nvidia_container_toolkit_mode="verify")
    assert run.rc == 0, run.output
    assert run.changed("lived_in") == 0


def test_a_new_driver_gets_a_new_cdi_specification(fleet, card):
    card("debian13", "sed -i s/580.95.05/590.48.01/ /etc/pretend/smi.xml")
    try:
        run = fleet.prepare("debian13")
        assert run.rc == 0, run.output
        assert "libcuda.so.590.48.01" in fleet.sh("debian13", f"cat {SPECIFICATION}")
        assert fleet.prepare("debian13").changed("debian13") == 0
    finally:
        fleet.sh("debian13", f"rm {SPECIFICATION}")


def test_a_specification_that_the_engine_cannot_read_is_written_again(fleet):
    """What the engine says of versions is the engine's own word: the table in _version_floors.py must agree with it."""
    gpu = "docker run --rm --device nvidia.com/gpu=all 127.0.0.1:5000/probe:1 nvidia-smi -L 2>&1 || :"
    assert fleet.prepare("debian13").rc == 0
    assert fleet.sh("debian13", f"grep -c additionalGids {SPECIFICATION}") != "0\n"  # 0.7.0, which this engine reads
    assert fleet.sh("debian13", gpu).splitlines() == CARDS
    fleet.sh("debian13", f"sed -i '/cdiVersion/ s/0.7.0/0.8.0/' {SPECIFICATION}")
    assert "unresolvable CDI devices" in fleet.sh("debian13", gpu)
    run = fleet.prepare("debian13")
    assert run.rc == 0, run.output
    assert "(cdi_specification)" in run.output
    assert run.changed("debian13") == 1
    assert fleet.sh("debian13", gpu).splitlines() == CARDS
    assert fleet.prepare("debian13").changed("debian13") == 0


def test_a_toolkit_that_is_newer_than_the_engine_is_said_to_be(fleet, card):
    card("debian13", f"echo 0.8.0 >/etc/pretend/cdi_version; rm -f {SPECIFICATION}")
    try:
        run = fleet.prepare("debian13")
        assert run.rc != 0
        assert "unresolvable CDI devices" in run.output and "the toolkit is newer than Docker can read" in run.output
    finally:
        fleet.sh("debian13", f"rm -f {SPECIFICATION}")


def test_a_container_that_gets_no_gpu_is_told_with_the_remedy(fleet):
    before = fleet.fingerprint("lived_in")
    run = fleet.prepare("lived_in", nvidia_container_toolkit_probe_image="127.0.0.1:5000/none:1")
    assert run.rc != 0
    assert "nvidia_container_toolkit_probe_image" in run.output
    assert fleet.fingerprint("lived_in") == before


def test_a_container_from_before_the_first_run_lives_after_the_last(fleet):
    was, is_now = fleet.sh("lived_in", f"cat /opt/pretend/survivor; {CONTAINER} survivor").splitlines()
    assert is_now == was
    say(f"lived_in: a container from before the first run has {is_now.split()[-1]} restarts after the last")
