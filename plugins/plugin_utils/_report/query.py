"""Asks a report a question in JMESPath."""

from __future__ import annotations

from typing import Any

try:
    import jmespath
except ImportError:  # pragma: no cover
    jmespath = None


class QueryError(Exception):
    """The question cannot be asked; the message says why."""


def search(report: dict[str, Any], expression: str) -> Any:
    """What `expression` finds in `report`; None when it finds nothing. Raises QueryError."""
    if jmespath is None:
        raise QueryError("report_query needs the Python package jmespath on the controller: pip install jmespath")
    try:
        return jmespath.search(expression, report)
    except jmespath.exceptions.JMESPathError as error:
        raise QueryError(f"report_query is no JMESPath expression for this report: {error}") from error
