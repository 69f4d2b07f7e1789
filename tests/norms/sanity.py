# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`ansible-test sanity`, test by test: what each says, and why one could not run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.matrix.environment import Environment

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
# The Pythons of hosts and of controllers; those that are here are what the tests `compile` and `import` run on.
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")

# What an output says where a test did not run: by whatever keeps it from running, not by what it found.
_SKIPPED = re.compile(r'^WARNING: (Skipping sanity test ".*)', re.MULTILINE)
_UNAVAILABLE = re.compile(
    r"^(?:Download failed: .*|ERROR: (?:Could not find a version|No matching distribution).*|FATAL: .*does not have pip available.*)",
    re.MULTILINE,
)
_PIP = re.compile(r"\bpip='([\d.]+)'")
_ERROR = re.compile(r"^(?:ERROR: (?!Found \d+ )|FATAL: ).*", re.MULTILINE)

# ansible-test makes its virtual environments with a script of one host, which holds a pip. This is that script, with the same
# release of pip from the package index.
_BOOTSTRAP = """\
import sys
sys.path.insert(0, {wheel!r})
from pip._internal.cli.main import main
arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--upgrade", "--force-reinstall", "pip=={version}", *arguments]))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one test; `said` is why, where it did not pass."""

    name: str
    word: str
    said: tuple[str, ...] = ()


class Sanity:
    """The sanity tests of one ansible-core, on a collection that git knows."""

    def __init__(self, environment: Environment, collection: Path, find: Callable[[str], str | None]) -> None:
        self.environment = environment
        self.collection = collection
        self.home = environment.folder / "sanity"
        found = [find(version) for version in PYTHONS]
        self.pythons = [str(Path(program).parent) for program in found if program]

    def names(self) -> list[str]:
        """The tests that this ansible-core has."""
        done = self._ansible_test("--list-tests")
        return re.findall(r"^[a-z][a-z-]+$", done.stdout, re.MULTILINE)

    def outcomes(self) -> Iterator[Outcome]:
        """Every test, one after another."""
        self._bring_pip()
        for name in self.names():
            done = self._ansible_test("--test", name)
            yield judge(name, done.returncode, done.stdout + done.stderr)

    def _ansible_test(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = str(self.environment.programs / "ansible-test")
        return subprocess.run(
            [program, "sanity", "--color", "no", *arguments],
            cwd=self.collection,
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _variables(self) -> Mapping[str, str]:
        variables = self.environment.variables(os.environ)
        # Not pyenv's programs of all versions: they are there, but run only where their version has been chosen.
        others = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder).name != "shims"]
        path = os.pathsep.join([str(self.environment.programs), *self.pythons, *others])
        return {**variables, "HOME": str(self.home), "PATH": path}

    def _bring_pip(self) -> None:
        """Puts the bootstrap script where ansible-test looks before it asks that host. What is not to be had, the tests say."""
        cache = self.home / ".ansible" / "test" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        _keep_pip_settings(self.home)
        for version in self._pip_versions():
            pip = (str(self.environment.programs / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
            wanted = ("download", "--no-deps", "--dest", str(cache), f"pip=={version}")
            if subprocess.run([*pip, *wanted], capture_output=True, check=False).returncode:
                continue
            wheel = str(next(cache.glob(f"pip-{version}-*.whl")))
            script = cache / f"get_pip_{version.replace('.', '_')}.py"
            script.write_text(_BOOTSTRAP.format(wheel=wheel, version=version))

    def _pip_versions(self) -> set[str]:
        (source,) = self.environment.folder.glob(
            "venv/lib/python*/site-packages/ansible_test/_internal/python_requirements.py"
        )
        return set(_PIP.findall(source.read_text()))


def _keep_pip_settings(home: Path) -> None:
    """ansible-test gives programs no variables but HOME, and it is another one here: the user's index must still be found."""
    for name in (".config", ".pip"):
        link, target = home / name, Path.home() / name
        if target.exists() and not link.exists():
            link.symlink_to(target)


def judge(name: str, rc: int, output: str) -> Outcome:
    """What the exit status and the output of one test mean."""
    unavailable = _UNAVAILABLE.findall(output)
    if rc and unavailable:
        return Outcome(name, NOT_RUN, (unavailable[0],))
    if rc:
        return Outcome(name, FAILED, tuple(dict.fromkeys(_ERROR.findall(output))) or tuple(output.splitlines()[-12:]))
    skipped = tuple(dict.fromkeys(_SKIPPED.findall(output)))
    # On one Python of several it is no more than a remark: `Skipping sanity test "import" on Python 3.7 ...`.
    whole = [line for line in skipped if " on Python " not in line]
    return Outcome(name, NOT_RUN if whole else PASSED, skipped)
