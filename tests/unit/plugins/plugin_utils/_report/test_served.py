# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table at the end of a deployment: each host has a row, whatever became of it."""

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.served import HEADER, RECORDS, Run

SERVER = {
    "backend": "vllm",
    "engine": "vllm",
    "engine_version": "0.33.0",
    "simulated": False,
    "model": "LiquidAI/LFM2.5-8B-A1B",
    "endpoint": "http://127.0.0.1:8000",
    "instances": [{"name": "llmfleet-server"}],
    "gpu": {"class": "h100", "name": "NVIDIA H100 80GB HBM3", "count": 1},
    "ready_s": 41.23,
}
CAUSE = "lfm25 is not served at http://127.0.0.1:8000: no such option. Expected: an option. Remedy: leave it out."


def run_of(*hosts, predicted=False):
    run = Run()
    run.expect(hosts, predicted=predicted)
    return run


def row(run, lost=(), host="one"):
    """The cells of a host's row."""
    (line,) = [line for line in run.table(lost).splitlines() if line.split("  ")[0] == host]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def record(run, host="one", *, changed=False, **changes):
    run.done(host, RECORDS, "Record", changed=changed, facts={"llmfleet_server": {**SERVER, **changes}})


@pytest.mark.parametrize(
    ("fact", "cells"),
    [
        ({}, ["1× NVIDIA H100 80GB HBM3", "vllm 0.33.0", "LiquidAI/LFM2.5-8B-A1B", "http://127.0.0.1:8000", "41.2 s"]),
        (
            {"instances": [{"name": str(number)} for number in range(8)], "gpu": {"name": "NVIDIA B200", "count": 8}},
            ["8× NVIDIA B200", "8 × vllm 0.33.0", "LiquidAI/LFM2.5-8B-A1B", "http://127.0.0.1:8000", "41.2 s"],
        ),
        (
            {"backend": "simulator", "simulated": True, "gpu": {"class": "h100", "name": None, "count": 0}},
            ["1× h100", "vllm SIMULATED", "LiquidAI/LFM2.5-8B-A1B", "http://127.0.0.1:8000", "41.2 s"],
        ),
        (
            {"engine_version": None, "ready_s": None, "gpu": {"class": None, "name": None}, "model": None},
            ["1× no GPU", "vllm", "-", "http://127.0.0.1:8000", "-"],
        ),
    ],
)
def test_a_host_that_serves_says_what_and_where(fact, cells):
    run = run_of("one")
    record(run, **fact)
    assert row(run) == ["one", *cells, "nothing"]


@pytest.mark.parametrize(
    ("tasks", "predicted", "cell"),
    [
        ([("llmfleet.serving.server_process", "Start")], False, "server"),
        ([("community.docker.docker_image_pull", "Pull"), ("community.docker.docker_container", "Start")], False, "image, server"),
        ([("ansible.builtin.apt", "A"), ("ansible.builtin.apt", "B")], True, "would change: packages"),
        ([("ansible.builtin.command", "llmfleet.serving.x : Cdi | Write the specification")], False, "Write the specification"),
        ([], True, "nothing"),
    ],
)  # fmt: skip
def test_what_changed_is_named_once(tasks, predicted, cell):
    run = run_of("one", predicted=predicted)
    for action, name in tasks:
        run.done("one", action, name, changed=True, facts={})
    record(run, changed=True)
    assert row(run)[-1] == cell


@pytest.mark.parametrize(
    ("happened", "lost", "reason"),
    [
        (lambda run: run.failed("one", CAUSE), ["one"], "FAILED: lfm25 is not served at http://127.0.0.1:8000: no such option"),
        (
            lambda run: (run.failed("one", CAUSE), run.failed("one", "Rolled back to what answered last.")),
            ["one"],
            "FAILED: lfm25 is not served at http://127.0.0.1:8000: no such option; rolled back",
        ),
        (
            lambda run: (run.failed("one", "no such image"), run.failed("one", "Nothing was stopped: x still answers.")),
            ["one"],
            "FAILED: no such image; the former server still answers",
        ),
        (lambda run: run.failed("one", "many\nlines " + "x" * 500), ["one"], None),
        (lambda run: run.unreachable("one", "Failed: \x1b[2J no route"), ["one"], "FAILED: unreachable: Failed: [2J no route"),
        (lambda run: run.done("one", "x", "y", changed=False, facts={}), ["one"], "FAILED: see its messages above"),
        (lambda run: run.done("one", "x", "y", changed=False, facts={}), [], "nothing; no server"),
        (lambda run: None, [], "not reached: the run ended before its turn"),
        # What failed and was mended is no failure of the host.
        (lambda run: (run.failed("one", CAUSE), record(run)), [], "nothing"),
    ],
)  # fmt: skip
def test_every_host_has_one_line(happened, lost, reason):
    run = run_of("one", "two")
    happened(run)
    record(run, "two")
    lines = run.table(lost).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["one", "two"]
    assert len(row(run, lost)[-1]) <= 200
    assert reason is None or row(run, lost)[-1] == reason


def test_a_long_reason_does_not_widen_the_columns():
    run = run_of("one", "a-host-with-a-long-name")
    record(run)
    run.failed("a-host-with-a-long-name", CAUSE)
    heading, rule, served, _failed, more = run.table(["a-host-with-a-long-name"]).splitlines()
    assert len(rule) < 150 and [heading.index(title) for title in HEADER[1:3]] == [25, 51]
    assert served.index("vllm") == 51 and more.startswith("What failed")


def test_where_no_host_serves_there_is_no_heading():
    run = run_of("one", "two")
    run.failed("one", CAUSE)
    run.failed("two", CAUSE)
    assert [line.split()[0] for line in run.table(["one", "two"]).splitlines()] == ["one", "two", "What"]


def test_a_fact_that_is_none_is_no_server_and_no_play_is_no_table():
    run = run_of("one")
    run.done("one", RECORDS, "Record", changed=True, facts={"llmfleet_server": None})
    assert row(run)[-1] == "nothing; no server"
    assert Run().table([]) == ""
    run.done("one", RECORDS, "Record", changed=True, facts={"llmfleet_server": ["a list"]})
    assert row(run)[-1] == "nothing; no server"
