# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""LoRA adapters: what the engine is told, what a container gets to see, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.filter.server_spec import server_paths
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.engine import flags_in
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.flags import flag_problems, parse_args
from ansible_collections.llmfleet.serving.plugins.plugin_utils._spec.lora import lora_problems, marks

from tests.unit.test_recipes import host, known_flags, want
from tests.unit.test_recipes import made as made_on

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FOLDER = {"name": "support-de", "source": "/srv/adapters/de", "revision": "", "rank": 0}
HUB = {"name": "legal", "source": "owner/legal-lora", "revision": "", "rank": 0}
MODEL = "Qwen/Qwen3-8B"


def made(*adapters, model=MODEL, **changes):
    return made_on(model, "h100", 1, lora=list(adapters), **changes)


def values_of(argv, flag):
    """The words after a flag, up to the next."""
    words = argv[argv.index(flag) + 1 :]
    end = next((at for at, word in enumerate(words) if word.startswith("--")), len(words))
    return words[:end]


@pytest.mark.parametrize(
    ("backend", "model", "flag"),
    [
        ("vllm", MODEL, "--lora-modules"),
        ("vllm", "LiquidAI/LFM2.5-8B-A1B", "--lora-modules"),
        ("vllm", "any/unknown", "--lora-modules"),
        ("sglang", MODEL, "--lora-paths"),
    ],
)
def test_the_engine_is_told_each_adapter_by_name_and_path(backend, model, flag):
    spec = made(FOLDER, HUB, {**HUB, "name": "old", "revision": COMMIT}, model=model, backend=backend)
    assert spec["problems"] == []
    (instance,) = spec["instances"]
    assert values_of(instance["argv"], flag) == [
        "support-de=/adapters/support-de",
        "legal=owner/legal-lora",
        f"old=/root/.cache/huggingface/hub/models--owner--legal-lora/snapshots/{COMMIT}",
    ]
    assert "/srv/adapters/de:/adapters/support-de:ro" in instance["volumes"]
    assert spec["lora"] == ["support-de", "legal", "old"]
    assert spec["lora_fetched"] == [
        {"model": "owner/legal-lora", "revision": "main"},
        {"model": "owner/legal-lora", "revision": COMMIT},
    ]


def test_vllm_has_a_slot_for_each_adapter_and_a_rank_that_it_knows():
    argv = made({**FOLDER, "rank": 8}, {**HUB, "rank": 48}, backend="vllm")["instances"][0]["argv"]
    assert "--enable-lora" in argv
    assert values_of(argv, "--max-loras") == ["2"]
    assert values_of(argv, "--max-lora-rank") == ["64"]
    assert "--max-lora-rank" not in made(FOLDER, backend="vllm")["instances"][0]["argv"]
    own = made(FOLDER, backend="vllm", extra_args=["--max-loras", "4"])["instances"][0]["argv"]
    assert values_of(own, "--max-loras") == ["4"]


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_every_release_knows_the_flags_for_adapters(backend):
    argv = made({**FOLDER, "rank": 32}, backend=backend)["instances"][0]["argv"]
    for release in known_flags(backend):
        assert flag_problems(parse_args(flags_in(argv)), release) == []


def test_a_process_finds_an_adapter_where_it_is():
    spec = made(FOLDER, HUB, backend="vllm", runtime="process")
    assert values_of(spec["instances"][0]["argv"], "--lora-modules") == [
        "support-de=/srv/adapters/de",
        "legal=owner/legal-lora",
    ]
    assert spec["lora_fetched"] == []


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_without_adapters_nothing_is_different(backend):
    assert "lora" not in " ".join(made(backend=backend)["instances"][0]["argv"])
    assert made()["digest"] == made_on(MODEL, "h100", 1)["digest"]
    assert made(FOLDER)["digest"] != made()["digest"]


def disk(changed_at_s=1.0, measured="/srv/adapters/de/adapter_config.json"):
    return {"path": "/srv/adapters/de/adapter_config.json", "measured_path": measured, "changed_at_s": changed_at_s}


def test_a_trained_adapter_restarts_the_server(monkeypatch):
    digests = set()
    for changed_at_s in (1.0, 2.0):
        monkeypatch.setattr("tests.unit.test_recipes.host", lambda *a, at=changed_at_s: host(*a, disk=[disk(at)]))
        digests.add(made(FOLDER)["digest"])
    assert len(digests) == 2


def test_a_file_that_is_not_there_has_no_date():
    present = {"path": "/srv/adapters/de/adapter_config.json", "measured_path": "/srv/adapters/de/adapter_config.json"}
    absent = {"path": "/srv/adapters/de/adapter_model.safetensors", "measured_path": "/srv/adapters/de"}
    entries = [{**present, "changed_at_s": 1.0}, {**absent, "changed_at_s": 2.0}]
    (mark,) = marks({"lora": [FOLDER]}, {"disk": entries})
    assert mark["changed_at_s"] == [1.0, None]


def test_an_engine_without_adapters_refuses_them():
    (problem,) = lora_problems(want(MODEL, lora=[HUB]), {}, {}, {})
    assert "vllm serves no adapters" in str(problem) and problem.remedy


def test_the_host_is_asked_for_the_adapters_files():
    assert server_paths(want(MODEL, lora=[FOLDER, HUB], api_key_file="/key")) == [
        "/key",
        "/srv/adapters/de/adapter_config.json",
        "/srv/adapters/de/adapter_model.safetensors",
        "/state",
    ]
    assert server_paths(want(MODEL)) == ["/state"]


@pytest.mark.parametrize(
    ("adapter", "changes", "words"),
    [
        (FOLDER, {"model": "LiquidAI/LFM2.5-8B-A1B", "backend": "sglang"}, "does not know the sizes"),
        (FOLDER, {"model": "LiquidAI/LFM2.5-8B-A1B", "release": "published"}, "nothing was published with adapters"),
        ({**FOLDER, "name": "qwen3_8b"}, {}, "the model's own name"),
        ({**FOLDER, "name": MODEL}, {}, "letters, digits"),
        ({**FOLDER, "name": "a=b"}, {}, "letters, digits"),
        ({**FOLDER, "name": "-x"}, {}, "letters, digits"),
        ({**FOLDER, "source": "adapters/de/x"}, {}, "an absolute path on the host, or a name on the hub"),
        ({**FOLDER, "source": "/srv/a:b"}, {}, "without colon"),
        ({**FOLDER, "revision": COMMIT}, {}, "a commit of 40 digits"),
        ({**HUB, "revision": "v1"}, {}, "a commit of 40 digits"),
        ({**HUB, "revision": COMMIT}, {"prefetch": False}, "a commit of 40 digits"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(adapter, changes, words):
    (problem,) = made(adapter, **changes)["problems"]
    assert "inference_server_lora" in problem and words in problem


def test_two_adapters_of_one_name_are_refused():
    (problem,) = made(HUB, {**FOLDER, "name": "legal"})["problems"]
    assert "'legal' twice" in problem


def test_a_folder_that_is_not_on_the_host_is_refused(monkeypatch):
    entries = [disk(measured="/srv")]
    monkeypatch.setattr("tests.unit.test_recipes.host", lambda *a: host(*a, disk=entries))
    (problem,) = made(FOLDER)["problems"]
    assert "the host has no /srv/adapters/de/adapter_config.json" in problem
