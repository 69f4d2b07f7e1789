# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container image of the tests: the real vLLM in its CPU build, started as vLLM's own image is (`vllm serve`).

Built without a container registry: a base system by debootstrap from this machine's own Debian or Ubuntu mirror, then
vLLM by pip with this machine's own settings. The tag carries a hash of all inputs, so a second call builds nothing.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support import pip_settings
from tests.support.docker_engine import docker
from tests.support.progress import run_step, say

REPOSITORY = "llmfleet-test/vllm-cpu"
_HERE = Path(__file__).parent
_PACKAGES = ("ca-certificates", "g++", "libgomp1", "libnuma1", "python3", "python3-dev", "python3-venv")
_PATH = "/opt/vllm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_AS_PUBLISHED = ("CMD []", 'ENTRYPOINT ["vllm", "serve"]', f"ENV PATH={_PATH}")


class NoMirror(RuntimeError):
    """This machine's apt configuration names no mirror of its own release."""


@dataclass(frozen=True)
class AptSource:
    """Where this machine gets its own release from."""

    uri: str
    suite: str
    components: tuple[str, ...]


def parse_indextargets(listing: str, suite: str) -> AptSource:
    """The source of `suite` among lines of `URI RELEASE COMPONENT` as apt-get indextargets prints them."""
    rows = [line.split() for line in listing.splitlines()]
    uris = [row[0] for row in rows if len(row) == 3 and row[1] == suite]
    if not uris:
        raise NoMirror(f"apt's configuration has no source of {suite}; add one and run apt-get update")
    components = dict.fromkeys(row[2] for row in rows if len(row) == 3 and row[:2] == [uris[0], suite])
    return AptSource(uris[0], suite, tuple(components))


def read_apt_source() -> AptSource:
    """The mirror of the release this machine runs, from its own apt configuration."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    listing = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return parse_indextargets(listing, platform.freedesktop_os_release()["VERSION_CODENAME"])


def versions() -> list[str]:
    """The releases of vLLM that an image can be built of, newest first: those with a file of pinned packages."""
    found = [path.stem.partition("-")[2] for path in _HERE.glob("vllm-*.txt")]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")], reverse=True)


def image_tag(suite: str, version: str) -> str:
    """The image's name; equal inputs give equal tags."""
    digest = hashlib.sha256(" ".join((suite, *_PACKAGES, *_AS_PUBLISHED)).encode())
    for name in ("install.sh", "requirements.txt", f"vllm-{version}.txt"):
        digest.update((_HERE / name).read_bytes())
    return f"{REPOSITORY}:{version}-{digest.hexdigest()[:12]}"


def ensure_image(version: str, work_dir: Path) -> str:
    """Give the name of the image with this vLLM, building it where this engine has none; its images of earlier inputs are removed."""
    source = read_apt_source()
    tag = image_tag(source.suite, version)
    existing = docker("images", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY).splitlines()
    if tag in existing:
        say(f"image {tag} is there")
        return tag
    _build(source, tag, version, work_dir)
    for old in existing:
        if old.startswith(f"{REPOSITORY}:{version}-"):
            docker("image", "rm", "--force", old)
    return tag


def _build(source: AptSource, tag: str, version: str, work_dir: Path) -> None:
    say(f"build the image {tag} (4 GB, a few minutes)")
    base, container = f"{tag}-base", f"llmfleet-test-build-{os.getpid()}"
    _import_base(source, base, work_dir)
    settings = pip_settings.parse_config(pip_settings.read_config())
    try:
        run_step(
            "install vLLM in a container",
            [
                *("docker", "run", "--name", container, "--volume", f"{_HERE}:/build:ro"),
                *pip_settings.docker_arguments(settings, os.environ),
                *(base, "/bin/sh", "/build/install.sh", version),
            ],
            work_dir / "install.log",
            timeout_s=1800,
        )
        changes = [argument for change in _AS_PUBLISHED for argument in ("--change", change)]
        run_step(
            "save the image", ["docker", "commit", *changes, container, tag], work_dir / "commit.log", timeout_s=600
        )
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", base], capture_output=True, check=False)


def _import_base(source: AptSource, base: str, work_dir: Path) -> None:
    if shutil.which("debootstrap") is None:
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        run_step("apt-get update", ["apt-get", "update"], work_dir / "apt-update.log", timeout_s=300, env=env)
        argv = ["apt-get", "install", "--yes", "--no-install-recommends", "debootstrap"]
        run_step("install debootstrap", argv, work_dir / "apt-debootstrap.log", timeout_s=300, env=env)
    with tempfile.TemporaryDirectory(prefix="llmfleet-base-") as folder:
        run_step(
            f"make a base system ({source.suite})",
            [
                *("debootstrap", "--variant=minbase", f"--components={','.join(source.components)}"),
                *(f"--include={','.join(_PACKAGES)}", source.suite, folder, source.uri),
            ],
            work_dir / "debootstrap.log",
            timeout_s=900,
        )
        pack = 'tar -C "$1" --exclude=./var/cache/apt/archives/*.deb -c . | docker import - "$2"'
        argv = ["/bin/sh", "-c", pack, "pack", folder, base]
        run_step("import the base system", argv, work_dir / "import.log", timeout_s=300)
