# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The login of an API by a key in a header."""

from __future__ import annotations

from typing import Any, Callable


def bearer(key: str) -> Callable[[Any], Any]:
    """What a session of requests takes as `auth`. Not a plain header of the session: requests would let a .netrc replace it."""

    def sign(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign
