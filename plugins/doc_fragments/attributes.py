# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attributes that modules of one kind share."""

from __future__ import annotations


class ModuleDocFragment:
    """One form for each kind of module; what a module itself says of an attribute takes precedence."""

    CHANGE = r"""
attributes:
  check_mode:
    description: Predicts the change and makes none.
    support: full
"""

    INFO = r"""
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
"""

    CONTROLLER = r"""
attributes:
  action:
    description: Runs on the controller.
    support: full
  diff_mode:
    description: Shows what a real run would change.
    support: none
"""

    ACTION_GROUP = r"""
attributes:
  action_group:
    description: Use C(group/llmfleet.serving.serving) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - llmfleet.serving.serving
"""
