# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Searches a report by a JMESPath expression."""

from __future__ import annotations

from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError

try:
    import jmespath
except ImportError:  # pragma: no cover
    jmespath = None


def search(report: dict[str, Any], expression: str) -> Any:
    """What `expression` finds in `report`; None when it finds nothing. Raises UserError."""
    if jmespath is None:
        raise UserError(
            Problem("report_query needs the Python package jmespath on the controller", remedy="pip install jmespath")
        )
    try:
        return jmespath.search(expression, report)
    except jmespath.exceptions.JMESPathError as error:
        raise UserError(
            Problem(f"report_query is {expression!r}: {error}", "a JMESPath expression for this report")
        ) from error
