# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator as a module, and as a server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path[:0] = [
    str(ROOT / "roles" / "inference_server" / "files"),
    str(ROOT / "tests" / "benchmarks"),
    str(Path(__file__).parent),
]
from simulated_server import Server, start, stop  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests of a module share."""
    running = start(tmp_path_factory.mktemp("server"))
    yield running
    stop(running)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Any]:
    """A function that starts a server with options."""
    running: list[Server] = []

    def launch(**options: Any) -> Server:
        running.append(start(tmp_path, **options))
        return running[-1]

    yield launch
    for server in running:
        stop(server)
