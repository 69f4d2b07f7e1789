#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet costs its controller: unchanged deploy and a tiny bench over simulated hosts, beside the floor of one ping each.

    python tests/benchmarks/fleet.py [--hosts 10 50 200] [--forks 20] [--keep FOLDER]

All hosts are on this machine, so the times hold servers, clients and controller together; compare them with the floor of the
same run. Per size and playbook it prints module calls per host, wall time per host, wall time per module call as a multiple of
the floor's, and the peak memory of the controller's largest process; a small fleet runs several times, and the median run is
told. Facts are cached from run to run, as AWX does; the second report is made from them alone. The last run loses a tenth of its
hosts on the way; every host must be in its report all the same.

The cost per host must be flat: from the smallest fleet to the largest it must not rise by more than a fifth, and what one host
more costs must be the same from size to size, within a fifth either way. The second is the sharper one: the start of a playbook,
and cores that a small fleet leaves idle, do not enter it. A shared machine's speed swings by more than that, so both go by wall
time over the time that a fixed loop took during the same run, not by wall time alone. Exits 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "playbooks" / "collections")]

from tests.support.bench import TOLERANT  # noqa: E402

FIRST_PORT = 21000
MOST_CALLS = {
    "deploy (unchanged)": 20.0,
    "bench": 6.0,
    "report (from cache)": 0.5,
}  # a host; the last one is shared by all
FLATNESS = 0.2
FLAT = ("deploy (unchanged)", "bench")
HOST_RUNS = 50  # a fleet smaller than this runs several times, until as many hosts were measured
MOST_ROUNDS = 5
LOOP_TURNS = 20_000  # about a millisecond
LOOP_EVERY_S = 0.2
LOST_SHARE = 0.1
BENCH = {
    "benchmark_workload": "smoke",
    "benchmark_num_prompts": 2,
    "benchmark_max_concurrency": 1,
    "benchmark_warmup": 0,
    "benchmark_input_tokens": 16,
    "benchmark_output_tokens": 4,
}


@dataclass
class Cost:
    """One run of one playbook over a fleet."""

    name: str
    hosts: int
    rc: int
    wall_s: float
    loop_ms: float
    calls: float
    peak_mib: float

    @property
    def wall_ms_per_host(self) -> float:
        return 1000 * self.wall_s / self.hosts

    @property
    def loops(self) -> float:
        """Wall time in fixed loops: what it cost with the machine's speed taken out."""
        return 1000 * self.wall_s / self.loop_ms

    def row(self, floor: Cost) -> str:
        """The line of the table."""
        multiple = self.wall_s / max(self.calls, 1) / floor.wall_s
        return (
            f"{self.name:20} {self.hosts:6} {self.calls:8.1f} {self.wall_s:9.1f} {self.wall_ms_per_host:9.0f} {multiple:9.2f} "
            f"{self.loop_ms:9.2f} {self.peak_mib:9.0f}"
        )


@dataclass
class OneMore:
    """What a host costs that joins a fleet, from a run over a smaller and one over a larger fleet."""

    smaller: Cost
    larger: Cost

    def of(self, quantity: str) -> float:
        """How much a number of Cost (`wall_s`, `loops`, `peak_mib`) grows by it."""
        difference = getattr(self.larger, quantity) - getattr(self.smaller, quantity)
        return difference / (self.larger.hosts - self.smaller.hosts)

    def __str__(self) -> str:
        sizes = f"{self.smaller.hosts} to {self.larger.hosts} hosts"
        return (
            f"{self.larger.name}, {sizes}: one host more costs {1000 * self.of('wall_s'):.0f} ms, "
            f"{self.of('loops'):.0f} loops and {self.of('peak_mib'):.2f} MiB"
        )


class Pace(threading.Thread):
    """How fast the machine is while a run lasts: the CPU time of a fixed loop, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self._loops_per_s: list[float] = []

    def run(self) -> None:
        while not self._over.wait(LOOP_EVERY_S):
            began = time.thread_time()
            total = 0
            for number in range(LOOP_TURNS):
                total += number * number
            self._loops_per_s.append(1 / (time.thread_time() - began))

    def stop(self) -> float:
        """Ends it; gives the time of a loop at the run's mean speed, in milliseconds."""
        self._over.set()
        self.join()
        return 1000 / statistics.mean(self._loops_per_s)


class Fleet:
    """So many simulated hosts below a folder."""

    def __init__(self, folder: Path, hosts: int, forks: int) -> None:
        self.folder = folder
        self.names = [f"sim-{number:04}" for number in range(hosts)]
        self.forks = forks
        self.inventory = folder / "hosts.json"
        variables: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inference_server_backend": "simulator",
            "inference_server_state_dir": f"{folder}/disks/{{{{ inventory_hostname }}}}",
            "inference_server_simulator": {"time-scale": 100},
            "benchmark_validity": {**TOLERANT, "loop_lag_ms": 1e6},
            "report_dir": f"{folder}/reports",
            **BENCH,
        }
        members = {name: {"inference_server_port": FIRST_PORT + number} for number, name in enumerate(self.names)}
        tree = {"inference": {"children": {"h100": {"hosts": members}}, "vars": variables}}
        self.inventory.write_text(json.dumps(tree))

    def play(self, name: str, playbook: str, *arguments: str) -> Cost:
        """Runs a playbook and tells what it cost."""
        return self._run(name, ["ansible-playbook", str(ROOT / "playbooks" / playbook), *arguments])

    def ping(self) -> Cost:
        """The floor: Ansible's cheapest module, once a host."""
        return self._run("ping (the floor)", ["ansible", "inference", "-m", "ansible.builtin.ping"])

    def _run(self, name: str, command: list[str]) -> Cost:
        counts = self.folder / "calls.json"
        counts.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.folder / "cache"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "hosts" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "module_calls",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "MODULE_CALLS_FILE": str(counts),
        }
        log = self.folder / f"{name.replace(' ', '-')}.log"
        pace = Pace()
        pace.start()
        began = time.monotonic()
        with log.open("w") as output:
            child = subprocess.Popen(
                [*command, "-i", self.inventory, "--forks", str(self.forks)],
                stdout=output,
                stderr=output,
                env=environment,
            )
            _pid, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - began
        loop_ms = pace.stop()
        child.returncode = os.waitstatus_to_exitcode(status)
        calls = json.loads(counts.read_text()).values() if counts.exists() else [1] * len(self.names)
        calls_per_host = sum(calls) / len(self.names)
        return Cost(name, len(self.names), child.returncode, wall_s, loop_ms, calls_per_host, usage.ru_maxrss / 1024)

    def lose(self, share: float) -> list[str]:
        """Kills the servers of the last hosts; gives their names."""
        lost = self.names[-max(1, round(share * len(self.names))) :]
        for name in lost:
            self._stop(name)
        return lost

    def reported(self) -> dict[str, str]:
        """Status of each host in the newest report."""
        report = json.loads((self.folder / "reports" / "latest" / "report.json").read_text())
        return {row["host"]: row["status"] for row in report["hosts"]}

    def stop(self) -> None:
        """Stops every server."""
        for name in self.names:
            self._stop(name)

    def _stop(self, name: str) -> None:
        for record in (self.folder / "disks" / name).glob("*/process.json"):
            with suppress(ProcessLookupError):
                os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)


@contextmanager
def fleet_of(folder: Path, hosts: int, forks: int) -> Iterator[Fleet]:
    """A fleet that is stopped at the end."""
    place = folder / str(hosts)
    place.mkdir(parents=True)
    fleet = Fleet(place, hosts, forks)
    try:
        yield fleet
    finally:
        fleet.stop()


def measure(fleet: Fleet) -> Iterator[Cost]:
    """The floor first, then each playbook; raises SystemExit when one does not work."""
    rounds = min(MOST_ROUNDS, max(1, HOST_RUNS // len(fleet.names)))
    yield median_run([fleet.ping() for _ in range(rounds)])
    yield worked(fleet, fleet.play("deploy (first)", "deploy.yml"))
    runs = {
        "deploy (unchanged)": ["deploy.yml"],
        "bench": ["bench.yml"],
        "report": ["report.yml"],
        "report (from cache)": ["report.yml", "-e", "report_read_hosts=false"],
    }
    for name, arguments in runs.items():
        yield median_run([worked(fleet, fleet.play(name, *arguments)) for _ in range(rounds)])


def worked(fleet: Fleet, cost: Cost) -> Cost:
    """The same cost; raises SystemExit when the run failed."""
    if cost.rc:
        raise SystemExit(f"{cost.name} over {cost.hosts} hosts failed with status {cost.rc}: see {fleet.folder}/*.log")
    return cost


def median_run(costs: list[Cost]) -> Cost:
    """The run whose cost in loops is the median (the lower one of two)."""
    middle = statistics.median_low(cost.loops for cost in costs)
    return next(cost for cost in costs if cost.loops == middle)


def one_more(costs: dict[tuple[str, int], Cost], name: str, sizes: list[int]) -> list[OneMore]:
    """What one host more costs, from each size to the next."""
    return [OneMore(costs[name, smaller], costs[name, larger]) for smaller, larger in pairwise(sizes)]


def misses(costs: dict[tuple[str, int], Cost], sizes: list[int]) -> list[str]:
    """The targets that were missed, as sentences."""
    found = [
        f"{name} over {size} hosts: {costs[name, size].calls:.1f} module calls a host, target {most:g}"
        for name, most in MOST_CALLS.items()
        for size in sizes
        if costs[name, size].calls > most
    ]
    for name in FLAT:
        first, last = (costs[name, size].loops / size for size in (sizes[0], sizes[-1]))
        if last > first * (1 + FLATNESS):
            found.append(
                f"{name}: {last:.0f} loops a host at {sizes[-1]} hosts, {first:.0f} at {sizes[0]}: more than {FLATNESS:.0%} up"
            )
        for before, after in pairwise(one_more(costs, name, sizes)):
            if abs(after.of("loops") / before.of("loops") - 1) > FLATNESS:
                found.append(f"{after}, not within {FLATNESS:.0%} of the step before: {before.of('loops'):.0f} loops")
    return found


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="What a fleet costs its controller.")
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--forks", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="keep logs and reports in this folder")
    options = parser.parse_args()
    sizes = sorted(set(options.hosts))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped then too
    folder = options.keep or Path(tempfile.mkdtemp(prefix="llmfleet-fleet-"))
    costs: dict[tuple[str, int], Cost] = {}
    problems = []
    print(
        f"{'run':20} {'hosts':>6} {'calls/h':>8} {'wall s':>9} {'ms/host':>9} {'x floor':>9} {'loop ms':>9} {'peak MiB':>9}",
        flush=True,
    )
    for size in sizes:
        with fleet_of(folder, size, options.forks) as fleet:
            for cost in measure(fleet):
                costs[cost.name, size] = cost
                print(cost.row(costs["ping (the floor)", size]), flush=True)
            lost = fleet.lose(LOST_SHARE)
            cost = fleet.play("bench, 10 % lost", "bench.yml")
            print(cost.row(costs["ping (the floor)", size]), flush=True)
            reported = fleet.reported()
            unsound = [name for name in fleet.names if (reported.get(name) == "ok") == (name in lost)]
            if unsound or cost.rc == 0:
                problems.append(f"{size} hosts, {len(lost)} lost: wrongly reported {unsound}, status {cost.rc}")
    print(*(step for name in FLAT for step in one_more(costs, name, sizes)), sep="\n")
    problems += misses(costs, sizes)
    print("\n".join(problems) or "all targets met")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
