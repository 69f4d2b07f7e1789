# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Published figures stand only beside the published workload, and keep their own identities."""

from __future__ import annotations

from typing import Any

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import forms
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.published import compare, flatten
from reports import report

CELLS = [(engine, gpu) for engine in ("sglang", "vllm") for gpu in ("b200", "h100", "a100")]


def group(**changes: Any) -> dict[str, Any]:
    return {
        "model": sample.PUBLISHED["model"], "engine": "vllm", "gpu": "h100", "gpu_count": 1, "published_key": None,
        "workload": sample.WORKLOAD, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(("engine", "gpu"), CELLS)
def test_published_identities(engine: str, gpu: str) -> None:
    figures = flatten(sample.PUBLISHED["results"][engine][gpu])
    assert len(figures) == 9
    assert figures["total_token_throughput"] / figures["output_throughput"] == pytest.approx(5.0, abs=0.002)
    closure = 32 * 2048 / (figures["mean_ttft_ms"] + 2047 * figures["mean_tpot_ms"]) * 1000
    assert figures["output_throughput"] == pytest.approx(closure, rel=0.01)
    assert figures["per_user_output_throughput"] == pytest.approx(1000 / figures["mean_tpot_ms"], rel=0.012)


def test_the_ratio_is_measured_over_published() -> None:
    result = compare(group(), {"output_throughput": 3787 * 1.1, "mean_ttft_ms": None}, [sample.PUBLISHED])
    assert result is not None and result["comparable"] and result["label"] == "inferred"
    assert result["ratio"]["output_throughput"] == pytest.approx(1.1)
    assert result["ratio"]["mean_ttft_ms"] is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"num_prompts": 64}, "num_prompts 64 instead of 512"),
        ({"input_tokens": 1024}, "input_tokens"),
        ({"max_concurrency": None}, "max_concurrency"),
        ({"request_rate": 4}, "request_rate 4"),
        ({"ignore_eos": False}, "ignore_eos"),
        ({"prefix_tokens": 512}, "prefix_tokens 512"),
        ({"endpoint_type": "openai"}, "endpoint_type openai"),
        ({"sweep": [1, 32]}, "sweep"),
    ],
)
def test_another_workload_is_not_compared(change: dict[str, Any], word: str) -> None:
    result = compare(group(workload={**sample.WORKLOAD, **change}), {"output_throughput": 1.0}, [sample.PUBLISHED])
    assert result is not None and not result["comparable"]
    assert word in result["reason"]
    assert result["metrics"] == result["ratio"] == {}


def test_another_number_of_gpus_is_not_compared() -> None:
    result = compare(group(gpu_count=2), {}, [sample.PUBLISHED])
    assert result is not None and not result["comparable"]


@pytest.mark.parametrize(
    "change", [{"model": "other/model"}, {"engine": "other"}, {"gpu": "h200"}, {"published_key": "h200"}]
)
def test_nothing_published(change: dict[str, Any]) -> None:
    assert compare(group(**change), {}, [sample.PUBLISHED]) is None


FOLDER = "/models/LFM2.5-8B-A1B"
SNAPSHOT = f"/root/.cache/huggingface/hub/models--LiquidAI--LFM2.5-8B-A1B/snapshots/{'0123456789' * 4}"
MODEL = sample.PUBLISHED["model"]
OTHER = {**sample.PUBLISHED, "model": "other/model"}


@pytest.mark.parametrize(
    ("model", "names"), [(FOLDER, {FOLDER: MODEL}), ("/srv/x", {"/srv/x": MODEL}), (SNAPSHOT, {}), (SNAPSHOT + "/", {})]
)
def test_a_folder_that_is_known_to_hold_the_model_is_compared(model: str, names: dict[str, str]) -> None:
    result = compare(group(model=model), {"output_throughput": 3787.0}, [OTHER, sample.PUBLISHED], names)
    assert result is not None and result["comparable"]
    assert (result["taken_as"], result["ratio"]["output_throughput"]) == (MODEL, 1.0)


def test_a_name_with_two_dashes_is_found_in_the_cache_of_the_hub() -> None:
    published = {**sample.PUBLISHED, "model": "other/model--v2"}
    found = compare(group(model=SNAPSHOT.replace("LiquidAI--LFM2.5-8B-A1B", "other--model--v2")), {}, [published])
    assert found is not None and found["taken_as"] == "other/model--v2"


def test_what_the_user_says_of_a_folder_outweighs_its_path_and_is_not_asked_for_again() -> None:
    found = compare(group(model=SNAPSHOT), {}, [OTHER, sample.PUBLISHED], {SNAPSHOT: "other/model"})
    assert found is not None and found["taken_as"] == "other/model"
    for model in (SNAPSHOT, FOLDER):
        assert compare(group(model=model), {}, [sample.PUBLISHED], {model: "not/published"}) is None


@pytest.mark.parametrize(
    ("model", "suggested"),
    [
        (FOLDER, f"if it is {MODEL}, set report_model_names: {{{FOLDER}: {MODEL}}}"),
        (FOLDER + "/", f"if it is {MODEL}, set"),
        ("~/weights", f"if it is other/model or {MODEL}, set report_model_names: {{~/weights: other/model}}"),
        (SNAPSHOT.replace("0123", "main"), "what it holds is not known"),
        ("./weights", "what it holds is not known"),
        ("../weights", "what it holds is not known"),
    ],
)
def test_a_folder_of_which_nothing_is_known_says_why_it_is_not_compared_and_what_to_type(
    model: str, suggested: str
) -> None:
    result = compare(group(model=model), {"output_throughput": 3787.0}, [OTHER, sample.PUBLISHED])
    assert result is not None and not result["comparable"] and result["metrics"] == {}
    assert model in result["reason"] and suggested in result["reason"]


def test_the_source_beside_an_unknown_folder_is_that_of_the_model_that_is_named_alike() -> None:
    other = {**OTHER, "source": "another table"}
    result = compare(group(model=FOLDER), {}, [other, sample.PUBLISHED])
    assert result is not None and result["source"] == sample.PUBLISHED["source"] != other["source"]


@pytest.mark.parametrize("change", [{"gpu": "h200"}, {"engine": "other"}])
def test_a_folder_says_nothing_where_nothing_was_published_for_its_hardware_or_engine(change: dict[str, Any]) -> None:
    assert compare(group(model=FOLDER, **change), {}, [sample.PUBLISHED]) is None


def test_the_note_stands_under_the_tables() -> None:
    def printed(**options: Any) -> str:
        fact = sample.benchmark()
        server = {**fact["provenance"]["server"], "model": FOLDER}
        fact["provenance"] = {**fact["provenance"], "server": server}
        fleet = {"h100-01": {**sample.bare_host(), "llmfleet_benchmark": fact}}
        return forms.render(report(fleet, **options), ["text"])["report.txt"]

    assert f"set report_model_names: {{{FOLDER}: {MODEL}}}" in printed()
    assert f"The model in {FOLDER} is taken as {MODEL}." in printed(model_names={FOLDER: MODEL})
