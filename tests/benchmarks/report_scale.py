#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a large fleet: time, memory, and what it finds. Prints a JSON document; exits 1 when a target is missed.

    python tests/benchmarks/report_scale.py [--hosts 1000] [--seeds 20]

Made facts only: three GPU classes, each host's speed normal around the published one. Per seed and per noise it plants one
slow host (-3 %) and one class that regressed by 2 % since the run before, and counts what is called an outlier or a
regression and what is not.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "playbooks" / "collections"), str(ROOT / "tests" / "unit" / "fixtures")]

import facts as sample  # noqa: E402
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import forms, history  # noqa: E402
from reports import aggregated, entry, report, rerun  # noqa: E402

TARGET_S, TARGET_MIB = 10.0, 500.0
NOISES = (0.002, 0.003, 0.005, 0.01)  # standard deviation of a host's speed, relative
TARGET_NOISES = (0.002, 0.003)  # noise at which a slow host of -3 % must be found every time
SLOW, REGRESSED, LOSS = "h100-0004", "a100", 0.98


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="The report of a large fleet: time, memory, and what it finds.")
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    cost = measure_cost(options.hosts)
    found = [detection(options.hosts, options.seeds, noise) for noise in NOISES]
    small = [false_outliers(size, noise) for size in (5, 8, 20, 50) for noise in (0.003, 0.01)]
    print(
        json.dumps(
            {"hosts": options.hosts, "cost": cost, "detection": found, "false_outliers_in_small_groups": small},
            indent=1,
        )
    )
    missed = cost["seconds"] > TARGET_S or cost["peak_mib"] > TARGET_MIB
    for each in found:
        missed |= (
            each["false_outliers"] > 0 or each["false_regressions"] > 0 or each["regressions_found"] < each["seeds"]
        )
        missed |= each["noise"] in TARGET_NOISES and each["slow_hosts_found"] < each["seeds"]
    return int(missed)


def measure_cost(hosts: int) -> dict[str, Any]:
    """Seconds from facts to all forms with a year's history, and the process's peak memory (the made facts included)."""
    fleet = sample.fleet(hosts, seed=0, noise=0.003)
    past = entry(rerun(sample.fleet(hosts, seed=1, noise=0.003), "before"), "before")
    text = "\n".join(json.dumps(on_day(past, day)) for day in range(365))
    started = time.perf_counter()
    first = aggregated(fleet)
    current, entries = history.entry(first, "now", None), history.parse(text)
    whole = history.compared(first, current, entries, None, 0.01)
    files = forms.render(whole, list(forms.FORMS))
    seconds = time.perf_counter() - started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = {name: len(content.encode()) for name, content in files.items()}
    return {
        "seconds": round(seconds, 2),
        "peak_mib": round(peak_mib),
        "history_mib": round(len(text) / 2**20, 1),
        "bytes": sizes,
    }


def on_day(past: dict[str, Any], day: int) -> dict[str, Any]:
    """The same run on another day."""
    groups = {name: {**group, "measured": f"{name} {day}"} for name, group in past["groups"].items()}
    return {**past, "run": f"day-{day}", "groups": groups}


def detection(hosts: int, seeds: int, noise: float) -> dict[str, Any]:
    """How often the planted slow host and the planted regression are found, and what else is."""
    slow_found = false_outliers = found = false_regressions = held = 0
    for seed in range(seeds):
        before = rerun(sample.fleet(hosts, seed=1000 + seed, noise=noise), "before")
        planted = {name: LOSS for name in before if name.startswith(REGRESSED)} | {SLOW: 0.97}
        now = rerun(sample.fleet(hosts, seed=seed, noise=noise, slow=planted), "now")
        whole = report(now, entries=[entry(before, "before")])
        outliers = [host for group in whole["groups"] for host in group["outliers"]]
        slow_found += SLOW in outliers
        false_outliers += len([host for host in outliers if host != SLOW])
        regressed = [each for each in whole["regressions"] if f" {REGRESSED} |" in each["group"]]
        found += len(regressed)
        false_regressions += len(whole["regressions"]) - len(regressed)
        held += any(each["low"] <= LOSS - 1 <= each["high"] for each in regressed)
    return {
        "noise": noise,
        "seeds": seeds,
        "slow_hosts_found": slow_found,
        "false_outliers": false_outliers,
        "others": seeds * (hosts - 1),
        "regressions_found": found,
        "intervals_that_hold_the_truth": held,
        "false_regressions": false_regressions,
    }


def false_outliers(size: int, noise: float, groups: int = 400) -> dict[str, Any]:
    """The share of healthy hosts that are called outliers in classes of `size` hosts."""
    found = 0
    for seed in range(groups // 3):
        found += sum(
            len(group["outliers"]) for group in aggregated(sample.fleet(3 * size, seed=seed, noise=noise))["groups"]
        )
    return {"size": size, "noise": noise, "share": round(found / (groups // 3 * 3 * size), 5)}


if __name__ == "__main__":
    sys.exit(main())
