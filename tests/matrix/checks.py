# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is run in each environment. A check is a function that gives its faults, none where all is well."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .environment import ROOT, Environment
from .notices import ours

OURS = "llmfleet.serving"
DEMO = ROOT / "inventory" / "demo"
GROUPS = {"demo-b200": "b200", "demo-h100": "h100", "demo-a100": "a100"}
# The demo in small: each core shall show that the benchmark runs, not how fast this machine is.
SMALL = {"benchmark_num_prompts": 8, "benchmark_max_concurrency": 4, "benchmark_output_tokens": 32}
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


class Runner:
    """Runs programs of one environment, and keeps what they print."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def output(self, title: str, *command: str) -> tuple[int, str, str]:
        """Exit status, what was printed, and both outputs together."""
        done = subprocess.run(
            [str(self.environment.programs / command[0]), *command[1:]],
            cwd=ROOT,
            env=self.environment.variables(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        both = done.stdout + done.stderr
        (self.environment.scratch / f"{title}.log").write_text(both)
        return done.returncode, done.stdout, both

    def faults(self, title: str, *command: str) -> list[str]:
        """Runs a program that shall succeed without a warning."""
        rc, _, both = self.output(title, *command)
        failed = [f"{title}: exit status {rc}: {_tail(both)}"] if rc else []
        return failed + [f"{title}: {notice}" for notice in ours(both)]


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-12:])


# --- documentation ----------------------------------------------------------------------------------------------------


def documentation(runner: Runner) -> Iterator[str]:
    """`ansible-doc` reads every plugin and every role."""
    for kind in ("module", "filter", "inventory", "role"):
        _, listing, both = runner.output(f"doc-{kind}-list", "ansible-doc", "-t", kind, "-l", "--json", OURS)
        names = [name for name in json.loads(listing or "{}") if name.startswith(OURS)]
        yield from (f"doc-{kind}-list: {notice}" for notice in ours(both))
        if not names:
            yield f"ansible-doc finds no {kind}"
            continue
        yield from runner.faults(f"doc-{kind}", "ansible-doc", "-t", kind, *names)


# --- community.docker -------------------------------------------------------------------------------------------------


def docker_options(runner: Runner) -> Iterator[str]:
    """Each option with which the roles call a module of community.docker is one of this release's."""
    calls = docker_calls(json.loads(runner.output("docker-calls", "python", "-c", _READ_YAML)[1]))
    names = sorted({name for name, _ in calls})
    documented = json.loads(runner.output("docker-doc", "ansible-doc", "--json", *names)[1])
    for name, used in calls:
        if not documented.get(name):
            yield f"community.docker has no {name}"
            continue
        known = option_names(documented[name]["doc"]["options"])
        yield from (f"{name} has no option {option}" for option in sorted(set(used) - known))


def option_names(options: dict[str, Any]) -> set[str]:
    """Documented options by all their names."""
    return {*options, *(alias for option in options.values() for alias in option.get("aliases", ()))}


# The environment's Python has PyYAML, the one that runs this perhaps not.
_READ_YAML = """
import json, pathlib, yaml
files = [*pathlib.Path("roles").glob("*/tasks/*.yml"), *pathlib.Path("playbooks").glob("**/tasks/*.yml")]
print(json.dumps([yaml.safe_load(path.read_text()) for path in files]))
"""


def docker_calls(node: Any) -> list[tuple[str, dict[str, Any]]]:
    """Every call of a module of community.docker below a node of parsed tasks: its name and options."""
    if isinstance(node, list):
        return [call for child in node for call in docker_calls(child)]
    if not isinstance(node, dict):
        return []
    own = [(name, options or {}) for name, options in node.items() if str(name).startswith("community.docker.")]
    return own + [call for child in node.values() for call in docker_calls(child)]


# --- the demo ---------------------------------------------------------------------------------------------------------


def playbooks(runner: Runner) -> Iterator[str]:
    """The demo's fleet is deployed, measured and reported twice, and removed; the second deployment changes nothing."""
    small = runner.environment.scratch / "small.json"
    small.write_text(json.dumps(small_fleet(runner.environment.scratch)))
    play = ("ansible-playbook", "-i", str(DEMO), "-i", str(small))
    try:
        for time in ("first", "second"):
            for name in ("deploy", "bench", "report"):
                title = f"{name}-{time}"
                yield from runner.faults(title, *play, f"playbooks/{name}.yml")
                yield from recap_faults(title, (runner.environment.scratch / f"{title}.log").read_text())
    finally:
        yield from runner.faults("teardown", *play, "playbooks/teardown.yml")


def recap_faults(title: str, output: str) -> list[str]:
    """What the recap of a play contradicts: all three hosts, none failed, nothing changed by the second deployment."""
    recap = {host: [int(count) for count in counts] for host, *counts in _RECAP.findall(output)}
    if set(recap) != set(GROUPS):
        return [f"{title}: the recap names {sorted(recap)}"]
    faults = [f"{title}: {host} failed" for host, (_, *bad) in recap.items() if any(bad)]
    expected = {"deploy-first": True, "deploy-second": False}
    if title in expected:
        wrong = [(host, changed) for host, (changed, *_) in recap.items() if bool(changed) != expected[title]]
        faults += [f"{title}: {host} changed={changed}" for host, changed in wrong]
    return faults


def small_fleet(scratch: Path) -> dict[str, Any]:
    """An inventory beside the demo's: ports and folders of its own, and a small load."""
    state = f"{scratch}/state/{{{{ inventory_hostname }}}}"
    fleet = {**SMALL, "inference_server_state_dir": state, "report_dir": str(scratch / "reports")}
    ports = dict(zip(GROUPS, free_ports(len(GROUPS)), strict=True))
    groups = {
        group: {"hosts": {host: {"inference_server_port": ports[host], **fleet}}} for host, group in GROUPS.items()
    }
    return {"inference": {"children": groups}}


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


# --- unit tests -------------------------------------------------------------------------------------------------------


def unit_tests(runner: Runner) -> Iterator[str]:
    """The tests of plugins and roles. Those of the checkout itself (documents, architecture) are the same on every core."""
    tests = ("tests/unit/plugins", "tests/unit/roles")
    options = ("-q", "-n", "4", "--dist", "loadfile", "-p", "no:cacheprovider")
    yield from runner.faults("unit", "python", "-m", "pytest", *options, *tests)


CHECKS: Sequence[tuple[str, Callable[[Runner], Iterator[str]]]] = (
    ("ansible-doc", documentation),
    ("community.docker", docker_options),
    ("playbooks", playbooks),
    ("unit tests", unit_tests),
)
