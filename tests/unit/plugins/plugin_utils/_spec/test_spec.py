# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec import deployment as kept
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec import instances, spec
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.engine import release_of

ROOT = Path(__file__).resolve().parents[5]
ROLE = ROOT / "roles" / "inference_server"
SOURCE = ROOT / "tests" / "unit" / "fixtures" / "source_commands.txt"

NO_GPU = {"cards": [], "count": 0, "driver_version": None}


def gpus(count=1, memory_total_mib=81559):
    gpus = [
        {"name": "NVIDIA H100 80GB HBM3", "uuid": f"GPU-{number}", "memory_total_mib": memory_total_mib}
        for number in range(1, count + 1)
    ]
    return {"cards": gpus, "count": count, "driver_version": "580.95.05"}


ONE_GPU = gpus()
CDI = {
    "docker": {"version": "28.3.0", "containers": []},
    "toolkit": {
        "version": "1.18.1",
        "cdi_devices": ["nvidia.com/gpu=all", "nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2"],
    },
}


CLASS_TIMING = {"vllm": {"b": 3}, "sglang": {"b": 4}}


def host(gpu=NO_GPU, ports=(), **sections):
    return {"gpu": gpu, "ports": list(ports), **sections}


def engine(backend):
    return yaml.safe_load((ROLE / "vars" / "engines" / f"{backend}.yml").read_text())["__inference_server_engine"]


def recipe(name="LFM2.5-8B-A1B"):
    return yaml.safe_load((ROLE / "vars" / "models" / f"{name}.yml").read_text())["__inference_server_recipe"]


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
        "engine_version": "",
        "model_revision": "",
        "instances": 0,
        "user": "",
        "compile_cache": False,
        "ulimits": ["memlock:-1:-1"],
        "prefetch": False,
        "smoke": {},
        "hf_cache_dir": "~/.cache/huggingface",
        "volumes": [],
        "command": [],
        "bind_address": "127.0.0.1",
        "port": 8000,
        "api_key_file": "",
        "simulator": {},
        "python": "/usr/bin/python3",
        "state_dir": "/state",
        **changes,
    }


def make(gpu_class="h100", gpu=ONE_GPU, recipe_=None, ports=(), sections=None, known=None, timing=None, **changes):
    wanted = want(**changes)
    return spec.server_spec(
        wanted,
        {**engine(wanted["backend"]), "known": known or {}, "simulated_timing": CLASS_TIMING}
        if wanted["backend"] in ENGINES
        else {},
        recipe() if recipe_ is None else recipe_,
        {"gpu_class": gpu_class, **({"simulated_timing": timing} if timing else {})},
        host(gpu, ports, **(sections or {})),
    )


def only(**changes):
    """The one instance of a specification."""
    (instance,) = make(**changes)["instances"]
    return instance


def source_command(backend):
    """The published command for a backend, as tokens."""
    commands = SOURCE.read_text().replace("\\\n", " ").strip().splitlines()
    result = [shlex.split(line) for line in commands if f"{'lmsysorg' if backend == 'sglang' else 'vllm'}/" in line]
    assert len(result) == 1
    return result[0]


@pytest.mark.parametrize("gpu_class", ["b200", "h100", "a100"])
@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_published_is_the_source_token_for_token(backend, gpu_class):
    # The published command opens the port to the network without a key; the role refuses that, so the pure parts are asked here.
    wanted = {**want(backend=backend, release="published", bind_address="0.0.0.0"), "uuids": None, "server_dir": "/s"}
    spec_ = instances._container(
        wanted, instances.Context(engine(backend), recipe(), {"gpu_class": gpu_class}, host(ONE_GPU))
    )
    assert instances.docker_run_command(spec_) == source_command(backend)


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_published_differs_from_the_source_by_the_loopback_address_alone(backend):
    spec_ = instances.docker_run_command(only(backend=backend, release="published"))
    assert [token for token in spec_ if token not in source_command(backend)] == ["127.0.0.1:8000:8000"]
    assert make(backend=backend, release="published")["warnings"]


@pytest.mark.parametrize(
    ("backend", "command"), [("vllm", ["vllm", "serve"]), ("sglang", ["python3", "-m", "sglang.launch_server"])]
)
def test_published_as_a_process_has_the_command_once_and_the_same_arguments(backend, command):
    argv = only(backend=backend, runtime="process", release="published")["argv"]
    first = next(at for at, token in enumerate(argv) if token.startswith("--"))
    source = source_command(backend)
    source_flags = source[source.index("--model-path" if backend == "sglang" else "--model") :]
    assert argv[:first] == command
    assert [("0.0.0.0" if token == "127.0.0.1" else token) for token in argv[first:]] == source_flags


@pytest.mark.parametrize(
    ("release", "intent", "reported"),
    [("stable", "agent", True), ("stable", "benchmark", False), ("published", "agent", False)],
)
def test_an_agents_answers_say_what_the_cache_served(release, intent, reported):
    assert ("--enable-cache-report" in only(backend="sglang", release=release, intent=intent)["argv"]) is reported


@pytest.mark.parametrize(
    ("driver", "backend", "image"),
    [
        ("580.95.05", "vllm", "vllm/vllm-openai:v0.33.0"),
        ("570.1", "vllm", "vllm/vllm-openai:v0.32.0-cu129"),
        ("535.230.02", "sglang", "lmsysorg/sglang:v0.5.23-cu129"),
        (None, "vllm", "vllm/vllm-openai:v0.33.0"),
    ],
)
def test_the_driver_decides_the_image(driver, backend, image):
    assert make(backend=backend, gpu={**ONE_GPU, "driver_version": driver})["image"] == image


def test_a_driver_too_old_for_every_image_is_refused_with_the_remedy():
    with pytest.raises(UserError, match=r"470\.1.*525.*upgrade the driver"):
        make(gpu={**ONE_GPU, "driver_version": "470.1"})


@pytest.mark.parametrize("intent", ["benchmark", "agent", "latency", "throughput"])
@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_stable_argv_has_the_recipe_and_each_flag_once(backend, intent):
    argv = only(backend=backend, intent=intent)["argv"]
    flags = [token for token in argv if token.startswith("--")]
    assert len(flags) == len(set(flags))
    assert argv[argv.index("--tool-call-parser") + 1] == "lfm2"
    assert argv[argv.index("--reasoning-parser") + 1] == "qwen3"
    assert "--trust-remote-code" not in argv


def test_the_operator_replaces_the_role():
    argv = only(extra_args=["--max-model-len", "16384", "--enable-prefix-caching", "--seed=7"])["argv"]
    assert argv[argv.index("--max-model-len") + 1] == "16384"
    assert argv.count("--max-model-len") == 1
    assert "--no-enable-prefix-caching" not in argv
    assert argv[-3:] == ["--enable-prefix-caching", "--seed", "7"]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"backend": "vlm"}, "vllm, sglang, simulator"),
        ({"model": ""}, "inference_server_model"),
        (
            {"backend": "simulator", "model": "", "served_model_name": "", "recipe_": {}},
            "inference_server_served_model_name",
        ),
        ({"port": 0}, "1 to 65535"),
        ({"port": 70000}, "1 to 65535"),
        ({"tensor_parallel_size": -1}, "inference_server_tensor_parallel_size"),
        ({"bind_address": "0.0.0.0"}, "inference_server_api_key_file"),
        ({"bind_address": "::"}, "inference_server_api_key_file"),
        ({"runtime": "podman"}, "docker, process"),
        ({"release": "nightly"}, "stable, published"),
        ({"intent": "fast"}, "benchmark, agent, latency, throughput"),
        ({"backend": "simulator", "runtime": "docker"}, "process"),
        ({"release": "published", "recipe_": {}}, "use stable"),
        ({"runtime": "process", "api_key_file": "/k"}, "use runtime docker"),
        ({"instances": -1}, "inference_server_instances"),
        ({"instances": 2}, "the host has 1 GPU(s)"),
        ({"tensor_parallel_size": 2}, "the host has 1 GPU(s)"),
        ({"extra_args": ["16384"]}, "16384"),
    ],
)
def test_a_wrong_choice_is_reported_with_its_remedy(changes, remedy):
    with pytest.raises(UserError) as caught:
        make(**changes)
    assert any(remedy in str(problem) for problem in caught.value.problems)


def test_all_problems_are_reported_at_once():
    with pytest.raises(UserError) as caught:
        make(model="", instances=-1, port=-1)
    assert len(caught.value.problems) == 3


PORT_TAKEN = {"port": 8000, "in_use": True, "owners": [{"address": "0.0.0.0", "pid": 7, "command": "nginx"}]}
OURS = {"name": "llmfleet-server", "host_ports": [8000], "labels": {"org.llmfleet.spec": "1"}}


@pytest.mark.parametrize(
    ("ports", "containers", "refused"),
    [
        ([PORT_TAKEN], [], True),
        ([{**PORT_TAKEN, "port": 9000}], [], False),
        ([{**PORT_TAKEN, "in_use": False}], [], False),
        ([PORT_TAKEN], [OURS], False),
        ([PORT_TAKEN], [{**OURS, "host_ports": [18000]}], True),
        ([PORT_TAKEN], [{**OURS, "name": "another"}], True),
    ],
)
def test_a_taken_port_is_refused_and_its_owner_named(ports, containers, refused):
    sections = {"docker": {"version": "20.10.24", "containers": containers}}
    if not refused:
        make(ports=ports, sections=sections)
        return
    with pytest.raises(UserError, match=r"nginx \(pid 7\)"):
        make(ports=ports, sections=sections)


@pytest.mark.parametrize(
    ("key_file", "asked", "measured", "refused"),
    [
        ("/etc/key", "/etc/key", "/etc/key", False),
        ("/etc//key", "/etc//key", "/etc/key", False),
        ("/etc/key", "/var", "/", False),  # no key file is asked for
        ("/etc/key", "/etc/key", "/etc", True),
        ("key", "key", ".", True),
    ],
)
def test_a_key_that_is_not_on_the_host_is_refused(key_file, asked, measured, refused):
    sections = {"disk": [{"path": asked, "measured_path": measured, "changed_at_s": 1.5}]}
    if not refused:
        make(api_key_file=key_file, sections=sections)
        return
    with pytest.raises(
        UserError, match=rf"inference_server_api_key_file is {key_file}, .* openssl rand .* {key_file}\)"
    ):
        make(api_key_file=key_file, sections=sections)


def test_a_new_key_is_another_server():
    disk = {"path": "/etc/key", "measured_path": "/etc/key"}
    first, same, new = (
        make(api_key_file="/etc/key", sections={"disk": [{**disk, "changed_at_s": at}]}) for at in (1.5, 1.5, 2.5)
    )
    assert first["digest"] == same["digest"] != new["digest"]


@pytest.mark.parametrize(
    ("address", "published", "base_url"),
    [
        ("127.0.0.1", "127.0.0.1:8000:", "http://127.0.0.1:8000"),
        ("localhost", "127.0.0.1:8000:", "http://localhost:8000"),
        ("::1", "[::1]:8000:", "http://[::1]:8000"),
        ("0.0.0.0", "8000:", "http://127.0.0.1:8000"),
        ("::", "[::]:8000:", "http://[::1]:8000"),
        ("10.0.0.7", "10.0.0.7:8000:", "http://10.0.0.7:8000"),
        ("fd00::7", "[fd00::7]:8000:", "http://[fd00::7]:8000"),
    ],
)
def test_an_address_is_published_and_asked_for_as_docker_and_urls_write_it(address, published, base_url):
    spec_ = only(bind_address=address, api_key_file="/etc/key")
    assert (spec_["ports"], spec_["base_url"]) == ([published + "8000"], base_url)


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
@pytest.mark.parametrize("release", ["stable", "published"])
def test_a_key_stays_out_of_the_specification(backend, release):
    spec_ = only(backend=backend, release=release, api_key_file="/etc/key", bind_address="0.0.0.0")
    assert "/etc/key:/run/secrets/llmfleet_api_key:ro" in spec_["volumes"]
    assert not any("/etc/key" in token or token == "--api-key" for token in spec_["argv"])
    assert spec_["argv"][0] in ("--model", "--model-path")  # the entry point starts the engine
    assert spec_["env"] == {}


@pytest.mark.parametrize(
    ("count", "changes", "groups"),
    [
        (1, {}, [["GPU-1"]]),
        (2, {}, [["GPU-1"], ["GPU-2"]]),
        (4, {"tensor_parallel_size": 2}, [["GPU-1", "GPU-2"], ["GPU-3", "GPU-4"]]),
        (3, {"tensor_parallel_size": 2}, [["GPU-1", "GPU-2"]]),
        (2, {"tensor_parallel_size": 2}, [["GPU-1", "GPU-2"]]),
        (4, {"instances": 1}, [["GPU-1"]]),
        (2, {"release": "published"}, [["GPU-1", "GPU-2"]]),
    ],
)
def test_each_instance_has_a_name_a_port_and_gpus_of_its_own(count, changes, groups):
    instances = make(gpu=gpus(count), **changes)["instances"]
    assert [instance["gpu_uuids"] for instance in instances] == groups
    assert [instance["name"] for instance in instances] == ["llmfleet-server", "llmfleet-server-2"][: len(groups)]
    assert [instance["base_url"] for instance in instances] == [
        f"http://127.0.0.1:{8000 + number}" for number in range(len(groups))
    ]


@pytest.mark.parametrize(
    ("count", "sections", "flags"),
    [
        (1, {}, ["--gpus", "all"]),
        (2, {}, ["--gpus", '"device=GPU-1"']),
        (1, CDI, ["--device", "nvidia.com/gpu=GPU-1"]),
        (2, CDI, ["--device", "nvidia.com/gpu=GPU-1"]),
        (3, CDI, ["--gpus", '"device=GPU-1"']),  # the CDI file is older than the third GPU
        (2, {**CDI, "docker": {"version": "28.1.1"}}, ["--gpus", '"device=GPU-1"']),
        (
            2,
            {**CDI, "docker": {"version": "26.1.5", "cdi_spec_dirs": ["/etc/cdi"]}},
            ["--device", "nvidia.com/gpu=GPU-1"],
        ),
        (2, {**CDI, "docker": {"version": "28.3.0", "cdi_spec_dirs": []}}, ["--gpus", '"device=GPU-1"']),
        (
            2,
            {**CDI, "toolkit": {**CDI["toolkit"], "cdi_specs": [{"cdi_version": "1.1.0"}]}},
            ["--gpus", '"device=GPU-1"'],
        ),
        (2, {**CDI, "toolkit": {**CDI["toolkit"], "version": "1.17.8"}}, ["--gpus", '"device=GPU-1"']),
    ],
)
def test_the_host_decides_how_docker_is_asked_for_a_gpu(count, sections, flags):
    command = instances.docker_run_command(make(gpu=gpus(count), sections=sections)["instances"][0])
    assert command[3 : 3 + len(flags)] == flags


def test_an_operator_may_want_the_way_of_gpus():
    command = instances.docker_run_command(make(gpu=gpus(1), sections=CDI, gpu_access="runtime")["instances"][0])
    assert command[3:5] == ["--gpus", "all"]


def known(backend, version=None):
    version = version or engine(backend)["stable"]["version"]
    return json.loads((ROLE / "files" / "flags" / f"{backend}-{version}.json").read_text())


def releases(backend):
    """The releases of an engine that a user can name, the pinned one first."""
    return [engine(backend)["stable"]["version"], *engine(backend).get("earlier", {})]


@pytest.mark.parametrize("intent", ["benchmark", "agent", "latency", "throughput"])
@pytest.mark.parametrize(
    ("backend", "version"), [(name, version) for name in ("vllm", "sglang") for version in releases(name)]
)
def test_each_release_of_the_engine_knows_every_flag_of_ours(backend, version, intent):
    made = make(
        backend=backend, engine_version=version, intent=intent, known=known(backend, version), model_revision="main"
    )
    assert made["warnings"] == []


@pytest.mark.parametrize("version", releases("vllm"))
def test_the_stable_arguments_are_the_same_on_each_release(version):
    assert only(engine_version=version)["argv"] == only()["argv"]


@pytest.mark.parametrize(
    ("version", "driver", "image"),
    [
        ("", "580.95.05", "vllm/vllm-openai:v0.33.0"),
        ("0.33.0", "580.95.05", "vllm/vllm-openai:v0.33.0"),
        ("0.33.0", "570.1", "vllm/vllm-openai:v0.32.0-cu129"),
        ("0.32.0", "580.95.05", "vllm/vllm-openai:v0.32.0"),
        ("0.32.0", "570.1", "vllm/vllm-openai:v0.32.0-cu129"),
        ("0.31.0", "580.95.05", "vllm/vllm-openai:v0.31.0"),
    ],
)
def test_an_older_release_is_one_variable_away(version, driver, image):
    assert make(engine_version=version, gpu={**gpus(), "driver_version": driver})["image"] == image


def test_a_release_without_known_images_is_refused():
    with pytest.raises(
        UserError, match=r"engine_version is '0\.8\.0'\. Expected: one of 0\.33\.0, 0\.32\.0, 0\.31\.0\."
    ):
        make(engine_version="0.8.0")
    assert make(engine_version="0.8.0", image="my/vllm:1")["image"] == "my/vllm:1"


@pytest.mark.parametrize(
    ("image", "backend", "release"),
    [
        ("vllm/vllm-openai:v0.32.0", "vllm", "0.32.0"),
        ("vllm/vllm-openai:v0.32.0-cu129", "vllm", "0.32.0"),
        ("mirror.example.com:5000/vllm/vllm-openai:v0.32.0@sha256:00", "vllm", "0.32.0"),
        ("lmsysorg/sglang:v0.5.15.post1-cu129", "sglang", "0.5.15.post1"),
        ("vllm/vllm-openai:v0.33.0rc1", "vllm", None),
        ("vllm/vllm-openai:nightly-22a58640b456", "vllm", None),
        ("vllm/vllm-openai@sha256:00", "vllm", None),
        ("mine/notvllm/vllm-openai-fork:v0.32.0", "vllm", None),
        ("myvllm/vllm-openai:v0.32.0", "vllm", None),
        ("lmsysorg/sglang:v0.5.23", "vllm", None),
        ("simulator:v1.0.0", "simulator", None),
    ],
)
def test_an_image_shows_its_release_by_its_makers_name(image, backend, release):
    assert release_of(image, backend) == release


def test_a_flag_without_effect_is_a_warning_on_the_release_that_ignores_it():
    asked = {"extra_args": ["--mamba-cache-mode", "align"]}
    assert make(**asked, known=known("vllm", "0.32.0"), engine_version="0.32.0")["warnings"] == []
    (warning,) = make(**asked, known=known("vllm", "0.33.0"))["warnings"]
    assert "--mamba-cache-mode is deprecated in vllm 0.33.0" in warning and "--enable-prefix-caching" in warning
    assert "--disable-cascade-attn" in make(extra_args=["--disable-cascade-attn"], known=known("vllm"))["warnings"][0]


def test_a_flag_that_the_engine_does_not_know_is_refused_with_the_nearest():
    wrong = {"known": known("vllm"), "extra_args": ["--max-model-lenn", "5"]}
    with pytest.raises(UserError, match=r"no flag of vllm 0\.33\.0\. Remedy: write --max-model-len\."):
        make(**wrong)


def test_weights_larger_than_the_gpus_are_refused_and_little_memory_is_reported():
    with pytest.raises(UserError, match="16 GiB"):
        make(gpu=gpus(1, 15360))
    assert make(gpu=gpus(1, 15360), gpu_class="cpu")
    assert "21 GiB" in make(gpu=gpus(1, 20480))["warnings"][0]
    assert make(gpu=gpus(2, 15360), tensor_parallel_size=2)["warnings"] == []


def test_a_stable_container_is_private_and_a_published_one_as_on_the_page():
    stable, published = only(), only(release="published")
    assert (stable["ipc_mode"], stable["shm_size"], bool(stable["ulimits"])) == ("private", "16g", True)
    assert (published["ipc_mode"], published["shm_size"], published["ulimits"]) == ("host", None, [])
    assert only(gpu_class="cpu")["ulimits"] == []
    assert only(user="2000:0")["volumes"] == ["~/.cache/huggingface:/home/vllm/.cache/huggingface"]


@pytest.mark.parametrize(
    ("changes", "prefetch"),
    [
        ({}, True),
        ({"prefetch": False}, False),
        ({"model": "/models/tiny", "recipe_": {}}, False),
        ({"hf_cache_dir": ""}, False),
        ({"release": "published"}, False),
        ({"runtime": "process"}, False),
    ],
)
def test_weights_come_first_where_the_hub_has_them_and_the_engine_is_offline_then(changes, prefetch):
    spec_ = make(**{"prefetch": True, **changes})
    assert spec_["prefetch"] is prefetch
    assert ("HF_HUB_OFFLINE" in spec_["instances"][0]["env"]) is prefetch


IMAGE = {"Id": "sha256:0123456789abcdef", "RepoDigests": ["vllm/vllm-openai@sha256:feed"]}


def test_a_pinned_specification_names_image_and_volumes_by_digest():
    spec_ = make(compile_cache=True)
    pinned = kept.pinned(spec_, IMAGE)
    assert pinned["image_digest"] == "sha256:feed"
    assert pinned["instances"][0]["image_id"] == IMAGE["Id"]
    assert "llmfleet-vllm-0123456789ab:/root/.cache/vllm" in pinned["instances"][0]["volumes"]
    assert pinned["digest"] != kept.pinned(spec_, {**IMAGE, "Id": "sha256:ffff"})["digest"]
    assert kept.pinned(spec_, {"Id": "sha256:1"})["image_digest"] == "sha256:1"
    assert kept.pinned(spec_, {})["image_digest"] is None


# What is asked, and what an engine reports of it (20.10 with nvidia; what it stores of cdi is the same).
ALL = {"driver": "nvidia", "capabilities": [["gpu"]], "count": -1}
SOME = {"driver": "nvidia", "capabilities": [["gpu"]], "device_ids": ["GPU-1", "GPU-2"]}
BY_CDI = {"driver": "cdi", "device_ids": ["nvidia.com/gpu=GPU-1"]}


@pytest.mark.parametrize(
    ("asked", "reported"),
    [([], []), ([ALL], [ALL]), ([SOME], [{**SOME, "count": 0}]), ([BY_CDI], [{**BY_CDI, "count": 0}])],
)
def test_containers_are_asked_for_gpus_in_the_form_that_the_engine_reports(asked, reported):
    spec_ = make()
    spec_["instances"][0]["device_requests"] = asked
    pinned = kept.pinned(spec_, IMAGE)
    assert pinned["instances"][0]["device_requests"] == reported
    # The label that restarts a container, and so an upgrade of the collection restarts none.
    assert pinned["instances"][0]["digest"] == spec_["instances"][0]["digest"]
    assert pinned["digest"] == kept.digest_of([spec_["digest"], IMAGE["Id"]])


def test_what_a_host_kept_before_the_form_was_known_is_started_in_that_form_with_its_own_image():
    kept_spec = kept.pinned(make(), IMAGE)
    kept_spec["instances"][0]["device_requests"] = [SOME]
    again = kept.pinned(kept_spec, {})
    assert again["instances"][0]["device_requests"] == [{**SOME, "count": 0}]
    assert {key: again[key] for key in again if key != "instances"} == {
        key: kept_spec[key] for key in kept_spec if key != "instances"
    }
    assert again["instances"][0]["image_id"] == IMAGE["Id"]


@pytest.mark.parametrize(
    ("changes", "mode"),
    [({}, "required"), ({"release": "published"}, "report"), ({"smoke": {"tool_call": "skip"}}, "skip")],
)
def test_the_operator_has_the_last_word_on_smoke_tests(changes, mode):
    assert make(**changes)["smoke"]["tool_call"] == mode


@pytest.mark.parametrize(("extra", "tokens"), [([], 128000), (["--max-model-len", "16384"], 16384)])
def test_the_context_is_as_asked(extra, tokens):
    assert make(extra_args=extra)["context_tokens"] == tokens


@pytest.mark.parametrize(
    ("own", "timing"),
    [(None, {"b": 4}), ({"vllm": {"a": 1}, "sglang": {"a": 2}}, {"a": 2}), ({"vllm": {"a": 1}}, {"b": 4})],
)
def test_the_simulator_gets_the_timing_of_its_gpu_and_engine_and_the_profiles_own_first(own, timing):
    chosen = {"engine": "sglang", "startup_delay_s": 1}
    spec_ = only(gpu_class="a100", gpu=NO_GPU, backend="simulator", simulator=chosen, timing=own)
    settings = json.loads(spec_["files"]["simulator.json"])
    assert settings["timing"] == timing
    assert settings["startup_delay_s"] == 1
    assert spec_["argv"][0] == "/usr/bin/python3"


def test_a_cpu_host_asks_for_no_gpu():
    without = only(gpu_class="cpu", gpu=NO_GPU)
    assert "--gpus" not in instances.docker_run_command(without)
    assert without["ulimits"] == []  # a host may forbid raising them, and only a GPU's driver pins memory


def test_the_digest_changes_with_the_server_and_with_nothing_else():
    assert make()["digest"] == make()["digest"]
    assert make()["digest"] != make(extra_args=["--seed", "1"])["digest"]


def test_a_model_without_a_recipe_gets_generic_flags():
    argv = only(model="/models/tiny", recipe_={})["argv"]
    assert argv[:2] == ["--model", "/models/tiny"]
    assert "--tool-call-parser" not in argv


def test_the_fact_keeps_the_start_time_of_a_server_found_running():
    spec_ = make()
    ready = {"elapsed_s": 0.1, "engine_version": "0.32.0", "started": False}
    assert kept.server_fact(spec_, ONE_GPU, {"ready_s": 97.0}, ready)["ready_s"] == 97.0
    fact = kept.server_fact(spec_, ONE_GPU, {}, {**ready, "started": True, "elapsed_s": 42.0})
    assert fact["ready_s"] == 42.0
    assert set(fact["phases"].values()) == {None}
    assert fact["gpu"] == {
        "class": "h100",
        "name": "NVIDIA H100 80GB HBM3",
        "count": 1,
        "driver_version": "580.95.05",
        "uuids": ["GPU-1"],
    }
    assert fact["run_command"].startswith("docker run -d --gpus all")
    assert fact["instances"] == [
        {"name": "llmfleet-server", "base_url": "http://127.0.0.1:8000", "port": 8000, "gpu_uuids": ["GPU-1"]}
    ]


def test_the_phases_of_a_start_are_the_hosts_and_the_engines():
    spec_ = kept.pinned(make(), {"Id": "sha256:1", "Metadata": {"LastTagTime": "1970-01-01T00:01:40Z"}})
    logged = {"weights_s": None, "load_s": 12.5, "compile_s": None, "ready_s": 70.0}
    ready = {"elapsed_s": 70.0, "started": True, "probed_at_s": 40.0, "weights_s": 33.3, "phases": logged}
    started = kept.server_fact(spec_, ONE_GPU, {}, ready)["phases"]
    assert started == {"image_s": 60.0, "weights_s": 33.3, "load_s": 12.5, "compile_s": None, "ready_s": 70.0}
    result = kept.server_fact(spec_, ONE_GPU, {"phases": started}, {**ready, "started": False})
    assert result["phases"] == started


A100_AND_DISPLAY = {
    "cards": [
        *({**gpu, "name": "NVIDIA A100-SXM4-80GB", "index": index} for index, gpu in enumerate(gpus(4)["cards"])),
        {"name": "NVIDIA DGX Display", "uuid": "GPU-display", "memory_total_mib": 4096, "index": 4},
    ],
    "count": 5,
    "driver_version": "580.95.05",
}
DISPLAY_LEFT = "GPU 4 (NVIDIA DGX Display, 4 GiB): not of class a100"


@pytest.mark.parametrize(
    ("changes", "groups"),
    [
        ({}, [["GPU-1"], ["GPU-2"], ["GPU-3"], ["GPU-4"]]),
        ({"tensor_parallel_size": 2}, [["GPU-1", "GPU-2"], ["GPU-3", "GPU-4"]]),
        ({"tensor_parallel_size": 4}, [["GPU-1", "GPU-2", "GPU-3", "GPU-4"]]),
        (
            {"release": "published"},
            [["GPU-1", "GPU-2", "GPU-3", "GPU-4"]],
        ),  # not `--gpus all`, which is the display too
        ({"gpus": ["1", "3"]}, [["GPU-2"], ["GPU-4"]]),
        ({"gpus": ["2"], "release": "published"}, [["GPU-3"]]),
        ({"gpus_held": {"GPU-1": "held by server first"}}, [["GPU-2"], ["GPU-3"], ["GPU-4"]]),
    ],
)
@pytest.mark.parametrize("runtime", ["docker", "process"])
def test_no_server_gets_the_display_card(changes, groups, runtime):
    published = {"backend": "vllm"} if changes.get("release") else {}
    found = make("a100", gpu=A100_AND_DISPLAY, runtime=runtime, **{**changes, **published})
    assert [instance["gpu_uuids"] for instance in found["instances"]] == groups
    assert DISPLAY_LEFT in found["gpus_left"] and DISPLAY_LEFT in found["warnings"][0]
    for instance, uuids in zip(found["instances"], groups):
        asked = instance["device_requests"][0].get("device_ids") if runtime == "docker" else None
        assert uuids == (asked or instance["env"]["CUDA_VISIBLE_DEVICES"].split(","))


def test_memory_and_size_are_of_the_usable_gpus_alone():
    recipe_ = {**recipe(), "weights_gib": 100, "min_gpu_memory_gib": 120}
    found = make("a100", gpu=A100_AND_DISPLAY, recipe_=recipe_, tensor_parallel_size=0)
    assert [len(instance["gpu_uuids"]) for instance in found["instances"]] == [2, 2]


def test_gpus_that_are_named_wrongly_are_refused():
    with pytest.raises(UserError, match="which the host has not") as refused:
        make("a100", gpu=A100_AND_DISPLAY, gpus=["9", "4"])
    assert "gpu_profile: {gpu_class: CLASS, name: NVIDIA DGX Display}" in str(refused.value)


def test_the_fact_has_the_servers_gpus_and_names_the_others():
    found = kept.pinned(make("a100", gpu=A100_AND_DISPLAY, instances=1), {})
    fact = kept.server_fact(found, A100_AND_DISPLAY, {}, {"elapsed_s": 1.0})
    assert (fact["gpu"]["count"], fact["gpu"]["uuids"]) == (1, ["GPU-1"])
    assert fact["gpu"]["left"] == [DISPLAY_LEFT]


def test_an_ordinary_host_has_the_digests_that_it_had():
    """They are labels of containers that run: another digest restarts a fleet."""
    both = [make(gpu=gpus(8), **changes) for changes in ({}, {"gpus": [f"GPU-{number}" for number in range(8, 0, -1)]})]
    assert both[0]["digest"] == both[1]["digest"] and both[0]["gpus_left"] == []
    assert make(gpu=gpus(8), gpus_before=["GPU-1"])["digest"] == both[0]["digest"]


def test_a_size_that_does_not_fit_names_what_is_left_alone():
    with pytest.raises(UserError, match=r"the host has 5 GPU\(s\), 4 of them for this server; left alone: GPU 4"):
        make("a100", gpu=A100_AND_DISPLAY, instances=5)


def in_use(number, **cards):
    """Four A100 of which one is used by a program of others, and a display."""
    program = {"pid": 7, "name": "python", "memory_used_mib": 10, "session_id": 7, "container_id": None, "type": "C"}
    gpu = {**A100_AND_DISPLAY, "cards": [dict(each) for each in A100_AND_DISPLAY["cards"]]}
    gpu["cards"][number]["compute_processes"] = [program]
    return gpu


@pytest.mark.parametrize(
    ("changes", "uuids", "warning"),
    [
        ({}, ["GPU-1", "GPU-3", "GPU-4"], "left alone: GPU 1 (NVIDIA A100-SXM4-80GB, 80 GiB): used by python (pid 7, 10 MiB); GPU 4"),
        ({"gpus_before": ["GPU-2"]}, ["GPU-1", "GPU-2", "GPU-3", "GPU-4"], "GPU 1 (NVIDIA A100-SXM4-80GB, 80 GiB) is used by"),
        ({"instances": 4}, ["GPU-1", "GPU-2", "GPU-3", "GPU-4"], "is used by python (pid 7, 10 MiB) too"),
        ({"gpus": ["1"]}, ["GPU-2"], "is used by python (pid 7, 10 MiB) too"),
    ],
)  # fmt: skip
def test_a_gpu_that_others_use_is_lent_unless_it_is_the_servers_or_needed(changes, uuids, warning):
    found = make("a100", gpu=in_use(1), **changes)
    assert [uuid for instance in found["instances"] for uuid in instance["gpu_uuids"]] == uuids
    assert warning in "\n".join(found["warnings"])
