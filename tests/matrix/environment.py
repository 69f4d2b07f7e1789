# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One environment for each row, made from the package index and kept in .matrix/."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .table import Choice, Refused, Row

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".matrix"
# Without these two there is no community.docker; the 80 others of the `ansible` package (600 MB) are not needed.
COLLECTIONS = ("community/docker", "community/library_inventory_filtering_v1")


@dataclass(frozen=True)
class Environment:
    """Where a row's programs and collections are, and where its runs leave their files."""

    folder: Path

    @property
    def programs(self) -> Path:
        return self.folder / "venv" / "bin"

    @property
    def collections(self) -> Path:
        return self.folder / "collections"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables of a run: nothing of the caller's Ansible or Python, all notices on."""
        kept = {name: value for name, value in environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        return {
            **kept,
            "PATH": f"{self.programs}:{environ['PATH']}",
            "ANSIBLE_HOME": str(self.scratch / "ansible"),
            "ANSIBLE_REMOTE_TMP": str(self.scratch / "remote"),
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'playbooks' / 'collections'}:{self.collections}",
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False",
            "ANSIBLE_DEPRECATION_WARNINGS": "True",
            "ANSIBLE_DISPLAY_OK_HOSTS": "True",  # and with what is well its warnings
            "ANSIBLE_NOCOLOR": "1",
        }


def make(choice: Choice, packages: Sequence[str]) -> Environment:
    """The environment of a row: the one that is there, where it was made of the same. Raises Refused."""
    environment = Environment(FOLDER / f"{choice.row.name}-python{choice.version}")
    made_of = environment.folder / "made-of.json"
    wanted = json.dumps([str(choice.program), choice.row.core, choice.row.ansible, *packages])
    if not (made_of.exists() and made_of.read_text() == wanted):
        shutil.rmtree(environment.folder, ignore_errors=True)
        _install(environment, choice, packages)
        made_of.write_text(wanted)
    shutil.rmtree(environment.scratch, ignore_errors=True)
    environment.scratch.mkdir()
    return environment


def _install(environment: Environment, choice: Choice, packages: Sequence[str]) -> None:
    install_packages(environment, str(choice.program), [f"ansible-core=={choice.row.core}", *packages])
    with tempfile.TemporaryDirectory(dir=environment.folder) as folder:
        _run(*_pip(environment), "download", "--no-deps", "--dest", folder, f"ansible=={choice.row.ansible}")
        unpack(next(Path(folder).glob("*.whl")), environment.collections)
    check_version(choice.row, environment.collections)


def install_packages(environment: Environment, program: str, packages: Sequence[str]) -> None:
    """A virtual environment of a Python, with packages of the index. Raises Refused."""
    _run(program, "-m", "venv", "--clear", str(environment.folder / "venv"))
    _run(*_pip(environment), "install", *packages)


def _pip(environment: Environment) -> tuple[str, ...]:
    return (str(environment.programs / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check")


def unpack(wheel: Path, target: Path) -> None:
    """Takes the collections that are needed out of a wheel of the package `ansible`."""
    starts = tuple(f"ansible_collections/{name}/" for name in COLLECTIONS)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target, [name for name in archive.namelist() if name.startswith(starts)])


def check_version(row: Row, collections: Path) -> None:
    """Raises Refused where the package brought another community.docker than the table says."""
    manifest = collections / "ansible_collections" / "community" / "docker" / "MANIFEST.json"
    version = json.loads(manifest.read_text())["collection_info"]["version"]
    if version != row.community_docker:
        raise Refused(f"ansible {row.ansible} brings community.docker {version}, the table says {row.community_docker}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""})
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise Refused(f"{' '.join(command)}: {said[-1]}")
