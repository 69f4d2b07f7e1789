# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of host_facts: reads what a host keeps, and refuses a Python that is too old in words.

What the host keeps comes in through here: a file that is no dictionary, too large or nested too deep is left out, so that
it costs its host alone; `llmfleet_unread_facts` says why. A warning about one is shown also where what is well is not (display_ok_hosts).
"""

from __future__ import annotations

from typing import Any

from ansible import constants as C
from ansible.module_utils import basic
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.vars.clean import namespace_facts
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import said_once
from ansible_collections.llmfleet.serving.plugins.plugin_utils._host.interpreter import judged
from ansible_collections.llmfleet.serving.plugins.plugin_utils._kept_facts import taken_over
from ansible_collections.llmfleet.serving.plugins.plugin_utils._role_settings import settings_of_all
from ansible_collections.llmfleet.serving.plugins.plugin_utils._state_folder import (
    needs_the_other,
    place_of,
    refuse_others,
    settled,
)

display = Display()


class ActionModule(ActionBase):
    """See the module host_facts for the options, which are those of ansible.builtin.setup."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options, variables = {"gather_subset": ["!all", "!min", "local"], **self._task.args}, task_vars or {}
        role, also = options.pop("settings_of", None), options.pop("also", None) or []
        if not role:
            return said_once(self._read(options, variables)[0])
        try:
            return said_once(self._with_settings([str(role), *map(str, also)], options, variables))
        except UserError as error:
            return said_once({"failed": True, "changed": False, "msg": str(error)})

    def _with_settings(self, roles: list[str], options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The facts, and the roles' settings with what the host keeps. Before a host is asked, the settings must be what they can be."""
        state_dir = self._settings(roles, variables)["typed"]["state_dir"]
        result, state_dir = self._read({"fact_path": f"{state_dir}/facts.d", **options}, variables)
        if failed(result):
            return result
        read = result.get("ansible_facts") or {}
        known = {**(variables.get("ansible_facts") or {}), **namespace_facts(read)["ansible_facts"]}
        home = str(known.get("user_dir") or "")
        settings = self._settings(roles, {**variables, "ansible_facts": known}, home)
        typed = {
            **settings["typed"],
            "state_dir": home + state_dir[1:] if home and state_dir[:2] == "~/" else state_dir,
        }
        refuse_others(local_facts(result), typed, str(variables.get("inventory_hostname", "")))
        return {**result, **settings, "typed": typed}

    def _read(self, options: dict[str, Any], variables: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """The facts in a state folder, and that folder. By its path it is a server's, which may be in another."""
        state_dir = str(options.get("fact_path")).removesuffix("/facts.d")
        result, place = self._facts(options, variables), place_of(state_dir)
        if failed(result) or place is None or not needs_the_other(place, local_facts(result)):
            return result, state_dir
        other = self._facts({**options, "fact_path": f"{place.instead}/facts.d"}, variables)
        if failed(other):
            return other, state_dir
        state_dir, facts = settled(place, local_facts(result), local_facts(other))
        return {**result, "ansible_facts": {**other["ansible_facts"], "ansible_local": facts}}, state_dir

    def _settings(self, roles: list[str], variables: dict[str, Any], home: str = "") -> dict[str, Any]:
        return settings_of_all(roles, variables, self._templar, self._loader, home)

    def _facts(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        result = self._execute_module(module_name="ansible.builtin.setup", module_args=options, task_vars=variables)
        folder = str(options.get("fact_path") or "/etc/ansible/facts.d")
        result = judged(self, taken_over(result, folder), variables, basic)
        warnings = result.pop("warnings", None) or []
        others = [
            warning for warning in warnings if not isinstance(warning, str)
        ]  # ansible-core's own, from 2.19 on: it prints them
        if others:
            result["warnings"] = others
        for warning in (warning for warning in warnings if isinstance(warning, str)):
            display.display(
                one_line(f"[WARNING]: {variables.get('inventory_hostname', '')}: {warning}"),
                color=C.COLOR_WARN,
                stderr=True,
            )
        return result


def failed(result: dict[str, Any]) -> bool:
    """Whether the host was not read."""
    return bool(result.get("failed") or result.get("unreachable"))


def local_facts(result: dict[str, Any]) -> dict[str, Any]:
    """What the files of the state folder hold."""
    return dict((result.get("ansible_facts") or {}).get("ansible_local") or {})
