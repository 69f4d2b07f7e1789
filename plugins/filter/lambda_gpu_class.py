# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The GPU class that a Lambda Cloud instance type names."""

from __future__ import annotations

from ansible_collections.llmfleet.serving.plugins.module_utils._lambda.model import gpu_class


class FilterModule:
    """Filters by name."""

    def filters(self) -> dict:
        """The one filter of this file."""
        return {"lambda_gpu_class": lambda_gpu_class}


def lambda_gpu_class(instance_type: str) -> str:
    """See lambda_gpu_class.yml."""
    return gpu_class(str(instance_type))
