# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that must not outlive the process that started them."""

from __future__ import annotations

import signal
from typing import Callable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` by which the kernel sends SIGTERM to the program when its parent dies, even by SIGKILL.

    None where Python cannot ask for it; the program then lives on.
    """
    try:
        import ctypes  # noqa: PLC0415 - left out of some builds of Python

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
