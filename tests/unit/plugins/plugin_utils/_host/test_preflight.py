# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.preflight import (
    CHECKS,
    evaluate,
    failures,
    message,
    notes,
    summary,
    table,
    verdict_of,
)
from preflight_hosts import HOST, WANT, changed, process


def check_of(name, host, want=WANT, severities=None):
    return next(check for check in evaluate(host, want, severities or {}) if check["name"] == name)


def test_a_right_host_passes_everything():
    checks = evaluate(HOST, WANT, {})
    assert [check["name"] for check in checks if check["status"] == "fail"] == []
    assert [check["name"] for check in checks] == list(CHECKS)
    assert verdict_of(checks) == "ok"


def test_a_host_without_a_profile_is_refused_with_the_remedy():
    problem = {"found": "no GPU profile", "expected": "a group of a class", "remedy": "set gpu_profile"}
    wanted = {**WANT, "gpu": {**WANT["gpu"], "profile": {}, "profile_problem": problem}}
    check = check_of("gpu_matches_profile", HOST, wanted)
    assert (check["status"], check["severity"]) == ("fail", "error")
    assert (check["found"], check["needed"], check["remedy"]) == tuple(problem.values())


def test_a_host_whose_gpus_are_too_small_for_the_model_is_refused_with_the_remedy():
    problem = {"found": "4 GPUs of 79 GiB", "expected": "8 of them", "remedy": "take a host with more"}
    check = check_of("gpu_memory", HOST, {**WANT, "gpu": {**WANT["gpu"], "model_problem": problem}})
    assert (check["status"], check["severity"]) == ("fail", "error")
    assert (check["found"], check["needed"], check["remedy"]) == tuple(problem.values())


DISPLAY = {**HOST["gpu"]["cards"][0], "index": 1, "uuid": "GPU-1", "name": "NVIDIA T400 4GB", "memory_total_mib": 4096}


def with_gpus(*more, **wanted):
    """A host with further GPUs, and what is wanted of its GPUs."""
    cards = [*HOST["gpu"]["cards"], *more]
    host = changed(HOST, ("gpu.cards", cards), ("gpu.count", len(cards)), ("gpu.pci_count", len(cards)))
    return host, {**WANT, "gpu": {**WANT["gpu"], **wanted}}


def test_a_display_card_is_not_judged_and_is_named_once():
    ill = {"persistence_mode": False, "ecc_uncorrectable_volatile": 3, "compute_processes": [process()]}
    host, want = with_gpus({**DISPLAY, **ill})
    checks = evaluate(host, want, {})
    assert [check["name"] for check in checks if check["status"] == "fail"] == []
    kept = summary(host, checks, want)
    left = "GPU 1 (NVIDIA T400 4GB, 4 GiB): not of class h100"
    assert (kept["gpu"]["count"], kept["gpu"]["left"]) == (1, [left])
    text = table([("gpu-01", kept), ("gpu-02", kept), ("gpu-03", summary(HOST, evaluate(HOST, WANT, {}), WANT))])
    assert text.splitlines()[-1] == f"left alone on gpu-01, gpu-02: {left}"
    assert text.count("left alone") == 1


def test_a_display_card_does_not_count_as_a_gpu_that_is_needed():
    host, want = with_gpus(DISPLAY, count=2)
    check = check_of("gpu_present", host, want)
    assert (check["status"], check["found"]) == ("fail", "1 x NVIDIA H100 80GB HBM3")


def test_what_is_to_be_known_of_a_host_that_can_serve_is_named():
    host, want = with_gpus(DISPLAY)
    assert notes(summary(HOST, evaluate(HOST, WANT, {}), WANT)) == []
    warned = changed(host, ("clock.skew_s", 9999.0))
    said = notes(summary(warned, evaluate(warned, want, {}), want))
    assert "clock_skew" in said[0] and "GPU 1 (NVIDIA T400 4GB" in said[1]


def test_a_gpu_that_others_use_is_left_alone_where_another_is_free():
    other = {**DISPLAY, "name": "NVIDIA H100 80GB HBM3", "compute_processes": [process()]}
    host, want = with_gpus(other)
    checks = evaluate(host, want, {})
    assert [check["name"] for check in checks if check["status"] == "fail"] == []
    assert "used by python (pid 7, 10 MiB)" in summary(host, checks, want)["gpu"]["left"][0]
    host, want = with_gpus(other, count=2)
    check = check_of("compute_processes", host, want)
    assert (check["status"], check["found"]) == ("fail", "python (pid 7, 10 MiB) on GPU 1")


def test_gpus_that_are_named_wrongly_are_refused():
    host, want = with_gpus(DISPLAY, named=["1", "9"])
    check = check_of("gpu_choice", host, want)
    assert check["status"] == "fail"
    assert "names 9, which the host has not" in check["found"]
    assert "names GPU 1 (NVIDIA T400 4GB, 4 GiB), and it is not of class h100" in check["found"]
    assert evaluate(HOST, {**want, "gpu": {**want["gpu"], "required": False}}, {})


def test_severities_can_be_changed():
    host = changed(HOST, ("packages.reboot_required", True), ("memory.total_mib", 1))
    checks = evaluate(host, WANT, {"reboot_required": "error", "memory": "ignore"})
    assert [check["name"] for check in failures(checks, "error")] == ["reboot_required"]
    assert check_of("memory", host, severities={"memory": "ignore"})["status"] == "skip"


@pytest.mark.parametrize(
    ("severities", "named"), [({"memry": "warning"}, "memry"), ({"memory": "warn"}, "warn"), ({"memory": None}, "None")]
)
def test_a_check_or_severity_that_there_is_not_is_refused(severities, named):
    with pytest.raises(UserError, match=named):
        evaluate(HOST, WANT, severities)


def test_one_message_has_all_failures():
    host = changed(HOST, ("memory.total_mib", 1), ("gpu.driver_version", "470.1"), ("packages.reboot_required", True))
    text = message("gpu-01", evaluate(host, WANT, {}))
    assert "gpu-01: 2 of" in text and "memory" in text and "driver_version" in text
    assert "reboot_required" not in text


def test_the_summary_and_the_table():
    good = summary(HOST, evaluate(HOST, WANT, {}))
    broken = changed(HOST, ("gpu.state", "absent"), ("gpu.cards", []), ("gpu.count", 0), ("gpu.driver_version", None))
    bad = summary(broken, evaluate(broken, WANT, {}))
    slow = changed(HOST, ("gpu.cards.0.persistence_mode", False))
    warned = summary(slow, evaluate(slow, WANT, {}))
    assert (good["verdict"], bad["verdict"], warned["verdict"]) == ("ok", "failed", "warned")
    assert bad["failed"] == ["gpu_present"] and warned["warned"] == ["persistence_mode"]
    lines = table([("a", good), ("b", warned), ("c", bad), ("d", None)]).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["d", "c", "b", "a"]
    assert "unreached" in lines[2] and "gpu_present" in lines[3] and "(persistence_mode)" in lines[4]
    assert "1 x NVIDIA H100 80GB HBM3" in lines[5]
