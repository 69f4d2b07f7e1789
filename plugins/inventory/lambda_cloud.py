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
  - A host is named after its instance, or after its identifier where it has no name or shares it with another.
  - The groups of GPU classes (V(h100), V(b200), ...) are children of O(parent_group), so that C(-l h100) and C(group_vars/h100.yml) apply
    to them. The other groups are V(region_<region>), V(status_<status>) and V(tag_<key>_<value>).
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

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import api
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import model as cloud


def host_names(instances: list[dict[str, Any]]) -> list[str]:
    """A unique name for each instance: its own, else its identifier."""
    times = Counter(entry["name"] for entry in instances)
    return [entry["name"] if entry["name"] and times[entry["name"]] == 1 else entry["id"] for entry in instances]


def group_names(entry: dict[str, Any]) -> Iterable[str]:
    """The groups of one instance beside its class, not yet made safe for Ansible."""
    yield f"status_{entry['status']}"
    if entry["region"]:
        yield f"region_{entry['region']}"
    for key, value in entry["tags"].items():
        yield f"tag_{key}_{value}" if value else f"tag_{key}"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Reads the account, or the cache, and fills the inventory."""

    NAME = "llmfleet.serving.lambda_cloud"

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
        parent = self.inventory.add_group(self.get_option("parent_group"))
        for name, entry in zip(host_names(instances), instances):
            self.inventory.add_host(name, group=parent)
            self._describe(name, entry)
            if entry["gpu_class"]:
                child = self.inventory.add_group(entry["gpu_class"])
                self.inventory.add_child(parent, child)
                self.inventory.add_host(name, group=child)
            for group in group_names(entry):
                self.inventory.add_host(name, group=self.inventory.add_group(self._sanitize_group_name(group)))
            self._construct(name)

    def _describe(self, name: str, entry: dict[str, Any]) -> None:
        """The instance's variables. What an account's members wrote, a name or a tag, is no template: Ansible before 2.19 would run it."""
        for key, value in entry.items():
            self.inventory.set_variable(name, f"lambda_{key}", wrap_var(value))
        self.inventory.set_variable(name, "ansible_host", wrap_var(entry["ip"] or entry["hostname"] or name))
        self.inventory.set_variable(name, "ansible_user", self.get_option("ansible_user"))

    def _construct(self, name: str) -> None:
        """What the user composes of the host's variables."""
        strict = self.get_option("strict")
        variables = self.inventory.get_host(name).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)
