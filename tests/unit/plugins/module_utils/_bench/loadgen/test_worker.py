# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a worker says of its progress: each byte once, also of answers that still come."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.clock import now_ns
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.connection import Connection
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.progress import (
    Counts,
    ProgressCounters,
    Queue,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.worker import Load, Request, Worker
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Expectation
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.settings import Timeouts
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import parse_base_url, resolve

from tests.support.hostile_server import Behaviour, answer, hostile_server, says

EVENTS = b'data: {"choices": []}\n\n' * 8
GOOD = answer(EVENTS)
CUT = answer(EVENTS)[:-50]
REFUSED = answer(b"wait", b"429 Too Many Requests")


class Board(ProgressCounters):
    """Keeps every state that the worker wrote."""

    def __init__(self) -> None:
        super().__init__(1)
        self.seen: list[Counts] = []

    def write(self, worker: int, counts: Counts) -> None:
        super().write(worker, counts)
        self.seen.append(counts)


def progress(folder: Path, behaviours: dict[str, Behaviour], slots: int, asked: int | None = 8) -> list[Counts]:
    """What one worker shows while it sends one request to each path."""
    paths = list(behaviours)
    with hostile_server(behaviours) as server:
        address = resolve(parse_base_url(server.url))
        requests = [Request(b"GET %s HTTP/1.1\r\n\r\n" % path.encode(), Expectation(1, asked, 8)) for path in paths]
        load = Load(requests, lambda: Connection(address), slots, None, Timeouts(), real_time=False)
        board = Board()
        worker = Worker(load, slots, Queue(len(paths), folder), board, 0)
        worker.connect()
        board.seen.clear()
        worker.run(now_ns())
    assert board.read() == board.seen[-1]
    return board.seen


@pytest.mark.parametrize("slots", [1, 3])
def test_the_bytes_of_answers_that_have_ended_stay_counted(tmp_path: Path, slots: int) -> None:
    last = progress(tmp_path, {f"/{n}": says(GOOD) for n in range(3)}, slots)[-1]
    assert (last.done, last.failed, last.received_bytes) == (3, 0, 3 * len(GOOD))
    assert (last.ended_tokens, last.ended_bytes) == (24, 3 * len(GOOD))


def test_a_refusal_is_no_answer_with_tokens(tmp_path: Path) -> None:
    """It has few bytes: counted as an answer of 8 tokens it would make the tokens of all others many times as many."""
    last = progress(tmp_path, {"/a": says(REFUSED), "/b": says(GOOD), "/c": says(REFUSED)}, 1)[-1]
    assert (last.done, last.failed, last.received_bytes) == (3, 2, len(GOOD) + 2 * len(REFUSED))
    assert (last.ended_tokens, last.ended_bytes) == (8, len(GOOD))


def test_an_answer_that_was_cut_says_nothing_of_the_tokens_in_a_byte(tmp_path: Path) -> None:
    last = progress(tmp_path, {"/good": says(GOOD), "/cut": says(CUT, close=True)}, 1)[-1]
    assert (last.done, last.failed, last.received_bytes) == (2, 1, len(GOOD) + len(CUT))
    assert (last.ended_tokens, last.ended_bytes) == (8, len(GOOD))


def test_where_an_answer_may_have_any_length_its_events_are_taken_for_tokens(tmp_path: Path) -> None:
    pieces = [GOOD[at : at + 24] for at in range(0, len(GOOD), 24)]
    seen = progress(
        tmp_path, {"/slow": says(*pieces, pause_s=0.03), "/still": says(GOOD[:30], GOOD[30:], pause_s=0.6)}, 2, None
    )
    assert all((counts.ended_tokens, counts.ended_bytes) == (0, 0) for counts in seen)
    under_way = [counts for counts in seen if counts.done == 0 and counts.seen_events > 1]
    assert under_way and all(counts.tokens_per_byte == pytest.approx(8 / len(GOOD), rel=0.5) for counts in under_way)


def test_what_still_comes_is_counted_once_and_never_taken_back(tmp_path: Path) -> None:
    pieces = [GOOD[at : at + 24] for at in range(0, len(GOOD), 24)]
    seen = progress(tmp_path, {"/first": says(GOOD), "/slow": says(*pieces, pause_s=0.03)}, 2)
    sizes = [counts.received_bytes for counts in seen]
    assert sizes == sorted(sizes) and sizes[-1] == 2 * len(GOOD)
    assert len({size for size, counts in zip(sizes, seen) if counts.done == 1}) > 2
