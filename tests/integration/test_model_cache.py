# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module model_cache with the hub's real client, against a small hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.modules import model_cache

from tests.support.core import patch_module_args
from tests.support.model_hub import COMMIT, MODEL, model_hub

SCRIPT = Path(__file__).resolve().parents[2] / "roles" / "model_cache" / "files" / "fetch_model.py"
REQUIREMENT = "huggingface_hub==2.4.0"
FILES = {"config.json": b"{}", "model.safetensors": os.urandom(3_000_000)}
ARCHIVED = f"models--{MODEL.replace('/', '--')}"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has the client, so that not every test makes its own."""
    folder = tmp_path_factory.mktemp("client")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", REQUIREMENT], check=True)
    return str(folder / "bin/python")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the module and returns its result."""

    def call(check: bool = False, **params: Any) -> dict[str, Any]:
        folders = {"cache_dir": str(tmp_path / "cache"), "work_dir": str(tmp_path / "work")}
        given = {"model": MODEL, "script": SCRIPT.read_text(), **folders, **params, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            model_cache.main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return call


def test_weights_come_once_and_the_second_run_makes_no_request(run: Any, python: str) -> None:
    with model_hub(FILES) as hub:
        assert run(check=True, python=python, endpoint=hub.url)["changed"] is True
        assert hub.requests == []
        first = run(python=python, endpoint=hub.url)
        assert (first["changed"], first["commit"]) == (True, COMMIT)
        assert first["size_bytes"] == sum(map(len, FILES.values()))
        asked = len(hub.requests)
        again = run(python=python, endpoint=hub.url)
        assert (again["changed"], again["commit"]) == (False, COMMIT)
        assert len(hub.requests) == asked


def test_the_module_makes_its_own_client_and_removes_it(run: Any, tmp_path: Path) -> None:
    with model_hub(FILES) as hub:
        assert run(endpoint=hub.url, requirement=REQUIREMENT)["changed"] is True
    assert not (tmp_path / "work" / "hub-client").exists()


def test_a_file_that_got_lost_is_fetched_again(run: Any, python: str, tmp_path: Path) -> None:
    with model_hub(FILES) as hub:
        run(python=python, endpoint=hub.url)
        lost = tmp_path / "cache" / "hub" / ARCHIVED / "snapshots" / COMMIT / "model.safetensors"
        lost.resolve().unlink()
        lost.unlink()
        assert run(python=python, endpoint=hub.url)["changed"] is True
        assert lost.read_bytes() == FILES["model.safetensors"]


def test_a_download_that_broke_off_goes_on_from_there(run: Any, python: str) -> None:
    with model_hub(FILES) as hub:
        hub.cut_after = 2_000_000
        while not run(python=python, endpoint=hub.url).get("commit"):
            pass  # the client may resume within the same run or leave that to the next run
        assert hub.sent_bytes < 2 * len(FILES["model.safetensors"])


def test_a_file_that_is_not_what_the_hub_says_is_refused(run: Any, python: str) -> None:
    with model_hub(FILES) as hub:
        hub.digests["model.safetensors"] = "0" * 64
        refused = run(python=python, endpoint=hub.url)
        assert refused["failed"] is True
        assert "model.safetensors" in refused["msg"]


def test_a_token_is_sent_and_its_absence_reported_with_the_remedy(run: Any, python: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hf_not_to_be_seen\n")
    with model_hub(FILES, token="hf_not_to_be_seen") as hub:
        refused = run(python=python, endpoint=hub.url)
        assert "model_cache_token_file" in refused["msg"]
        came = run(python=python, endpoint=hub.url, token_file=str(token))
        assert came["changed"] is True
        assert "hf_not_to_be_seen" not in json.dumps([refused, came])


def test_the_token_that_keys_yml_brings_is_taken(run: Any, python: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "token").write_text("hf_not_to_be_seen\n")
    with model_hub(FILES, token="hf_not_to_be_seen") as hub:
        assert run(python=python, endpoint=hub.url)["changed"] is True


@pytest.mark.skipif(os.geteuid() != 0, reason="fetches as root into another user's home, which takes root")
def test_folders_that_root_makes_in_a_home_are_the_users(run: Any, python: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 12345)
    folders = {
        "cache_dir": str(home / ".cache" / "huggingface"),
        "work_dir": str(home / ".local" / "state" / "llmfleet"),
    }
    with model_hub(FILES) as hub:
        run(python=python, endpoint=hub.url, **folders)
    created = [".cache", ".cache/huggingface", ".local", ".local/state", ".local/state/llmfleet"]
    assert {(home / name).stat().st_uid for name in created} == {12345}


def test_an_archive_brings_the_weights_without_a_network(run: Any, python: str, tmp_path: Path) -> None:
    with model_hub(FILES) as hub:
        run(python=python, endpoint=hub.url)
    archive = tmp_path / "model.tar"
    subprocess.run(["tar", "-C", tmp_path / "cache" / "hub", "-cf", archive, ARCHIVED], check=True)
    elsewhere = {"cache_dir": str(tmp_path / "elsewhere"), "archive": str(archive)}
    assert run(**elsewhere)["commit"] == COMMIT
    assert run(**elsewhere)["changed"] is False
    wrong = run(**{**elsewhere, "cache_dir": str(tmp_path / "third")}, revision="v2")
    assert "holds no revision v2" in wrong["msg"]
