# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container image of a few megabytes that behaves as `vllm serve` does, well or badly, made of this machine's own Python.

Nothing is pulled or installed: the image holds the interpreter that runs the tests, its standard library, a shell, and the
script `vllm` beside this file.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tests.support.docker_engine import docker
from tests.support.progress import say

REPOSITORY = "llmfleet-test/stand-in"
_SCRIPT = Path(__file__).parent / "vllm"
_BENCH = Path(__file__).parents[1] / "fake_vllm.py"
_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "site-packages",
    "tkinter",
    "turtledemo",
    "__pycache__",
}


def ensure_image() -> str:
    """Give the image's name, making it where this engine has none."""
    digest = hashlib.sha256(
        Path(__file__).read_bytes() + _SCRIPT.read_bytes() + _BENCH.read_bytes() + sys.version.encode()
    ).hexdigest()[:12]
    tag = f"{REPOSITORY}:{digest}"
    if docker("images", "--quiet", tag):
        return tag
    say(f"make image {tag}")
    changes = ['ENTRYPOINT ["vllm", "serve"]', f"ENV PYTHONHOME={sys.base_prefix}", "ENV PATH=/usr/bin:/bin"]
    argv = ["docker", "import", *(part for change in changes for part in ("--change", change)), "-", tag]
    subprocess.run(argv, input=_archive(), check=True, capture_output=True)
    return tag


def _archive() -> bytes:
    """The image's whole file system as a tar archive."""
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}").resolve()
    library = Path(sysconfig.get_path("stdlib"))
    programs = {"/usr/bin/python3": python, "/bin/sh": Path(_found("sh")), "/bin/cat": Path(_found("cat"))}
    modules = [path for path in library.rglob("*") if path.is_file() and _is_needed(path.relative_to(library))]
    built = [path for path in modules if path.suffix == ".so"]
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, path in programs.items():
            _add(archive, path.resolve(), name)
        for path in modules + _libraries([*programs.values(), *built]):
            _add(archive, path, str(path))
        _add(archive, _SCRIPT, "/usr/bin/vllm", mode=0o755)
        _add(archive, _BENCH, "/usr/bin/fake_vllm.py")
        for folder in ("tmp", "run"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(entry)
    return output.getvalue()


def _is_needed(path: Path) -> bool:
    return path.suffix != ".a" and not _LEFT_OUT & set(path.parts)


def _found(program: str) -> str:
    path = shutil.which(program)
    assert path is not None
    return path


def _libraries(programs: Iterable[Path]) -> list[Path]:
    """Every shared library that the programs load, the loader among them."""
    paths: set[str] = set()
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        paths.update(re.findall(r"(/\S+\.so\S*)", listed))
    return [Path(name) for name in sorted(paths)]


def _add(archive: tarfile.TarFile, path: Path, name: str, mode: int | None = None) -> None:
    data = path.read_bytes()
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.size, entry.mode = len(data), path.stat().st_mode & 0o777 if mode is None else mode
    archive.addfile(entry, io.BytesIO(data))
