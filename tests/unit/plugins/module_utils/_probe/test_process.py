# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.process import (
    parse_container_id,
    parse_session_id,
    probe_pid_file,
    probe_process,
    redact_command,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.system import System
from hypothesis import given
from hypothesis import strategies as st

ID = "ab" * 32


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["vllm", "serve", "--port", "8000"], "vllm serve --port 8000"),
        (["vllm", "--api-key", "sk-1", "--port", "1"], "vllm --api-key ******** --port 1"),
        (["vllm", "--api-key=sk-1"], "vllm --api-key=********"),
        (["env", "HF_TOKEN=hf_1", "run"], "env HF_TOKEN=******** run"),
        (["vllm", "--max-tokens", "8", "--tokenizer", "x"], "vllm --max-tokens 8 --tokenizer x"),
        (["serve", "--ssl-keyfile", "/k.pem", "--key", "sk-1"], "serve --ssl-keyfile /k.pem --key ********"),
        ([], ""),
    ],
)
def test_secrets_in_a_command_line_are_masked(argv, shown):
    assert redact_command(argv) == shown


@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_command_line_is_taken(argv):
    assert isinstance(redact_command(argv), str)


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", ID),
        (f"12:devices:/docker/{ID}\n11:cpu:/docker/{ID}\n", ID),
        ("0::/user.slice/session-1.scope\n", None),
        (None, None),
    ],
)
def test_the_container_of_a_process(cgroup, container):
    assert parse_container_id(cgroup) == container


@pytest.mark.parametrize(("stat", "session"), [("77 (a (b) c) S 1 70 60 0 -1", 60), (None, None), ("", None)])
def test_the_session_of_a_process(stat, session):
    assert parse_session_id(stat) == session


def test_this_process():
    me = probe_process(System(), os.getpid())
    assert me["session_id"] == os.getsid(0)
    assert me["command"]


def test_a_process_that_is_gone(fake_host):
    assert probe_process(fake_host, 5) == {"pid": 5, "command": None, "session_id": None, "container_id": None}


@pytest.mark.parametrize(
    ("text", "pid"),
    [("77\n", 77), ('{"pid": 77, "argv": []}', 77), ("78", None), ("x", None), ("true", None), (None, None)],
)
def test_a_pid_file(fake_host, text, pid):
    fake_host.file("/proc/77/stat", "77 (x) S 1 1 1")
    if text is not None:
        fake_host.file("/run/x.pid", text)
    assert probe_pid_file(fake_host, "/run/x.pid")["pid"] == pid
