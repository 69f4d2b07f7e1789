# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.modules import server_process

from tests.support.core import patch_module_args


@pytest.fixture
def run(capsys):
    def call(status=0, **options):
        with patch_module_args(options), pytest.raises(SystemExit) as end:
            server_process.main()
        assert end.value.code == status
        return json.loads(capsys.readouterr().out)

    return call


def test_one_that_died_at_once_can_be_removed(run, tmp_path):
    folder = tmp_path / "server"
    run(server_dir=str(folder), argv=["true"], digest="1")
    record = json.loads((folder / "process.json").read_text())
    (folder / "process.json").write_text(json.dumps({**record, "identity": None}))
    assert run(server_dir=str(folder), state="absent")["actions"] == ["remove"]
    assert not folder.exists()


def test_one_that_died_is_started_again(run, tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "process.json").write_text('{"pid": 4194305, "identity": null, "digest": "1", "argv": []}')
    assert run(server_dir=str(folder), argv=["true"], digest="1")["actions"] == ["start"]


@pytest.mark.parametrize("options", [{"state": "absent"}, {"argv": ["true"], "digest": "1"}])
def test_a_folder_that_is_none_is_said(run, tmp_path, options):
    (tmp_path / "server").write_text("a file")
    assert (
        f"{tmp_path}/server/process.json: Not a directory" in run(1, server_dir=f"{tmp_path}/server", **options)["msg"]
    )


def test_a_process_of_another_user_is_said(run, tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(server_process.server_process, "running_pid", lambda _folder: 1)
    monkeypatch.setattr(server_process.server_process, "stop", refuse)
    assert f"{tmp_path}: Operation not permitted" in run(1, server_dir=str(tmp_path), state="absent")["msg"]


def test_a_file_of_other_bytes_is_written_anew(run, tmp_path):
    options = {"server_dir": str(tmp_path), "argv": ["true"], "digest": "1", "files": {"a.txt": "b"}}
    run(**options)
    (tmp_path / "a.txt").write_bytes(b"\xff")
    run(**options)
    assert (tmp_path / "a.txt").read_text() == "b"


def test_a_folder_that_cannot_be_removed_is_said(run, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", f"{path}/x")

    monkeypatch.setattr(server_process.shutil, "rmtree", refuse)
    assert (
        f"cannot remove {tmp_path}: {tmp_path}/x: Permission denied"
        in run(1, server_dir=str(tmp_path), state="absent")["msg"]
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "vllm"), ("cannot start vllm: No such", "install it")),
        (OSError(errno.ENOSPC, "No space left on device"), ("cannot write to /s: No space left", "free space")),
        (
            PermissionError(errno.EACCES, "Permission denied", "/s/a"),
            ("cannot write to /s/a: Permission", "free space"),
        ),
    ],
)
def test_why_a_server_did_not_start(error, words):
    problem = server_process.not_started(Path("/s"), "vllm", error)
    assert words[0] in problem.found and words[1] in problem.remedy
