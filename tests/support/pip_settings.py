# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This machine's own pip settings, handed to a container: its indexes, wheel folders and CA bundle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_PASSED_ON = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "cert", "default-timeout")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")
_SETTING = re.compile(r"^(?P<section>[^.]+)\.(?P<key>[a-z-]+)=(?P<value>.+)$")
_PRECEDENCE = ("global", "install", ":env:")


def read_config() -> str:
    """What `pip config list` prints."""
    argv = [sys.executable, "-m", "pip", "config", "list"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def parse_config(listing: str) -> dict[str, str]:
    """Settings by name out of `pip config list`, with pip's own precedence: global, then install, then environment."""
    settings: dict[tuple[int, str], str] = {}
    for line in listing.splitlines():
        match = _SETTING.match(line)
        if match and match["section"] in _PRECEDENCE and match["key"] in _PASSED_ON:
            settings[_PRECEDENCE.index(match["section"]), match["key"]] = ast.literal_eval(match["value"])
    return {key: value for (_, key), value in sorted(settings.items())}


def docker_arguments(settings: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """Arguments of `docker run` that give a container the same settings; local folders are mounted read-only."""
    arguments = ["--network", "host"]
    for key, value in settings.items():
        arguments += ["--env", f"PIP_{key.upper().replace('-', '_')}={' '.join(value.split())}"]
    for path in dict.fromkeys(path for key, value in settings.items() for path in _local_paths(key, value)):
        arguments += ["--volume", f"{path}:{path}:ro"]
    proxies = [variable for name in _PROXY_VARIABLES for variable in (name, name.upper()) if variable in environ]
    return arguments + [argument for variable in proxies for argument in ("--env", variable)]


def _local_paths(key: str, value: str) -> list[Path]:
    """What a setting's words name on this machine; of an index, the folder above it, where its files lie."""
    paths = []
    for word in value.split():
        if word.startswith("file://") and key.endswith("index-url"):
            paths.append(Path(word[len("file://") :]).parent)
        elif word.startswith(("file:///", "/")):
            paths.append(Path(word.replace("file://", "", 1)))
    return paths
