from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils import _server_spec as spec

ROOT = Path(__file__).resolve().parents[4]
ROLE = ROOT / "roles" / "inference_server"
SOURCE = ROOT / "tests" / "unit" / "fixtures" / "source_commands.txt"

NO_GPU = {"cards": [], "count": 0, "driver_version": None}
ONE_GPU = {
    "cards": [{"name": "NVIDIA H100 80GB HBM3", "uuid": "GPU-1"}],
    "count": 1,
    "driver_version": "580.95.05",
}


def host(gpu=NO_GPU, ports=()):
    return {"gpu": gpu, "ports": list(ports)}


def engine(backend):
    return yaml.safe_load((ROLE / "vars" / "backends" / f"{backend}.yml").read_text())["__inference_server_engine"]


def recipe(name="LFM2.5-8B-A1B"):
    return yaml.safe_load((ROLE / "vars" / "recipes" / f"{name}.yml").read_text())["__inference_server_recipe"]


def profile(gpu_class):
    return yaml.safe_load((ROOT / "group_vars" / f"{gpu_class}.yml").read_text())["gpu_profile"]


def want(**changes):
    backend = changes.get("backend", "vllm")
    return {
        "name": "llmfleet-server",
        "backend": backend,
        "runtime": "process" if backend == "simulator" else "docker",
        "release": "stable",
        "intent": "benchmark",
        "model": "LiquidAI/LFM2.5-8B-A1B",
        "served_model_name": "lfm25_8b_a1b",
        "tensor_parallel_size": 1,
        "extra_args": [],
        "env": {},
        "image": "",
        "hf_cache_dir": "~/.cache/huggingface",
        "volumes": [],
        "command": [],
        "bind_address": "127.0.0.1",
        "port": 8000,
        "api_key_file": "",
        "simulator": {},
        "python": "/usr/bin/python3",
        "server_dir": "/state/llmfleet-server",
        **changes,
    }


def make(gpu_class="h100", gpu=ONE_GPU, recipe_=None, ports=(), previous=None, **changes):
    wanted = want(**changes)
    return spec.server_spec(
        wanted,
        engine(wanted["backend"]) if wanted["backend"] in spec.BACKENDS else {},
        recipe() if recipe_ is None else recipe_,
        profile(gpu_class),
        host(gpu, ports),
        previous or {},
    )


def source_command(backend):
    """The page's command for a backend, as tokens."""
    commands = SOURCE.read_text().replace("\\\n", " ").strip().splitlines()
    found = [shlex.split(line) for line in commands if f"{'lmsysorg' if backend == 'sglang' else 'vllm'}/" in line]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("gpu_class", ["b200", "h100", "a100"])
@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_published_is_the_source_token_for_token(backend, gpu_class):
    # The page opens the port to the network without a key; the role refuses that, so the pure parts are asked here.
    wanted = want(backend=backend, release="published", bind_address="0.0.0.0")
    made = spec._docker_spec(wanted, engine(backend), recipe(), profile(gpu_class), "580.95.05")
    assert spec.docker_run_command({**made, "env": {}}) == source_command(backend)


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_published_differs_from_the_source_by_the_loopback_address_alone(backend):
    made = spec.docker_run_command(make(backend=backend, release="published"))
    assert [token for token in made if token not in source_command(backend)] == ["127.0.0.1:8000:8000"]
    assert make(backend=backend, release="published")["warnings"]


@pytest.mark.parametrize(
    ("driver", "backend", "image"),
    [
        ("580.95.05", "vllm", "vllm/vllm-openai:v0.32.0"),
        ("570.1", "vllm", "vllm/vllm-openai:v0.32.0-cu129"),
        ("535.230.02", "sglang", "lmsysorg/sglang:v0.5.23-cu129"),
        (None, "vllm", "vllm/vllm-openai:v0.32.0"),
    ],
)
def test_the_driver_decides_the_image(driver, backend, image):
    assert make(backend=backend, gpu={**ONE_GPU, "driver_version": driver})["image"] == image


def test_a_driver_too_old_for_every_image_is_refused_with_the_remedy():
    with pytest.raises(spec.SpecError, match=r"470\.1.*525.*upgrade the driver"):
        make(gpu={**ONE_GPU, "driver_version": "470.1"})


@pytest.mark.parametrize("intent", ["benchmark", "agent", "latency", "throughput"])
@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_stable_argv_has_the_recipe_and_each_flag_once(backend, intent):
    argv = make(backend=backend, intent=intent)["argv"]
    flags = [token for token in argv if token.startswith("--")]
    assert len(flags) == len(set(flags))
    assert argv[argv.index("--tool-call-parser") + 1] == "lfm2"
    assert argv[argv.index("--reasoning-parser") + 1] == "qwen3"
    assert "--trust-remote-code" not in argv


def test_the_operator_replaces_the_role():
    argv = make(extra_args=["--max-model-len", "16384", "--enable-prefix-caching", "--seed=7"])["argv"]
    assert argv[argv.index("--max-model-len") + 1] == "16384"
    assert argv.count("--max-model-len") == 1
    assert "--no-enable-prefix-caching" not in argv
    assert argv[-3:] == ["--enable-prefix-caching", "--seed", "7"]


@pytest.mark.parametrize(
    ("tokens", "flags"),
    [
        ([], {}),
        (["--a", "1"], {"--a": "1"}),
        (["--a=1", "--b"], {"--a": "1", "--b": True}),
        (["--a", "1", "2", "3"], {"--a": ["1", "2", "3"]}),
        (["--a", -1], {"--a": "-1"}),
        (["--json", '{"x": 1}'], {"--json": '{"x": 1}'}),
    ],
)
def test_arguments_are_parsed_and_written_back(tokens, flags):
    assert spec.parse_args(tokens) == flags
    assert spec.parse_args(spec.to_argv(flags)) == flags


def test_a_value_without_a_flag_is_refused():
    with pytest.raises(spec.SpecError, match="16384"):
        spec.parse_args(["16384"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"backend": "vlm"}, "vllm, sglang, simulator"),
        ({"model": ""}, "inference_server_model"),
        ({"served_model_name": ""}, "inference_server_served_model_name"),
        ({"port": 0}, "1 to 65535"),
        ({"port": 70000}, "1 to 65535"),
        ({"tensor_parallel_size": 0}, "inference_server_tensor_parallel_size"),
        ({"bind_address": "0.0.0.0"}, "inference_server_api_key_file"),
        ({"runtime": "podman"}, "docker, process"),
        ({"release": "nightly"}, "stable, published"),
        ({"intent": "fast"}, "benchmark, agent, latency, throughput"),
        ({"backend": "simulator", "runtime": "docker"}, "process"),
        ({"release": "published", "recipe_": {}}, "use stable"),
        ({"backend": "sglang", "api_key_file": "/k"}, "use vllm"),
    ],
)
def test_a_wrong_choice_is_told_with_its_remedy(changes, told):
    with pytest.raises(spec.SpecError) as caught:
        make(**changes)
    assert any(told in problem for problem in caught.value.args)


def test_all_problems_are_told_at_once():
    with pytest.raises(spec.SpecError) as caught:
        make(model="", served_model_name="", port=-1)
    assert len(caught.value.args) == 3


PORT_TAKEN = {"port": 8000, "in_use": True, "owners": [{"address": "0.0.0.0", "pid": 7, "command": "nginx"}]}


@pytest.mark.parametrize(
    ("ports", "previous", "refused"),
    [
        ([PORT_TAKEN], {}, True),
        ([{**PORT_TAKEN, "port": 9000}], {}, False),
        ([{**PORT_TAKEN, "in_use": False}], {}, False),
        ([PORT_TAKEN], {"runtime": "docker", "endpoint": "http://127.0.0.1:8000"}, False),
        ([PORT_TAKEN], {"runtime": "docker", "endpoint": "http://127.0.0.1:18000"}, True),
        ([PORT_TAKEN], {"runtime": "process", "endpoint": "http://127.0.0.1:8000"}, True),
    ],
)
def test_a_taken_port_is_refused_and_its_owner_named(ports, previous, refused):
    if not refused:
        make(ports=ports, previous=previous)
        return
    with pytest.raises(spec.SpecError, match=r"nginx \(pid 7\)"):
        make(ports=ports, previous=previous)


def test_a_key_stays_out_of_the_specification():
    made = make(api_key_file="/etc/key", bind_address="0.0.0.0")
    assert "/etc/key:/run/secrets/llmfleet_api_key:ro" in made["volumes"]
    assert "--api-key" not in made["argv"]
    assert made["env"] == {}
    assert made["entrypoint"][0] == "/bin/sh"


def test_the_simulator_gets_the_timing_of_its_gpu_and_engine():
    made = make(gpu_class="a100", gpu=NO_GPU, backend="simulator", simulator={"engine": "sglang", "startup_delay_s": 1})
    settings = json.loads(made["files"]["simulator.json"])
    assert settings["timing"] == profile("a100")["simulated_timing"]["sglang"]
    assert settings["startup_delay_s"] == 1
    assert made["simulated"] is True
    assert made["argv"][0] == "/usr/bin/python3"


def test_a_cpu_host_asks_for_no_gpu():
    assert "--gpus" not in spec.docker_run_command(make(gpu_class="cpu", gpu=NO_GPU))


def test_the_digest_changes_with_the_server_and_with_nothing_else():
    assert make()["digest"] == make()["digest"]
    assert make()["digest"] != make(extra_args=["--seed", "1"])["digest"]


def test_a_model_without_a_recipe_gets_generic_flags():
    argv = make(model="/models/tiny", recipe_=recipe("none"))["argv"]
    assert argv[:2] == ["--model", "/models/tiny"]
    assert "--tool-call-parser" not in argv


@pytest.mark.parametrize(
    ("card", "gpu_class"),
    [
        ("NVIDIA B200", "b200"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H100 PCIe", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-40GB", "a100"),
        ("NVIDIA A100 80GB PCIe", "a100"),
        ("Tesla T4", None),
        ("", None),
    ],
)
def test_a_card_finds_its_profile(card, gpu_class):
    profiles = [yaml.safe_load(path.read_text())["gpu_profile"] for path in sorted((ROOT / "group_vars").glob("*.yml"))]
    assert spec.profile_for(card, profiles).get("gpu_class") == gpu_class


def test_the_fact_keeps_the_start_time_of_a_server_found_running():
    made = make()
    ready = {"elapsed_s": 0.1, "engine_version": "0.32.0", "started": False}
    assert spec.server_fact(made, ONE_GPU, {"ready_s": 97.0}, ready)["ready_s"] == 97.0
    fact = spec.server_fact(made, ONE_GPU, {}, {**ready, "started": True, "elapsed_s": 42.0})
    assert fact["ready_s"] == 42.0
    assert fact["gpu"] == {
        "class": "h100",
        "name": "NVIDIA H100 80GB HBM3",
        "count": 1,
        "driver_version": "580.95.05",
        "uuids": ["GPU-1"],
    }
    assert fact["run_command"].startswith("docker run -d --gpus all")
