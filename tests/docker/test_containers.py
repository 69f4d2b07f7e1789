# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the container runtime does to a real Docker engine: once, not twice, back again, and with no secret to be seen."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.docker.conftest import Containers
from tests.support.docker_engine import docker
from tests.support.model_hub import COMMIT, MODEL, model_hub

MODULE_CALLS = 20


def flat(output: str) -> str:
    """Ansible's output with its line breaks as spaces."""
    return " ".join(output.split())


def served_names(port: int, key: str | None = None) -> list[str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return [entry["id"] for entry in json.loads(answer.read())["data"]]


def test_deploy_twice_change_a_flag_and_take_away(fleet: Containers) -> None:
    fleet.serve("one")
    absent = fleet.play("deploy.yml", check=True, inference_server_image="llmfleet-test/not-here:1")
    assert absent.rc == 0, absent.output
    planned = fleet.play("deploy.yml", check=True)
    assert planned.rc == 0, planned.output
    first = fleet.play("deploy.yml")
    assert first.rc == 0, first.output
    assert first.changed("one") == planned.changed("one") == 2  # the container and the facts
    born = fleet.started_at("one")
    again = fleet.play("deploy.yml")
    assert (again.rc, again.changed("one")) == (0, 0), again.output
    assert fleet.play("deploy.yml", check=True).changed("one") == 0
    assert fleet.started_at("one") == born
    assert len(again.module_calls("one")) <= MODULE_CALLS, again.module_calls("one")

    other = f"{fleet.image}-other"
    docker("tag", fleet.image, other)
    announced = fleet.play("deploy.yml", check=True, inference_server_image=other)
    docker("rmi", other)
    assert f"recreated, {fleet.image} -> {other}. To stay: inference_server_image: {fleet.image}." in flat(
        announced.output
    )
    assert "To stay" not in again.output
    assert fleet.started_at("one") == born

    changed = fleet.play("deploy.yml", inference_server_extra_args=["--seed", "7"])
    assert changed.rc == 0, changed.output
    assert fleet.started_at("one") != born
    fact = json.loads((fleet.folder / "state/one/facts.d/llmfleet_server.fact").read_text())
    assert fact["argv"][-2:] == ["--seed", "7"]
    assert fact["image_digest"].startswith("sha256:")
    assert fact["instances"][0]["port"] == fleet.port("one")
    assert {name for name, status in fact["smoke"].items() if status != "pass"} == {"lora"}  # there is no adapter

    assert fleet.play("teardown.yml").changed("one") == 2
    assert fleet.play("teardown.yml").changed("one") == 0
    with pytest.raises(urllib.error.URLError):
        served_names(fleet.port("one"))


def test_a_bad_change_is_taken_back_within_a_minute(fleet: Containers) -> None:
    fleet.serve("one")
    assert fleet.play("deploy.yml").rc == 0
    bad = fleet.play("deploy.yml", inference_server_env={"STAND_IN": "unknown_flag"})
    assert bad.rc != 0
    assert "Known cause: unknown_flag" in bad.failures("one")
    assert "answers again" in bad.failures("one")
    assert served_names(fleet.port("one")) == ["lfm25_8b_a1b"]
    assert bad.failed_for_s() < 60
    unchanged = fleet.play("deploy.yml")
    assert (unchanged.rc, unchanged.changed("one")) == (0, 0), unchanged.output


def test_two_instances_serve_side_by_side_and_the_second_goes(fleet: Containers) -> None:
    fleet.serve("pair", inference_server_instances=2)
    port = fleet.port("pair")
    deployed = fleet.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    assert served_names(port) == served_names(port + 1) == ["lfm25_8b_a1b"]
    assert fleet.play("deploy.yml", inference_server_instances=1).rc == 0
    assert served_names(port) == ["lfm25_8b_a1b"]
    with pytest.raises(urllib.error.URLError):
        served_names(port + 1)


def test_the_weights_come_first_and_the_engine_is_offline(fleet: Containers, tmp_path: Path) -> None:
    weights = {"config.json": b"{}", "model.safetensors": b"weights" * 1000}
    cache = {"inference_server_hf_cache_dir": str(tmp_path / "cache"), "inference_server_model": MODEL}
    with model_hub(weights) as hub:
        fleet.serve("cached", model_cache_endpoint=hub.url, **cache)
        deployed = fleet.play("deploy.yml")
        assert deployed.rc == 0, deployed.output
    again = fleet.play("deploy.yml")  # the hub is gone
    assert (again.rc, again.changed("cached")) == (0, 0), again.output
    fact = json.loads((fleet.folder / "state/cached/facts.d/llmfleet_server.fact").read_text())
    assert fact["model_revision"] == COMMIT
    assert "HF_HUB_OFFLINE=1" in docker("inspect", "--format", "{{.Config.Env}}", fleet.container("cached"))


def test_a_key_is_asked_for_and_shown_nowhere(fleet: Containers, tmp_path: Path) -> None:
    key = "sk-not-to-be-seen-0123456789"
    key_file = tmp_path / "key"
    key_file.write_text(key + "\n")
    key_file.chmod(0o600)
    fleet.serve("locked", inference_server_api_key_file=str(key_file), inference_server_bind_address="0.0.0.0")
    deployed = fleet.play("deploy.yml")
    assert deployed.rc == 0, deployed.output
    with pytest.raises(urllib.error.HTTPError, match="401"):
        served_names(fleet.port("locked"))
    assert served_names(fleet.port("locked"), key) == ["lfm25_8b_a1b"]
    name = fleet.container("locked")
    seen = {
        "docker inspect": docker("inspect", name),
        "docker logs": docker("logs", name),
        "processes": docker("top", name, "-eo", "pid,args"),
        "facts": "".join(path.read_text() for path in (fleet.folder / "state").rglob("*.fact")),
        "output": deployed.output + json.dumps(deployed.events, default=str),
    }
    assert {place for place, text in seen.items() if key in text} == set()

    born = fleet.started_at("locked")
    unchanged = fleet.play("deploy.yml")
    assert (unchanged.rc, unchanged.changed("locked"), fleet.started_at("locked")) == (0, 0, born), unchanged.output
    key_file.write_text("sk-the-next-one\n")
    rotated = fleet.play("deploy.yml", options="--diff")
    assert rotated.rc == 0, rotated.output
    assert f"locked: {name} is replaced: the file of the key was changed" in rotated.output
    assert re.findall(r"\b[0-9a-f]{64}\b.*", rotated.output) == [], "a digest is no difference that can be read"
    assert fleet.started_at("locked") != born
    assert served_names(fleet.port("locked"), "sk-the-next-one") == ["lfm25_8b_a1b"]
    key_file.write_text("\n")
    empty = fleet.play("deploy.yml")
    assert empty.rc != 0
    assert f"api_key_file {key_file} holds no key" in empty.failures("locked")
