# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._server.start_phases import (
    phases,
    pull_s,
    slowest,
    stage,
)
from hypothesis import given
from hypothesis import strategies as st

LOGS = Path(__file__).resolve().parents[3] / "fixtures" / "server_logs"
NOTHING = {"weights_s": None, "load_s": None, "compile_s": None}


def log(name):
    return (LOGS / f"{name}.txt").read_text().splitlines()


def started_until(text):
    """The log of a good start as far as the line with that text."""
    lines = log("vllm_started")
    return lines[: next(at for at, line in enumerate(lines) if text in line) + 1]


VLLM_GPU = [
    "(Worker_TP0 pid=30) INFO 08-06 20:11:33 [weight_utils.py:530] Time spent downloading weights for a/b: 64.511670 seconds",
    "(Worker_TP0 pid=30) INFO 08-06 20:11:40 [default_loader.py:501] Loading weights took 5.12 seconds",
    "(Worker_TP1 pid=31) INFO 08-06 20:11:41 [default_loader.py:501] Loading weights took 6.25 seconds",
    "(Worker_TP0 pid=30) INFO 08-06 20:11:41 [gpu_model_runner.py:5150] Model loading took 7.61 GiB memory and 71.00 seconds",
    "(Worker_TP0 pid=30) INFO 08-06 20:12:10 [monitor.py:60] [backbone] torch.compile took 20.50 s in total",
    "(Worker_TP0 pid=30) INFO 08-06 20:12:40 [gpu_model_runner.py:6582] Graph capturing finished in 18 secs, took 0.96 GiB",
    "(Worker_TP1 pid=31) INFO 08-06 20:12:40 [gpu_model_runner.py:6582] Graph capturing finished in 18 secs, took 0.96 GiB",
]
SGLANG = [
    "[2026-08-27 03:45:30 TP0] Load weight begin. avail mem=75.40 GB",
    "[2026-08-27 03:45:42 TP0] Load weight end. elapsed=12.02 s, type=Lfm2MoeForCausalLM, avail mem=27.91 GB, mem usage=47.49 GB.",
    "[2026-08-27 03:45:42 TP1] Load weight end. elapsed=12.90 s, type=Lfm2MoeForCausalLM, avail mem=27.91 GB, mem usage=47.49 GB.",
    "[2026-08-27 03:46:18 TP0] Capture target prefill CUDA graph end. elapsed=22.96 s, mem usage=0.40 GB, avail mem=10.9 GB.",
    "[2026-08-27 03:46:30 TP0] Capture target decode CUDA graph end. elapsed=12.26 s, mem usage=0.34 GB, avail mem=10.54 GB.",
    "[2026-08-27 03:46:31] The server is fired up and ready to roll!",
]
# 0.5.23 can read the weights while it captures graphs with others; read in its source, not run.
SGLANG_LATE = (
    "[2026-11-20 03:46:20 TP0] Load weight end. Committed real weights after CUDA graph capture in 4.21 s "
    "(capture overlap window 30.10 s, startup overlap total 34.31 s)"
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], {}),
        (log("vllm_started"), {"load_s": 0.03, "compile_s": 40.0}),
        (log("vllm_unknown_flag"), {}),
        (started_until("Warming up model"), {"load_s": 0.03}),
        (VLLM_GPU, {"weights_s": 64.51, "load_s": 6.25, "compile_s": 38.5}),
        (SGLANG, {"load_s": 12.9, "compile_s": 35.22}),
        (log("sglang_started"), {"load_s": 2.83, "compile_s": 82.6}),
        ([SGLANG[0], SGLANG[3], SGLANG_LATE], {"load_s": 4.21, "compile_s": 22.96}),
        (log("sglang_memory_share_too_small"), {"load_s": 3.42}),
        (["INFO 03-23 05:03:04 [monitor.py:33] torch.compile takes 34.61 s in total"], {"compile_s": 34.61}),
        (
            ["[2025-03-08 12:29:28 TP0] Capture cuda graph end. Time elapsed: 7.23 s. avail mem=0.53 GB."],
            {"compile_s": 7.23},
        ),
    ],
)
def test_the_seconds_of_each_phase_are_the_engines_own(lines, expected):
    assert phases(lines) == {**NOTHING, **expected}


def test_an_odd_clock_gives_no_negative_time():
    lines = [
        "(W pid=1) INFO 12-31 23:59:50 [a.py:1] Warming up model for the compilation...",
        "(W pid=1) INFO 01-01 00:00:20 [a.py:1] Warming up done.",
    ]
    assert phases(lines)["compile_s"] is None


def test_a_time_that_is_none_gives_no_time():
    lines = [
        f"(W pid=1) INFO 13-41 23:59:50 [a.py:1] {text}"
        for text in ("Warming up model for the compilation...", "Warming up done.")
    ]
    assert phases(lines)["compile_s"] is None


@given(st.lists(st.text()))
def test_any_text_is_read(lines):
    assert set(phases(lines)) == set(NOTHING)
    assert stage(lines)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([], "starting"),
        (["anything"], "starting"),
        (SGLANG[:1], "loading weights"),
        (SGLANG[:2], "compiling and warming up"),
        (SGLANG, "started"),
        (log("sglang_started"), "started"),
        (log("sglang_out_of_gpu_memory"), "compiling and warming up"),
        (started_until("Starting to load"), "loading weights"),
        (log("vllm_started"), "started"),
    ],
)
def test_the_stage_is_that_of_the_last_telling_line(lines, name):
    assert stage(lines) == name


def test_of_servers_side_by_side_the_slowest_counts():
    one, two = {"load_s": 1.0, "compile_s": None}, {"load_s": 2.5, "compile_s": None}
    assert slowest([one, two]) == {"load_s": 2.5, "compile_s": None}
    assert slowest([]) == {}


@pytest.mark.parametrize(
    ("tagged_at", "began_at_s", "seconds"),
    [
        ("1970-01-01T00:01:40.123456789Z", 60.0, 40.1),
        ("1970-01-01T01:01:40+01:00", 60.0, 40.0),
        ("1970-01-01T00:01:40Z", 100.5, None),  # it was there before
        ("0001-01-01T00:00:00Z", 0.0, None),  # never tagged
        ("1970-01-01T00:01:40Z", None, None),
        ("soon", 0.0, None),
        (None, 0.0, None),
    ],
)
def test_an_images_tag_shows_how_long_its_pull_took(tagged_at, began_at_s, seconds):
    assert pull_s(tagged_at, began_at_s) == seconds
