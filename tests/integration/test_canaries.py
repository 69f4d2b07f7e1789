# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secret x path: a canary in the place of each secret, playbooks with `-vvv --diff`, also where they fail; and then a search for it.

The container's side, `docker inspect`, is in test_bench_vllm_client.py and tests/docker; keys.yml in test_keys.py.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.hostile_server import (
    END_OF_CHUNKS,
    GOOD,
    STREAM_HEAD,
    Peer,
    answer,
    asked_of,
    chunk,
    event,
    good_completion,
    good_events,
    hostile_server,
)

from .conftest import Fleet, Outcome

KEY = "c4nary-Key/0123456789abcdef"
CANARY = "c4naryValue9876543210"
LOUD = "-vvv --diff"
_EVERY_S = 0.03


class Watch:
    """What a list of processes shows of this test's programs while it goes on: arguments and environments with the canary."""

    def __init__(self, canary: str) -> None:
        self.canary, self.seen = canary.encode(), dict[str, set[str]](argv=set(), environ=set())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        own = str(os.getpid())
        while not self._stop.wait(_EVERY_S):
            for process in Path("/proc").glob("[0-9]*"):
                for kind, file in (("argv", "cmdline"), ("environ", "environ")):
                    with suppress(OSError):
                        text = b"" if process.name == own else (process / file).read_bytes()
                        if self.canary in text:
                            self.seen[kind].add(text.replace(b"\0", b" ")[:300].decode(errors="replace"))

    @classmethod
    @contextmanager
    def over(cls, canary: str) -> Iterator[Watch]:
        watch = cls(canary)
        watch._thread.start()
        try:
            yield watch
        finally:
            watch._stop.set()
            watch._thread.join()


def found(canary: str, fleet: Fleet, watch: Watch, *outcomes: Outcome) -> dict[str, list[str]]:
    """Where the canary is, by path; the inventory and the files in which a user keeps secrets are left out."""
    own = {"inventory.yml", "key", "extravars"}
    half = canary[: len(canary) // 2 + 1].encode()
    files = [
        path for path in fleet.folder.rglob("*") if path.is_file() and not path.is_symlink() and path.name not in own
    ]
    parts = {part for path in files for part in path.relative_to(fleet.folder).parts}
    assert {"artifacts", "job_events"} <= parts and ("fact_cache" in parts or all(each.rc for each in outcomes))
    return {
        **{kind: sorted(seen) for kind, seen in watch.seen.items()},
        "-vvv --diff": [line[:300] for each in outcomes for line in each.output.splitlines() if half.decode() in line],
        "error text": [
            each.failures(host) for each in outcomes for host in fleet.hosts if half.decode() in each.failures(host)
        ],
        "facts, logs, reports, fact cache": [str(path) for path in files if half in path.read_bytes()],
    }


@pytest.fixture
def key_file(fleet: Fleet) -> str:
    (fleet.folder / "key").write_text(KEY + "\n")
    (fleet.folder / "key").chmod(0o600)
    return str(fleet.folder / "key")


def test_the_key_of_a_server_is_seen_nowhere(fleet: Fleet, key_file: str, tmp_path: Path) -> None:
    """A server's whole life with its key, and the same with another key, which fails."""
    fleet.add("one", inference_server_api_key_file=key_file, benchmark_api_key_file=key_file)
    with Watch.over(KEY) as watch:
        played = [fleet.play(name, options=LOUD) for name in ("deploy.yml", "clients.yml", "bench.yml", "report.yml")]
        assert [each.rc for each in played] == [0, 0, 0, 0], [each.output[-2000:] for each in played if each.rc]
        other = tmp_path / "other" / "key"
        other.parent.mkdir()
        other.write_text(KEY[::-1])
        failed = fleet.play("bench.yml", options=LOUD, benchmark_api_key_file=str(other))
        assert failed.rc != 0
        played += [failed, fleet.play("teardown.yml", options=LOUD)]
    for canary in (KEY, KEY[::-1]):
        assert not any(found(canary, fleet, watch, *played).values()), found(canary, fleet, watch, *played)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"inference_server_env": {"HF_TOKEN": CANARY}}, "HF_TOKEN"),
        ({"inference_server_env": f"HF_TOKEN={CANARY} A=b"}, "HF_TOKEN"),
        ({"inference_server_env": {"https_proxy": f"http://me:{CANARY}@proxy:3128"}}, "https_proxy"),
        ({"inference_server_extra_args": ["--api-key", CANARY], "inference_server_backend": "vllm"}, "--api-key"),
        ({"inference_server_extra_args": f"--hf-token={CANARY}", "inference_server_backend": "vllm"}, "--hf-token"),
        ({"benchmark_base_url": f"http://me:{CANARY}@127.0.0.1:9"}, "base_url"),
        ({"benchmark_base_url": f"me:{CANARY}@127.0.0.1:9"}, "base_url"),
    ],
)
def test_a_secret_in_a_wrong_place_is_refused_and_not_shown(fleet: Fleet, options: dict[str, Any], named: str) -> None:
    more = {"inference_server_runtime": "process"} if "inference_server_backend" in options else {}
    fleet.add("one", **options, **more)
    playbook = "bench.yml" if named == "base_url" else "deploy.yml"
    with Watch.over(CANARY) as watch:
        played = [fleet.play(playbook, options=LOUD), fleet.play(playbook, options=LOUD, check=True)]
    assert [each.rc for each in played] == [2, 2]
    assert all(named in each.failures("one") for each in played)
    assert not any(found(CANARY, fleet, watch, *played).values()), found(CANARY, fleet, watch, *played)


def _said(peer: Peer) -> str:
    """What a server makes of the key that it got."""
    return f"key {peer.headers.get('authorization', '')} is unknown"


def _refuses(peer: Peer) -> None:
    peer.send(
        answer(json.dumps({"error": {"message": _said(peer), "type": "AuthenticationError"}}).encode(), b"500 No")
    )


def _streams_an_error(peer: Peer) -> None:
    peer.send(STREAM_HEAD, chunk(event(error={"message": "x" * 270 + _said(peer)})), END_OF_CHUNKS)


def _speaks_no_http(peer: Peer) -> None:
    peer.send(f"HTTP/1.1 {_said(peer)}\r\n\r\n".encode())
    raise EOFError


def _names_itself_after_the_key(peer: Peer) -> None:
    key = peer.headers.get("authorization", "").encode()
    events = good_events(asked_of(peer))
    named = [
        each.replace(b'"choices"', b'"system_fingerprint": "' + key + b'", "model": "' + key + b'", "choices"')
        for each in events
    ]
    peer.send(STREAM_HEAD, *map(chunk, named), END_OF_CHUNKS)


def _ends_with_the_key(peer: Peer) -> None:
    key = peer.headers.get("authorization", "").encode()
    events = [each.replace(b'"length"', b'"' + key + b'"') for each in good_events(asked_of(peer))]
    peer.send(STREAM_HEAD, *map(chunk, events), END_OF_CHUNKS)


LOADS = [_refuses, _streams_an_error, _speaks_no_http, _names_itself_after_the_key, _ends_with_the_key]


def in_turn(behaviours: list[Callable[[Peer], None]]) -> Callable[[Peer], None]:
    """Streams are spoilt, each in another way; other questions are answered well."""
    count = iter(range(1_000_000))

    def behave(peer: Peer) -> None:
        (behaviours[next(count) % len(behaviours)] if asked_of(peer).stream else good_completion)(peer)

    return behave


def _version(peer: Peer) -> None:
    peer.send(answer(json.dumps({"version": KEY}).encode()))


@pytest.mark.parametrize(
    "behaviours", [LOADS, *([each] for each in LOADS)], ids=lambda each: "-".join(b.__name__ for b in each)[:40]
)
def test_a_server_that_repeats_the_key_gets_it_into_no_report(
    fleet: Fleet, key_file: str, behaviours: list[Callable[[Peer], None]]
) -> None:
    fleet.add("one", benchmark_api_key_file=key_file, benchmark_num_prompts=10)
    answers = {**GOOD, "/version": _version, "/v1/chat/completions": in_turn(behaviours)}
    with hostile_server(answers) as server, Watch.over(KEY) as watch:
        fleet.hosts["one"][1]["benchmark_base_url"] = server.url
        played = [fleet.play("bench.yml", options=LOUD), fleet.play("report.yml", options=LOUD)]
        assert [path for path, headers in server.asked if KEY in headers.get("authorization", "") and "chat" in path]
    assert (fleet.reports / "latest" / "report.json").exists()
    assert not any(found(KEY, fleet, watch, *played).values()), found(KEY, fleet, watch, *played)
