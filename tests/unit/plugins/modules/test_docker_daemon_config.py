# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.modules import docker_daemon_config as subject

from tests.support.core import patch_module_args

STOPPED = {"state": "stopped", "live_restore": False, "daemon_flags": []}
RUNNING = {**STOPPED, "state": "running"}
ON = {"live-restore": True}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "docker" / "daemon.json"


@pytest.fixture
def engine(monkeypatch):
    """Stands for the machine's Docker, which a test must not touch; records the steps that are asked of it."""
    steps = []

    def put(state, refuse=()):
        def bring_into_force(_module, _system, step, wanted):
            steps.append((step, wanted))
            if step in refuse:
                raise subject.UserError(Problem("it did not come back"))

        monkeypatch.setattr(subject, "probe_docker", lambda _system: state)
        monkeypatch.setattr(subject, "bring_into_force", bring_into_force)
        monkeypatch.setattr(subject, "validate", lambda *_arguments: None)
        return steps

    return put


def run(capsys, path, **arguments):
    with patch_module_args({"path": str(path), **arguments}), pytest.raises(SystemExit):
        subject.main()
    return json.loads(capsys.readouterr().out)


@pytest.fixture(params=[0o002, 0o022, 0o077], ids=oct)
def umask(request):
    """A mask of the user's own, for one test."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_new_file_before_there_is_an_engine(capsys, path, engine):
    steps = engine(STOPPED)
    result = run(capsys, path, defaults={"log-driver": "local"}, options=ON)
    assert json.loads(path.read_text()) == {"log-driver": "local", "live-restore": True} == result["config"]
    assert (result["changed"], result["actions"], steps) == (True, ["write"], [])
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_holds_everything_is_left_alone_byte_for_byte(capsys, path, engine):
    engine(RUNNING)
    path.parent.mkdir()
    path.write_text('{"live-restore":   true}')
    result = run(capsys, path, options=ON)
    assert (result["changed"], result["actions"]) == (False, [])
    assert path.read_text() == '{"live-restore":   true}'


def test_a_file_keeps_its_mode(capsys, path, engine):
    engine(STOPPED)
    path.parent.mkdir()
    path.write_text("{}")
    path.chmod(0o600)
    run(capsys, path, options=ON)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("there", [True, False], ids=["present", "missing"])
@pytest.mark.parametrize("state", [STOPPED, RUNNING], ids=["stopped", "running"])
def test_a_link_stays_and_the_file_that_it_leads_to_is_written(capsys, tmp_path, path, engine, there, state):
    engine(state)
    kept = tmp_path / "kept" / "daemon.json"
    kept.parent.mkdir()
    path.parent.mkdir()
    if there:
        kept.write_text('{"debug": false}')
    path.symlink_to("../kept/daemon.json")
    run(capsys, path, options=ON)
    assert os.readlink(path) == "../kept/daemon.json"
    assert json.loads(kept.read_text()) == {**({"debug": False} if there else {}), **ON}


def test_a_link_that_led_nowhere_is_still_there_after_a_refused_change(capsys, path, engine):
    engine(RUNNING, refuse=["reload"])
    path.parent.mkdir()
    path.symlink_to("kept.json")
    assert run(capsys, path, options=ON)["failed"]
    assert path.is_symlink() and not path.exists()


def test_root_writes_through_no_link_that_others_can_turn(capsys, monkeypatch, path, engine):
    engine(STOPPED)
    monkeypatch.setattr(subject.os, "geteuid", lambda: 0)
    monkeypatch.setattr(subject, "root_alone_decides", lambda _path: False)
    path.parent.mkdir()
    (path.parent / "theirs.json").write_text("{}")
    path.symlink_to("theirs.json")
    result = run(capsys, path, options=ON)
    assert f"sudo cp --remove-destination {path.parent}/theirs.json {path}" in result["msg"]
    assert (path.parent / "theirs.json").read_text() == "{}"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_in_another_encoding_is_read_as_docker_reads_it(capsys, path, engine, encoding):
    engine(STOPPED)
    path.parent.mkdir()
    before = '{"data-root": "/d\u00e4ta", "live-restore": true}'.encode(encoding)
    path.write_bytes(before)
    assert not run(capsys, path, options=ON)["changed"]
    assert path.read_bytes() == before
    run(capsys, path, options={"debug": True})
    assert json.loads(path.read_bytes()) == {"data-root": "/d\u00e4ta", "debug": True, **ON}


def test_a_refused_change_leaves_a_file_in_another_encoding_byte_for_byte(capsys, path, engine):
    engine(RUNNING, refuse=["reload"])
    path.parent.mkdir()
    before = '{"debug": true}'.encode("utf-16")
    path.write_bytes(before)
    assert run(capsys, path, options=ON)["failed"]
    assert path.read_bytes() == before


def test_bytes_that_are_no_text_are_refused_and_left(capsys, path, engine):
    engine(STOPPED)
    path.parent.mkdir()
    path.write_bytes(b'{"k": "\xe9"}')
    result = run(capsys, path, options=ON)
    assert f"{path}: not UTF-8 text: byte 8. It was not touched" in result["msg"]
    assert path.read_bytes() == b'{"k": "\xe9"}'


def test_a_running_engine_is_protected_before_it_is_restarted(capsys, path, engine):
    steps = engine(RUNNING)
    result = run(capsys, path, defaults={"log-driver": "local"}, options=ON)
    assert steps == [("reload", ON), ("restart", {"log-driver": "local", **ON})]
    assert result["actions"] == ["write", "reload", "restart"]


def test_a_refused_restart_leaves_the_engine_with_the_protected_file(capsys, path, engine):
    steps = engine(RUNNING, refuse=["restart"])
    path.parent.mkdir()
    path.write_text('{"debug": false}')
    result = run(capsys, path, defaults={"log-driver": "local"}, options=ON)
    assert result["failed"] and "did not come back" in result["msg"]
    assert json.loads(path.read_text()) == {"debug": False, **ON}
    assert steps[-1] == ("restart", {"debug": False, **ON})


def test_a_refused_reload_restarts_nothing(capsys, path, engine):
    steps = engine(RUNNING, refuse=["reload"])
    assert run(capsys, path, options={**ON, "log-driver": "local"})["failed"]
    assert not path.exists()
    assert {step for step, _config in steps} == {"reload"}


def test_check_mode_predicts_and_writes_nothing(capsys, path, engine):
    steps = engine(RUNNING)
    result = run(capsys, path, options={**ON, "log-driver": "local"}, _ansible_check_mode=True)
    assert (result["changed"], result["actions"]) == (True, ["write", "reload", "restart"])
    assert json.loads(result["diff"]["after"]) == result["config"]
    assert not path.exists() and steps == []


@pytest.mark.parametrize(
    ("text", "options", "cause"),
    [("{,}", ON, "not JSON"), ("[]", ON, "not a JSON object"), ("{}", {"live-restore": "yes"}, "true or false")],
)
def test_what_is_wrong_is_refused_and_the_file_left_alone(capsys, path, engine, text, options, cause):
    engine(RUNNING)
    path.parent.mkdir()
    path.write_text(text)
    result = run(capsys, path, options=options)
    assert result["failed"] and cause in result["msg"] and "not touched" in result["msg"]
    assert path.read_text() == text


def test_a_proxy_of_the_file_is_shown_without_its_password(capsys, path, engine):
    engine(STOPPED)
    proxy = {"proxies": {"http-proxy": "http://me:c4nary-Value@proxy:3128"}}
    path.parent.mkdir()
    path.write_text(json.dumps(proxy))
    with patch_module_args({"path": str(path), "options": ON}), pytest.raises(SystemExit):
        subject.main()
    assert "c4nary" not in capsys.readouterr().out
    assert json.loads(path.read_text()) == {**proxy, **ON}
