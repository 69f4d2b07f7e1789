# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module model_cache with the hub's real client, against a small hub on this machine."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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


@pytest.mark.parametrize("missing", ["python", "archive"])
def test_what_is_not_on_the_host_is_said(run: Any, tmp_path: Path, missing: str) -> None:
    message = run(**{missing: str(tmp_path / "missing")})["msg"]
    assert f"{tmp_path}/missing is not on the host" in message and "owner" not in message


def test_a_full_disk_is_said(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/x")

    monkeypatch.setattr(model_cache, "bring", full)
    message = run()["msg"]
    assert "No space left on device" in message and "free space" in message and "owner" not in message


def test_an_index_that_never_answers_is_not_waited_for_longer_than_the_limit(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    began = time.monotonic()
    assert "not done after 1 s" in run(timeout_s=1)["msg"]
    assert time.monotonic() - began < 10


def test_a_proxy_that_does_not_answer_is_named_with_the_variable(
    run: Any, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with model_hub(FILES) as hub:
        message = run(python=python, endpoint=hub.url)["msg"]
        assert "docker_engine_proxy: http://127.0.0.1:9 does not let the host through" in message
        for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):  # without a proxy, as it says
            monkeypatch.delenv(name)
        assert run(python=python, endpoint=hub.url)["changed"] is True


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


# Stands for a Python with the hub's client: `CLIENT -c SCRIPT` writes who it is and brings one file.
AS_SHELL = f"""
id -u > "$HOME_OF_CACHE/client-was"
folder="$HOME_OF_CACHE/.cache/huggingface/hub/{ARCHIVED}"
mkdir -p "$folder/snapshots/{COMMIT}" "$folder/refs" && cat > "$folder/order.json"
echo weights > "$folder/snapshots/{COMMIT}/model.safetensors"
printf %s {COMMIT} > "$folder/refs/main"
echo '{{"commit": "{COMMIT}", "files": [{{"name": "model.safetensors", "size": 8}}]}}'
"""
USER = 12345


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of a user beside folders of root; the module runs as root, and each user may go there."""
    if os.geteuid() != 0:
        pytest.skip("works as root in another user's home, which takes root")
    with tempfile.TemporaryDirectory(prefix="llmfleet-owner-", dir="/tmp") as base:
        Path(base).chmod(0o755)
        (Path(base) / "roots").mkdir(mode=0o700)
        home = Path(base) / "home"
        home.mkdir()
        os.chown(home, USER, USER)
        monkeypatch.setenv("HOME_OF_CACHE", str(home))
        yield home


@pytest.fixture
def as_root(run: Any, home: Path) -> Any:
    """Runs the module as root for that home, with a client that is a shell's script."""
    folders = {"cache_dir": str(home / ".cache/huggingface"), "work_dir": str(home / ".local/state/llmfleet")}
    return lambda **params: run(**{"python": "/bin/sh", "script": AS_SHELL, **folders, **params})


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


def users_link(link: Path, target: Path) -> None:
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    for path in (link.parent, link):
        os.chown(path, USER, USER, follow_symlinks=False)


def test_root_fetches_into_a_home_as_its_user(as_root: Any, home: Path) -> None:
    came = as_root()
    assert (came["changed"], came["commit"]) == (True, COMMIT), came
    assert (home / "client-was").read_text().strip() == str(USER)
    assert owners(home) == {USER}
    assert as_root()["changed"] is False


@pytest.mark.parametrize("link", [".cache", ".cache/huggingface", ".cache/huggingface/hub"])
def test_root_follows_no_link_of_the_user(as_root: Any, home: Path, link: str) -> None:
    roots = home.parent / "roots"
    (home / link).parent.mkdir(parents=True, exist_ok=True)
    for folder in (home / link).parents:
        os.chown(folder, USER, USER) if home in folder.parents else None
    users_link(home / link, roots)
    refused = as_root()
    assert refused.get("failed"), refused
    assert list(roots.iterdir()) == []
    assert owners(roots) == {0}


def test_the_environment_of_the_client_is_made_by_the_user_too(as_root: Any, home: Path) -> None:
    users_link(home / ".local", home.parent / "roots")
    refused = as_root(python=None, requirement="no-such-package==1")
    assert refused.get("failed"), refused
    assert list((home.parent / "roots").iterdir()) == []


def test_what_root_fetched_in_earlier_times_is_given_to_the_user(as_root: Any, home: Path) -> None:
    hub = home / ".cache/huggingface/hub"
    (hub / "models--other").mkdir(parents=True)
    (hub / "models--other" / "weights").write_text("x")
    secret = home.parent / "roots" / "secret"
    secret.write_text("x")
    (hub / "hard-link").hardlink_to(secret)
    (hub / "soft-link").symlink_to(secret)
    for folder in (home / ".cache", home / ".cache/huggingface"):
        os.chown(folder, USER, USER)
    assert as_root()["changed"] is True
    assert {path.lstat().st_uid for path in (hub, hub / "models--other", hub / "models--other" / "weights")} == {USER}
    assert secret.stat().st_uid == 0


def test_weights_are_removed_from_the_users_own_folder_alone(as_root: Any, home: Path) -> None:
    as_root()
    hub = home / ".cache/huggingface/hub"
    assert as_root(state="absent", script=None)["changed"] is True
    assert list(hub.iterdir()) == []
    assert as_root(state="absent", script=None)["changed"] is False
    others = home.parent / "roots" / ARCHIVED
    others.mkdir()
    hub.rmdir()
    users_link(hub, home.parent / "roots")
    assert as_root(state="absent", script=None)["changed"] is False
    assert others.is_dir()


def test_a_token_is_read_by_root_only_where_root_alone_decides(as_root: Any, home: Path) -> None:
    token = home.parent / "roots" / "token"
    token.write_text("hf_not_to_be_seen\n")
    token.chmod(0o600)
    order = home / f".cache/huggingface/hub/{ARCHIVED}/order.json"
    assert as_root(token_file=str(token))["changed"] is True
    assert json.loads(order.read_text())["token"] == "hf_not_to_be_seen"
    shutil.rmtree(home / ".cache")
    users_link(home / "mine" / "token", token)
    refused = as_root(token_file=str(home / "mine" / "token"))
    assert "cannot be read" in refused["msg"]
    os.mkfifo(home / "pipe")
    assert "it is no file" in as_root(token_file=str(home / "pipe"))["msg"]


def test_an_archive_is_unpacked_by_the_user(as_root: Any, home: Path, tmp_path: Path) -> None:
    as_root()
    archive = home.parent / "roots" / "model.tar"
    subprocess.run(["tar", "-C", home / ".cache/huggingface/hub", "-cf", archive, ARCHIVED], check=True)
    shutil.rmtree(home / ".cache")
    assert as_root(archive=str(archive))["commit"] == COMMIT
    assert owners(home / ".cache") == {USER}


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
