# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What names on Lambda Cloud mean here: the GPU class of an instance type, and whether a name can be a host's."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.llmfleet.serving.plugins.module_utils._lambda.model import gpu_class, name_problem


class FilterModule:
    """Filters by name."""

    def filters(self) -> dict:
        """The filters of this file."""
        return {"lambda_gpu_class": lambda_gpu_class, "lambda_name_problems": lambda_name_problems}


def lambda_gpu_class(instance_type: str) -> str:
    """See lambda_gpu_class.yml."""
    return gpu_class(str(instance_type))


def lambda_name_problems(names: Iterable[str], groups: Iterable[str] = ()) -> list[str]:
    """See lambda_name_problems.yml."""
    found = [name_problem(str(name), {str(group) for group in groups}) for name in names]
    return [str(problem) for problem in found if problem]
