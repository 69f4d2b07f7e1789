# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests need of ansible-core and what its versions call differently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ansible.module_utils import basic
from ansible.parsing.dataloader import DataLoader

try:  # 2.19 and newer take as a template only what is marked as one
    from ansible.template import Templar, trust_as_template
except ImportError:
    from ansible.template import Templar

    def trust_as_template(value: str) -> str:
        """Before 2.19 every text is one."""
        return value


try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:

    @contextmanager
    def patch_module_args(args: dict[str, Any]) -> Iterator[None]:
        """Gives a module these arguments, as 2.17 and older hand them over."""
        given = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        with patch.object(basic, "_ANSIBLE_ARGS", given):
            yield


def load_templates(path: Path) -> Any:
    """The content of a YAML file of a role, its texts being templates."""
    try:
        return DataLoader().load_from_file(str(path), trusted_as_template=True)
    except TypeError:
        return DataLoader().load_from_file(str(path))


def render(template: Any, variables: dict[str, Any]) -> Any:
    """A template's value."""
    return Templar(DataLoader(), variables=variables).template(template)
