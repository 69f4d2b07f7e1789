# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""galaxy-importer on the artifact: what Galaxy and Automation Hub say of it when it is uploaded."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.matrix.environment import FOLDER, Environment, install_packages

from .sanity import FAILED, PASSED, Outcome

RELEASE = "0.4.44"
PYTHON = "3.11"
_SETTINGS = """\
[galaxy-importer]
RUN_ANSIBLE_DOC = True
RUN_ANSIBLE_LINT = True
CHECK_REQUIRED_TAGS = True
CHECK_CHANGELOG = True
"""
_SAID = re.compile(r"^(?:WARNING|ERROR|CRITICAL): .*|^\S*(?:Error|Exception): .*", re.MULTILINE)

# What the importer says that is meant to be so: why -> a pattern of the line.
EXPECTED: Mapping[str, re.Pattern[str]] = {
    "it counts the exceptions of tests/sanity, each of which has its reason": re.compile(
        r"^WARNING: Ignore files skip ansible-test sanity tests, found ignore-2\.\d+\.txt with \d+ statement"
    ),
    "it lints without the collection that ours depends on": re.compile(
        r"^WARNING: roles/\S+ syntax-check\[unknown-module\]: couldn't resolve module/action 'community\.docker\.\w+'"
    ),
}


def make(program: str) -> Environment:
    """The importer's environment: the one that is there, or a new one. Raises Refused."""
    environment = Environment(FOLDER / f"galaxy-importer-{RELEASE}")
    made = environment.folder / "made"
    if not made.exists():
        install_packages(environment, program, [f"galaxy-importer=={RELEASE}"])
        made.touch()
    environment.scratch.mkdir(exist_ok=True)
    return environment


def outcome(environment: Environment, artifact: Path) -> Outcome:
    """What the importer says of an artifact."""
    settings = environment.scratch / "galaxy-importer.cfg"
    settings.write_text(_SETTINGS)
    variables = {**environment.variables(os.environ), "GALAXY_IMPORTER_CONFIG": str(settings)}
    done = subprocess.run(
        [str(environment.programs / "python"), "-m", "galaxy_importer.main", str(artifact)],
        cwd=environment.scratch,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    (environment.scratch / "importer.log").write_text(done.stdout + done.stderr)
    return judge(done.returncode, done.stdout + done.stderr)


def judge(rc: int, output: str) -> Outcome:
    """Passed where it imports the artifact and says nothing but what is expected."""
    said = [line for line in _SAID.findall(output) if not any(rule.search(line) for rule in EXPECTED.values())]
    if rc == 0 and "Importer processing completed successfully" not in output:
        said.append("it did not end with success")
    failed = bool(rc or said)
    return Outcome(f"galaxy-importer {RELEASE}", FAILED if failed else PASSED, tuple(said))
