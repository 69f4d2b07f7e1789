# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host reaches an address that it needs."""

from __future__ import annotations

import http.client
import time
import urllib.error
from typing import Any

from ansible.module_utils.urls import open_url

from .._patience import within


def probe_url(url: str, timeout_s: float) -> dict[str, Any]:
    """Ask for an address, through the host's own proxy settings; `timeout_s` limits all of it.

    Any answer of HTTP, an error status too, means that it is reachable; `error` says why it is not. No password is sent: ~/.netrc
    is not read.
    """
    started = time.monotonic()
    status, error = None, None
    try:
        status = within(timeout_s, lambda: _status(url, timeout_s))
    except urllib.error.HTTPError as refusal:
        status = refusal.code
    except (OSError, ValueError, http.client.HTTPException) as failure:
        error = str(getattr(failure, "reason", failure))
    return {
        "url": url,
        "reachable": status is not None,
        "http_status": status,
        "error": error,
        "elapsed_ms": round((time.monotonic() - started) * 1000.0, 1),
    }


def _status(url: str, timeout_s: float) -> int:
    with open_url(url, method="HEAD", timeout=timeout_s, use_netrc=False) as answer:
        return answer.status
