# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that never end cost a bounded time and bounded memory, whatever they are made of and however they are framed."""

from __future__ import annotations

import json
import os
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import benchmark
from tests.support.hostile_server import GOOD, Peer, chunk, delta, hostile_server

TOTAL_S = 1.0
LOAD: dict[str, Any] = {
    "input_tokens": 64,
    "output_tokens": 32,
    "num_prompts": 2,
    "max_concurrency": 2,
    "timeouts": {"total_s": TOTAL_S, "idle_s": 0.8, "first_token_s": 0.8, "control_s": 2},
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENT, NOISE = delta(" a"), random.Random(0).randbytes(256 * 1024)


def flood(head: bytes, block: bytes) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.send(HEAD + head + b"\r\n")
        peer.flood(block)

    return behave


def single_bytes(peer: Peer) -> None:
    """A read for each byte, as fast as they go."""
    peer.send(HEAD + b"\r\n")
    while True:
        peer.connection.sendall(b"d")
        time.sleep(0)


ENDLESS = {
    "events until the close": flood(b"", EVENT),
    "noise until the close": flood(b"", NOISE),
    "one line until the close": flood(b"", b"data: aaaaaaaa"),
    "empty lines until the close": flood(b"", b"\n"),
    "smallest events until the close": flood(b"", b"data:1\n\n"),
    "events in a huge announced length": flood(b"Content-Length: 999999999999999\r\n", EVENT),
    "events in chunks": flood(b"Transfer-Encoding: chunked\r\n", chunk(EVENT)),
    "smallest events in chunks": flood(b"Transfer-Encoding: chunked\r\n", chunk(b"data:1\n\n")),
    "noise in chunks": flood(b"Transfer-Encoding: chunked\r\n", chunk(NOISE)),
    "one chunk of 4 GiB": flood(b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", EVENT),
    "chunks of one byte": flood(b"Transfer-Encoding: chunked\r\n", chunk(b"d")),
    "a head without an end": lambda peer: peer.flood(HEAD),
    "interim answers": lambda peer: peer.flood(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "single bytes": single_bytes,
}


LONG_TOKENS, LONG_BYTES = 2048, 8_000_000  # what such an answer may have, nearly


def long(block: bytes, end: bytes = b"") -> Callable[[Peer], None]:
    """An answer that ends in order just before it would be too long."""
    head = HEAD + (b"Transfer-Encoding: chunked\r\n\r\n" if end else b"Connection: close\r\n\r\n")

    def behave(peer: Peer) -> None:
        peer.send(head, block * (LONG_BYTES // len(block)), end)
        if not end:
            raise EOFError

    return behave


LAST = b"0\r\n\r\n"
LONG = {
    "blank lines": long(b"\n\n"),
    "comments": long(b":\n\n"),
    "events without data": long(b"data:\n\n"),
    "data without a blank line": long(b"data:\n"),
    "names": long(b"event:\r"),
    "words": long(b"x" * 32 + b"\n"),
    "numbers": long(b"data: 0\n\n"),
    "choices without text": long(b'data: {"choices":[{}]}\n\n'),
    "events in chunks": long(chunk(EVENT), LAST),
    "chunks of one byte": long(chunk(b"\n"), LAST),
    "short chunks of short events": long(chunk(b"data: " + b" " * 51 + b"0\n\n"), LAST),
    "one long event": long(b"data:aaaa"),
}


def measured(behaviour: Callable[[Peer], None], folder: Path, **load: Any) -> tuple[dict[str, Any], float, float]:
    """The fact, the seconds it took, and by how many MiB the workers' peak is above what they began with, as copies of this process."""
    with hostile_server({**GOOD, "/v1/chat/completions": behaviour}) as server:
        began, inherited_mib = time.monotonic(), resident_mib()
        fact = benchmark(server.url, folder, **{**LOAD, **load})
        return fact, time.monotonic() - began, fact["client"]["max_rss_mib"] - inherited_mib


def resident_mib() -> float:
    """The memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float]:
    """Seconds and MiB of the same load, answered well."""
    fact, seconds, mib = measured(GOOD["/v1/chat/completions"], tmp_path_factory.mktemp("ordinary"))
    assert fact["metrics"]["completed"] == LOAD["num_prompts"], json.dumps(fact["errors"])
    return seconds, mib


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_answer_is_bounded_in_time_and_memory(
    name: str, ordinary: tuple[float, float], tmp_path: Path
) -> None:
    fact, seconds, mib = measured(ENDLESS[name], tmp_path)
    over_s, over_mib = seconds - ordinary[0] - TOTAL_S, mib - ordinary[1]
    cpu_s = fact["client"]["cpu_s"] + fact["client"]["decode_cpu_s"]
    if "ENDLESS_FIGURES" in os.environ:
        print(f"{name:40} {over_s:6.2f} s {cpu_s:6.2f} CPU {over_mib:6.1f} MiB {json.dumps(fact['errors'])[:90]}")
    assert (fact["status"], fact["metrics"]["completed"]) == ("failed", 0)
    assert over_mib < 64
    assert cpu_s < TOTAL_S + 1.0 and over_s < 20, (
        "the CPU's time is bounded; the wall's is the machine's too, which others use"
    )


@pytest.mark.parametrize("name", LONG)
def test_a_long_answer_of_anything_is_decoded_in_bounded_time_and_memory(
    name: str, ordinary: tuple[float, float], tmp_path: Path
) -> None:
    fact, _seconds, mib = measured(LONG[name], tmp_path, output_tokens=LONG_TOKENS)
    if "ENDLESS_FIGURES" in os.environ:
        cpu_s, over_mib = fact["client"]["decode_cpu_s"], mib - ordinary[1]
        print(f"long: {name:34} {cpu_s:6.2f} CPU {over_mib:6.1f} MiB {json.dumps(fact['errors'])[:90]}")
    assert (fact["status"], fact["metrics"]["completed"]) == ("failed", 0)
    assert mib - ordinary[1] < 64
    assert fact["client"]["decode_cpu_s"] < 2 * 5
