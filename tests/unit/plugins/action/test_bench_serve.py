from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.action.bench_serve import describe

PROGRESS = {"phase": "run-1", "done": 128, "failed": 0, "total": 512, "output_tok_s": 6980.4, "eta_s": 112.3}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "run-1 128/512 requests, 6,980 tok/s, ETA 1m52s"),
        ({"eta_s": 9.6}, "run-1 128/512 requests, 6,980 tok/s, ETA 10s"),
        ({"eta_s": None, "phase": "warmup"}, "warmup 128/512 requests, 6,980 tok/s"),
        ({"failed": 3, "eta_s": 3600}, "run-1 128/512 requests, 3 failed, 6,980 tok/s, ETA 60m00s"),
    ],
)
def test_describe(change: dict[str, Any], expected: str) -> None:
    assert describe({**PROGRESS, **change}) == expected
