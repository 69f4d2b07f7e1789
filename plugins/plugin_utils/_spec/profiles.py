# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPU profile a host has: the dict of group_vars/<class>.yml that is true of its GPUs, and what is wrong with it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from .._gpu_choice import CLASSES_WITHOUT_GPU, of_class

# Groups that say what a host is for, not what it is.
_PURPOSES = ("ungrouped", "inference", "gateway", "monitoring", "lambda_campaign")


def profile_of(
    profiles: Mapping[str, Mapping[str, Any]], groups: Sequence[str], gpu_names: Sequence[str]
) -> dict[str, Any]:
    """The profile named like one of the host's groups, else the first whose `name_pattern` fits one of its GPUs; empty when none does.

    `profiles` maps a class, which is also its file's name, to its profile. `gpu_names` is what nvidia-smi prints of each GPU, in the
    driver's order. Of several groups that name a class the last counts, as Ansible itself has it for groups of one depth.
    """
    named = [profiles[group] for group in groups if group in profiles]
    fitting = (profile_for(name, profiles.values()) for name in gpu_names)
    return dict(named[-1]) if named else next(filter(None, fitting), {})


def profile_for(gpu_name: str, profiles: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The first profile whose `name_pattern` matches the GPU's name (as nvidia-smi prints it); an empty dict when none does."""
    for profile in profiles:
        pattern = profile.get("name_pattern")
        if pattern and re.search(pattern, gpu_name):
            return dict(profile)
    return {}


def profile_problem(
    profiles: Mapping[str, Mapping[str, Any]],
    groups: Sequence[str],
    gpu_names: Sequence[str],
    profile: Mapping[str, Any],
) -> Problem | None:
    """What is wrong with the profile that was found for a host: two groups name a GPU class, there is none, or no GPU is of its class."""
    classes = _gpu_groups(profiles, groups, profile)
    if len(classes) > 1:
        return _two_groups(classes, profiles, gpu_names)
    if not profile:
        return missing_profile(profiles, groups, _telling_name(groups, gpu_names))
    if not gpu_names or not profile.get("name_pattern") or of_class([{"name": name} for name in gpu_names], profile):
        return None
    return _mismatch(profiles, groups, gpu_names, profile)


def _telling_name(groups: Sequence[str], gpu_names: Sequence[str]) -> str:
    """The GPU to speak of: one in whose name a group of the host stands, else the first. A display's may be the first."""
    named = (name for name in gpu_names if any(group.lower() in name.lower() for group in groups))
    return next(named, gpu_names[0] if gpu_names else "")


def _gpu_groups(
    profiles: Mapping[str, Mapping[str, Any]], groups: Sequence[str], profile: Mapping[str, Any]
) -> list[str]:
    """The groups of a host that name a class of GPUs: one of `profiles`, or the inventory's own."""
    known = {name for name, entry in profiles.items() if entry.get("name_pattern")}
    own = profile.get("gpu_class")
    return [group for group in groups if group in known or (group == own and own not in CLASSES_WITHOUT_GPU)]


def _two_groups(classes: Sequence[str], profiles: Mapping[str, Mapping[str, Any]], gpu_names: Sequence[str]) -> Problem:
    right = profile_of(profiles, (), gpu_names).get("gpu_class")
    wrong = [name for name in classes if name != right] if right in classes else ["all but that of its GPU"]
    return Problem(
        f"the host is in {len(classes)} groups of GPU classes: {', '.join(classes)}",
        "one",
        f"take it out of {', '.join(wrong)} in the inventory",
    )


def _mismatch(
    profiles: Mapping[str, Mapping[str, Any]],
    groups: Sequence[str],
    gpu_names: Sequence[str],
    profile: Mapping[str, Any],
) -> Problem:
    """No GPU of the host is of its class. The remedy names the group of its GPU, unless the host is there."""
    right = profile_of(profiles, (), gpu_names).get("gpu_class")
    own, pattern = profile.get("gpu_class"), profile["name_pattern"]
    remedy = f"correct gpu_profile where the inventory sets it for this host: its name_pattern is {pattern}"
    if right and right not in groups:
        leave = f" and take it out of {own}" if own in groups else ""
        remedy = f"move the host to the inventory group {right}{leave}; where the inventory sets gpu_profile, correct its name_pattern"
    names = ", ".join(sorted({one_line(name, 60) for name in gpu_names}))
    return Problem(names, f"{profile.get('name') or pattern} (group {own})", remedy)


def missing_profile(classes: Iterable[str], groups: Sequence[str], gpu_name: str) -> Problem:
    """What to say of a host without a profile.

    The remedy can be followed beside any inventory, whether the collection is a checkout or installed.
    """
    gpu_class, name = suggested_class(groups, gpu_name), gpu_name or "NAME OF THE GPU"
    way = (
        ""
        if gpu_class in groups
        else f"move the host to the group of its GPU class, or make it a host of group {gpu_class} and "
    )
    return Problem(
        f"no GPU profile for groups {', '.join(groups) or '(none)'} and {gpu_name or 'no GPU that can be read'}",
        f"a group named like a GPU class ({', '.join(sorted(classes))}), a GPU of such a class, or gpu_profile",
        f"{way}write group_vars/{gpu_class}.yml beside the inventory: `gpu_profile: {{gpu_class: {gpu_class}, name: {name}}}` "
        "(in AWX the group's variables take the same line)",
    )


def suggested_class(groups: Sequence[str], gpu_name: str) -> str:
    """The class to name a GPU after: the host's group that stands in the GPU's name, else its only one, else a word to replace."""
    candidates = [group for group in groups if group not in _PURPOSES]
    for group in candidates:
        if group.lower() in gpu_name.lower():
            return group
    return candidates[0] if len(candidates) == 1 else "CLASS"
