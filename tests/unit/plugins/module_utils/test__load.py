from __future__ import annotations

import resource

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils import _load
from ansible_collections.llmfleet.serving.plugins.module_utils._bench_error import BenchError
from ansible_collections.llmfleet.serving.plugins.module_utils._board import Board, Counts
from ansible_collections.llmfleet.serving.plugins.module_utils._url import parse_base_url


@pytest.mark.parametrize(
    ("connections", "cpus", "expected"),
    [(1, 1, 1), (32, 2, 1), (32, 64, 1), (65, 64, 2), (1000, 64, 16), (1000, 8, 2), (256, 256, 4)],
)
def test_worker_count(connections: int, cpus: int, expected: int) -> None:
    assert _load.worker_count(connections, cpus) == expected


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(BenchError, match=r"no-such-host\.invalid"):
        _load.resolve(parse_base_url("http://no-such-host.invalid:8000"))


def test_too_many_connections_for_the_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 500))
    with pytest.raises(BenchError, match="500 files"):
        _load.raise_file_limit(1000)


def test_the_soft_limit_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 5000))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    _load.raise_file_limit(10)
    _load.raise_file_limit(1000)
    assert limits == [(1064, 5000)]


def test_the_board_sums_over_the_workers() -> None:
    board = Board(2)
    board.write(0, Counts(1, 0, 10, 100, 12))
    board.write(1, Counts(2, 1, 20, 200, 24))
    assert board.read() == Counts(3, 1, 30, 300, 36)
    assert not board.stopped
    board.stop()
    assert board.stopped
