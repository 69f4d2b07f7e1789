# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lambda_cloud
short_description: The instances of a Lambda Cloud account as hosts
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Lists the account's instances and groups them by GPU class, region, status and tags.
  - A host is named after its instance. It has the instance's identifier as name where the instance has no name or shares it with another,
    and where that is the name of a group or of a host of an earlier inventory source, or could be read as a pattern, such as V(h100),
    V(all), V(localhost) or V(h100[0]). So no name that a member of the account gives changes which hosts V(h100) or V(inference) selects.
  - The groups of GPU classes (V(h100), V(b200), ...) are children of O(parent_group), so that C(-l h100) and C(group_vars/h100.yml) apply
    to them. The other groups are V(region_<region>), V(status_<status>) and V(tag_<key>_<value>), with V(_) for every other
    character than letters and digits.
  - O(keyed_groups) without a prefix cannot add a host to one of these groups, nor to one of an earlier source; such a group gets the
    prefix V(lambda_).
  - Each host has the keys of RV(llmfleet.serving.lambda_instance#module:instance) as variables with the prefix C(lambda_).
    Jupyter's tokens are left out, also of the cache.
  - The file's name ends in V(lambda_cloud.yml) or V(lambda_cloud.yaml).
extends_documentation_fragment:
  - llmfleet.serving.lambda_cloud
  - llmfleet.serving.lambda_cloud.plugin
  - constructed
  - inventory_cache
options:
  plugin:
    description: Marks a file as this plugin's.
    type: str
    required: true
    choices: [llmfleet.serving.lambda_cloud]
  parent_group:
    description: The group of all hosts, parent of the GPU classes.
    type: str
    default: inference
  statuses:
    description: Only instances in one of these states.
    type: list
    elements: str
    default: [active]
  regions:
    description: Only instances in one of these regions. Empty for all.
    type: list
    elements: str
    default: []
  tags:
    description: Only instances that carry all of these tags.
    type: dict
    default: {}
  ansible_user:
    description: The user to log in as.
    type: str
    default: ubuntu
"""

EXAMPLES = r"""
# fleet.lambda_cloud.yml; the key is in LAMBDA_API_KEY. ansible-inventory -i fleet.lambda_cloud.yml --playbook-dir playbooks --graph
# The shortest is one line: plugin: llmfleet.serving.lambda_cloud
# One campaign's hosts, its answers cached for a minute, and one more group for each type.
plugin: llmfleet.serving.lambda_cloud
api_key_file: ~/.config/lambda/key
tags:
  campaign: nightly
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: .cache/inventory
cache_timeout: 60
keyed_groups:
  - key: lambda_instance_type
    prefix: type
compose:
  inference_server_tensor_parallel_size: lambda_gpus
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import api
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import model as cloud
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

# The classes of GPUs that are known here are groups also where no inventory names them.
CLASSES = frozenset(path.stem for path in (Path(__file__).resolve().parents[2] / "group_vars").glob("*.yml"))


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Reads the account, or the cache, and fills the inventory."""

    NAME = "llmfleet.serving.lambda_cloud"
    _not_by_key: frozenset[str] | None = (
        None  # while groups are made of a host's variables: those that it cannot join by them
    )

    def _sanitize_group_name(self, name: str) -> str:
        """What Ansible asks for each group that is made of a host's variables."""
        safe = cloud.group_name(name)
        if self._not_by_key is None or (safe not in self._not_by_key and not safe.startswith(cloud.MADE_GROUPS)):
            return safe
        return f"lambda_{safe}"

    def verify_file(self, path: str) -> bool:
        """Whether a file is this plugin's, by its name."""
        return super().verify_file(path) and path.endswith(("lambda_cloud.yml", "lambda_cloud.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fills the inventory."""
        super().parse(inventory, loader, path, cache)
        if api.REQUESTS_ERROR:
            raise AnsibleParserError(missing_required_lib("requests"))
        self._read_config_data(path)
        self._fill([entry for entry in self._instances(path, cache) if self._wanted(entry)])

    def _instances(self, path: str, cache: bool) -> list[dict[str, Any]]:
        """The account's instances, from the cache where that is on and still valid."""
        cached = self.get_option("cache")
        key = self.get_cache_key(path)
        if cache and cached:
            try:
                return self._cache[key]
            except KeyError:
                pass
        instances = self._ask()
        if cached:
            self._cache[key] = instances
        return instances

    def _ask(self) -> list[dict[str, Any]]:
        try:
            key = api.read_key(self.get_option("api_key"), self.get_option("api_key_file"))
            return api.LambdaApi(self.get_option("api_url"), key, self.get_option("request_timeout_s")).instances()
        except api.ApiError as error:
            raise AnsibleParserError(f"Lambda Cloud: {error}") from error

    def _wanted(self, entry: dict[str, Any]) -> bool:
        regions = self.get_option("regions")
        return (
            entry["status"] in self.get_option("statuses")
            and (not regions or entry["region"] in regions)
            and cloud.has_tags(entry, self.get_option("tags"))
        )

    def _fill(self, instances: list[dict[str, Any]]) -> None:
        taken = {*CLASSES, *self.inventory.groups, *self.inventory.hosts, self.get_option("parent_group")}
        parent = self.inventory.add_group(self.get_option("parent_group"))
        names = cloud.host_names(instances, taken)
        self._warn_of_names(names, instances)
        for name, entry in zip(names, instances):
            self.inventory.add_host(name, group=parent)
            self._describe(name, entry)
            if entry["gpu_class"]:
                child = self.inventory.add_group(entry["gpu_class"])
                self.inventory.add_child(parent, child)
                self.inventory.add_host(name, group=child)
            for group in cloud.group_names(entry):
                self.inventory.add_host(name, group=self.inventory.add_group(group))
            self._construct(name, frozenset(taken | cloud.RESERVED) - {entry["gpu_class"]})

    def _warn_of_names(self, names: list[str], instances: list[dict[str, Any]]) -> None:
        """Instances that are not listed by the names that their owners gave them."""
        renamed = [(entry["name"], name) for name, entry in zip(names, instances) if entry["name"] not in ("", name)]
        if renamed:
            words = ", ".join(f"{one_line(repr(old), 80)} as {new}" for old, new in renamed[:10])
            more = f" and {len(renamed) - 10} more" if renamed[10:] else ""
            self.display.warning(
                f"Instances whose names are taken, or would select other hosts, are listed by other names: {words}{more}"
            )

    def _describe(self, name: str, entry: dict[str, Any]) -> None:
        """The instance's variables. What an account's members wrote, a name or a tag, is no template: Ansible before 2.19 would run it."""
        for key, value in entry.items():
            self.inventory.set_variable(name, f"lambda_{key}", wrap_var(value))
        self.inventory.set_variable(name, "ansible_host", wrap_var(entry["ip"] or entry["hostname"] or name))
        self.inventory.set_variable(name, "ansible_user", self.get_option("ansible_user"))

    def _construct(self, name: str, reserved: frozenset[str]) -> None:
        """What the user composes of the host's variables. Of a `reserved` group no host becomes a member by a word of the account."""
        strict = self.get_option("strict")
        variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        keyed = self.get_option("keyed_groups") or []
        self._not_by_key = reserved - {str(entry.get("parent_group")) for entry in keyed}
        self._add_host_to_keyed_groups(keyed, variables, name, strict=strict)
        self._not_by_key = None
