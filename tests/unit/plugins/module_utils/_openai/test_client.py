from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import BenchError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import Access, parse_base_url


def access(url: str, ca_path: Path) -> Access:
    return Access(parse_base_url(url), ca_path=str(ca_path))


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate")
    for name in ("missing", "text"):
        with pytest.raises(BenchError, match="ca_path"):
            access("https://127.0.0.1:1", tmp_path / name).tls_context()


def test_plain_http_needs_none(tmp_path: Path) -> None:
    assert access("http://127.0.0.1:1", tmp_path / "missing").tls_context() is None
