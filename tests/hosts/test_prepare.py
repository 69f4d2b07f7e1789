"""prepare.yml on real hosts: what a prepared host costs, and what every refusal says and leaves alone."""

from __future__ import annotations

import json

import pytest

from tests.support.progress import say

CALL_LIMIT = 10
CONFIG = "/etc/docker/daemon.json"
CONTAINER = "docker inspect --format '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' "


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


@pytest.mark.parametrize("host", ["debian12", "debian13", "lived_in"])
def test_a_prepared_host_costs_few_module_calls(fleet, host):
    run = fleet.prepare(host)
    say(f"{host}: prepare on a prepared host took {run.calls[host]} module calls (limit {CALL_LIMIT})")
    assert run.rc == 0, run.output
    assert run.changed(host) == 0
    assert run.calls[host] <= CALL_LIMIT


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


XML = "cp /opt/pretend/nvidia_smi/{0} /etc/pretend/smi.xml"
REFUSALS = {
    "driver too old": (
        XML.format("h100.xml") + "; sed -i s/580.95.05/535.216.01/ /etc/pretend/smi.xml",
        {"inference_server_image": "vllm/vllm-openai:v0.32.0"},
        ["driver_version", "driver 535.216.01", "vllm/vllm-openai:v0.32.0-cu129"],
    ),
    "driver much too old": (
        XML.format("a100.xml"),
        {"gpu_profile": {}},
        ["driver_version", "driver 470.256.02", "install driver 525"],
    ),
    "driver upgraded under its module": (
        "cp /opt/pretend/nvidia_smi/mismatch.txt /etc/pretend/failure",
        {},
        ["gpu_present", "Driver/library version mismatch", "reboot the host"],
    ),
    "no GPU": ("rm /usr/bin/nvidia-smi", {}, ["gpu_present", "no nvidia-smi", "gpu_preflight_gpu_required"]),
    "wrong card": (XML.format("b200.xml"), {}, ["gpu_matches_profile", "NVIDIA B200", "inventory group"]),
    "split card": (XML.format("a100_mig.xml"), {"gpu_profile": {}}, ["mig", "MIG on card 0", "nvidia-smi -mig 0"]),
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
def test_an_option_that_the_engine_refuses_costs_no_container(fleet, host, said):
    fleet.sh(host, "docker run --detach --name model 127.0.0.1:5000/probe:1 sleep 100000")
    try:
        model, settings = fleet.sh(host, CONTAINER + "model"), fleet.sh(host, f"cat {CONFIG}")
        run = fleet.prepare(host, docker_engine_daemon_options={"no-such-option": 1})
        assert run.rc != 0
        assert said in run.output and "no-such-option" in run.output
        assert fleet.sh(host, f"cat {CONFIG}") == settings
        assert fleet.sh(host, CONTAINER + "model") == model
    finally:
        fleet.sh(host, "docker rm --force model")


def test_a_container_lives_through_every_change_of_the_settings(fleet):
    fleet.sh("debian12", "docker run --detach --name model 127.0.0.1:5000/probe:1 sleep 100000")
    try:
        model = fleet.sh("debian12", CONTAINER + "model")
        run = fleet.prepare(
            "debian12", docker_engine_log_max_size="20m", docker_engine_daemon_options={"debug": False, "mtu": 1450}
        )
        assert run.rc == 0, run.output
        config = json.loads(fleet.sh("debian12", f"cat {CONFIG}"))
        assert (config["mtu"], config["log-opts"]["max-size"]) == (1450, "50m")  # the role's default yields to the file
        assert fleet.sh("debian12", CONTAINER + "model") == model
        say(f"debian12: a running container had 0 restarts, its process {model.split()[0]} is the same")
    finally:
        fleet.sh("debian12", "docker rm --force model")


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
        assert "libcuda.so.590.48.01" in fleet.sh("debian13", "cat /etc/cdi/nvidia.yaml")
        assert fleet.prepare("debian13").changed("debian13") == 0
    finally:
        fleet.sh("debian13", "rm /etc/cdi/nvidia.yaml")


def test_a_container_that_gets_no_gpu_is_told_with_the_remedy(fleet):
    run = fleet.prepare("lived_in", nvidia_container_toolkit_probe_image="127.0.0.1:5000/none:1")
    assert run.rc != 0
    assert "nvidia_container_toolkit_probe_image" in run.output
