# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPU profile a host has: the dict of group_vars/<class>.yml that is true of its GPUs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

# Groups that say what a host is for, not what it is.
_PURPOSES = ("ungrouped", "inference", "gateway", "monitoring", "lambda_campaign")


def profile_of(profiles: Mapping[str, Mapping[str, Any]], groups: Sequence[str], gpu_name: str) -> dict[str, Any]:
    """The profile named like one of the host's groups, else the one whose `name_pattern` fits its GPU; empty when none does.

    `profiles` maps a class, which is also its file's name, to its profile. `gpu_name` is what nvidia-smi prints, empty where it
    prints nothing. Of several groups that name a class the last counts, as Ansible itself has it for groups of one depth.
    """
    named = [profiles[group] for group in groups if group in profiles]
    return dict(named[-1]) if named else profile_for(gpu_name, profiles.values())


def profile_for(gpu_name: str, profiles: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The first profile whose `name_pattern` matches the GPU's name (as nvidia-smi prints it); an empty dict when none does."""
    for profile in profiles:
        pattern = profile.get("name_pattern")
        if pattern and re.search(pattern, gpu_name):
            return dict(profile)
    return {}


def missing_profile(classes: Iterable[str], groups: Sequence[str], gpu_name: str) -> Problem:
    """What to say of a host without a profile.

    The remedy can be followed beside any inventory, whether the collection is a checkout or installed.
    """
    gpu_class, name = suggested_class(groups, gpu_name), gpu_name or "NAME OF THE GPU"
    return Problem(
        f"no GPU profile for groups {', '.join(groups) or '(none)'} and {gpu_name or 'no GPU that can be read'}",
        f"a group named like a GPU class ({', '.join(sorted(classes))}), a GPU of such a class, or gpu_profile",
        f"move the host to the group of its GPU class, or make it a host of group {gpu_class} and write group_vars/{gpu_class}.yml "
        f"beside the inventory: `gpu_profile: {{gpu_class: {gpu_class}, name: {name}}}` (in AWX the group's variables take the same line)",
    )


def suggested_class(groups: Sequence[str], gpu_name: str) -> str:
    """The class to name a GPU after: the host's group that stands in the GPU's name, else its only one, else a word to replace."""
    candidates = [group for group in groups if group not in _PURPOSES]
    for group in candidates:
        if group.lower() in gpu_name.lower():
            return group
    return candidates[0] if len(candidates) == 1 else "CLASS"
