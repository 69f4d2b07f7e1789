#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_instance
short_description: Launch or terminate one Lambda Cloud instance
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Ensures that exactly one instance of this name runs, or none.
  - Never launches twice. A live instance of that name is used as it is. When the answer of a launch is lost, the name is looked for
    until it appears or O(settle_timeout_s) is over, and the request is not sent again; a later run looks for the name first.
  - Tries one region after another when a region that has room according to the API refuses the launch for lack of it.
  - Refuses a launch that would make the account cost more than O(max_usd_per_hour).
  - There is no stopped state at Lambda Cloud. An instance bills from its launch until it is terminated, and C(shutdown) does not stop that.
extends_documentation_fragment:
  - llmfleet.serving.lambda_cloud
  - llmfleet.serving.lambda_cloud.module
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: Reads the account, predicts the change and makes none. The cost limit is checked too.
    support: full
  idempotent:
    description: By name.
    support: full
options:
  state:
    description:
      - V(present) for one running instance of this name, V(absent) for none. V(absent) terminates every live instance of the name.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Name of the instance, at most 64 characters.
    type: str
    required: true
  instance_type:
    description: Type of the instance, such as V(gpu_1x_h100_sxm5). Required with O(state=present).
    type: str
  regions:
    description: The regions to try, best first. Empty for any region that has room.
    type: list
    elements: str
    default: []
  ssh_key:
    description: Name of the SSH key, as registered with the account. Required with O(state=present).
    type: str
  image_family:
    description: Family of the image, such as V(lambda-stack-24-04). By default the API's own choice.
    type: str
  image_id:
    description: Identifier of the image.
    type: str
  file_systems:
    description: Names of file systems to attach. They exist in one region only.
    type: list
    elements: str
    default: []
  user_data:
    description: What cloud-init does at the first boot. Kept out of all output.
    type: str
  tags:
    description: Tags of the instance. Keys are lower-case letters, digits, C(-) and C(:).
    type: dict
    default: {}
  max_usd_per_hour:
    description:
      - The most that all live instances of the account together may cost in US dollars an hour, the new one included.
        Required with O(state=present).
    type: float
  capacity_timeout_s:
    description: How long to go on asking when no region has room, in seconds. V(0) fails at once.
    type: float
    default: 0
  settle_timeout_s:
    description: How long to look for an instance whose launch was not answered, in seconds.
    type: float
    default: 60
  wait:
    description: Wait with O(state=present) until the instance is active and its SSH server answers, with O(state=absent) until it ended.
    type: bool
    default: true
  wait_timeout_s:
    description: Longest time of that wait in seconds.
    type: float
    default: 900
  poll_interval_s:
    description: Seconds between two requests.
    type: float
    default: 10
  ssh_port:
    description: Port of the SSH server.
    type: int
    default: 22
"""

EXAMPLES = r"""
- name: Launch one H100 where there is room, for at most 5 dollars an hour
  llmfleet.serving.lambda_instance:
    name: campaign-h100
    instance_type: gpu_1x_h100_sxm5
    regions: [us-west-3, us-south-2]
    ssh_key: fleet
    max_usd_per_hour: 5
  delegate_to: localhost
  register: instance

- name: Terminate the instance
  llmfleet.serving.lambda_instance:
    name: campaign-h100
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
instance:
  description: The instance; with O(state=absent) the last one that was terminated. Null when no instance has or had the name.
  returned: success
  type: dict
  contains: &instance
    id:
      description: Identifier.
      type: str
      sample: 0920582c7ff041399e34823a0be62549
    name:
      description: Name.
      type: str
      sample: campaign-h100
    status:
      description: booting, active, unhealthy, terminating, terminated, preempted, or unknown when the API does not say.
      type: str
      sample: active
    ip:
      description: Public address; empty until it has one.
      type: str
      sample: 198.51.100.2
    private_ip:
      description: Address inside the region; empty until it has one.
      type: str
      sample: 10.0.2.100
    hostname:
      description: Name that resolves to the address.
      type: str
      sample: headnode1
    region:
      description: Region.
      type: str
      sample: us-west-3
    instance_type:
      description: Type.
      type: str
      sample: gpu_1x_h100_sxm5
    gpu_class:
      description: Class of its GPUs, from the type's name.
      type: str
      sample: h100
    gpus:
      description: Number of GPUs.
      type: int
      sample: 1
    usd_per_hour:
      description: Price in US dollars an hour; null when the API does not give it.
      type: float
      sample: 4.29
    ssh_key_names:
      description: Names of the keys that may log in.
      type: list
      elements: str
      sample: [fleet]
    file_system_names:
      description: Names of the attached file systems.
      type: list
      elements: str
      sample: []
    tags:
      description: Tags.
      type: dict
      sample: {campaign: nightly}
attempts:
  description: The outcome of each launch request, in order.
  returned: always
  type: list
  elements: dict
  contains:
    region:
      description: Region.
      type: str
      sample: us-west-3
    outcome:
      description: launched, no_capacity, lost (no answer), or planned in check mode.
      type: str
      sample: no_capacity
terminated_ids:
  description: The instances that were terminated.
  returned: always
  type: list
  elements: str
  sample: []
account_usd_per_hour:
  description: What all live instances of the account cost in US dollars an hour, this one included. Null when nothing was launched.
  returned: always
  type: float
  sample: 4.29
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import api
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import model as cloud
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda.module import account_of, argument_spec


class Instance:
    """The one instance of a name: finds it, launches it, waits for it, terminates it."""

    def __init__(self, params: dict[str, Any], account: api.LambdaApi, check_mode: bool) -> None:
        self.params = params
        self.name = params["name"]
        self.account = account
        self.check_mode = check_mode
        self.result: dict[str, Any] = {
            "changed": False,
            "instance": None,
            "attempts": [],
            "terminated_ids": [],
            "account_usd_per_hour": None,
        }

    def present(self) -> None:
        """One instance of the name runs."""
        instances = self.account.instances()
        instance = self._only(cloud.named(instances, self.name))
        if instance is None:
            instance = self._launch(instances)
        elif instance["instance_type"] != self.params["instance_type"]:
            raise UserError(
                Problem(
                    f"{self.name} is a {instance['instance_type']}",
                    f"a {self.params['instance_type']}",
                    "terminate it (state: absent) or give the new one another name",
                )
            )
        self.result["instance"] = instance
        if instance and self.params["wait"] and not self.check_mode:
            self.result["instance"] = self._wait_until_ready(instance["id"])

    def absent(self) -> None:
        """No instance of the name runs."""
        instances = cloud.named(self.account.instances(), self.name)
        self.result["terminated_ids"] = [entry["id"] for entry in instances]
        self.result["changed"] = bool(instances)
        self.result["instance"] = instances[-1] if instances else None
        if not instances or self.check_mode:
            return
        self.account.terminate(self.result["terminated_ids"])
        if self.params["wait"]:
            self._wait_until_gone()

    def _only(self, instances: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The one instance, or None; more than one raise UserError."""
        if len(instances) > 1:
            ids = ", ".join(entry["id"] for entry in instances)
            raise UserError(
                Problem(
                    f"{len(instances)} live instances are named {self.name} ({ids})",
                    "one",
                    "terminate all but one of them",
                )
            )
        return instances[0] if instances else None

    # --- launch -------------------------------------------------------------------------------------------------------

    def _launch(self, instances: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Launches in the first region that has room; None in check mode."""
        deadline = time.monotonic() + self.params["capacity_timeout_s"]
        while True:
            kind = self._type(instances)
            regions = cloud.candidates(kind["regions"], self.params["regions"])
            if self.check_mode:
                self.result["changed"] = True
                self.result["attempts"] = [{"region": region, "outcome": "planned"} for region in regions[:1]]
                return None
            for region in regions:
                instance = self._launch_in(region)
                if instance:
                    return instance
            if time.monotonic() >= deadline:
                raise UserError(self._no_room(kind))
            time.sleep(self.params["poll_interval_s"])
            instances = self.account.instances()
            instance = self._only(cloud.named(instances, self.name))
            if instance:  # another run launched it meanwhile
                return instance

    def _type(self, instances: list[dict[str, Any]]) -> dict[str, Any]:
        """The wanted type, when its price keeps the cost limit."""
        types = self.account.instance_types()
        kind = types.get(self.params["instance_type"])
        if kind is None:
            raise UserError(
                Problem(
                    f"instance_type is {self.params['instance_type']}, which the API does not offer",
                    f"one of {', '.join(sorted(types)) or 'none'}",
                    "correct instance_type",
                )
            )
        prices = {name: entry["usd_per_hour"] for name, entry in types.items()}
        running, unknown = cloud.account_usd_per_hour(instances, prices)
        refusal = cloud.refusal(kind["usd_per_hour"], running, unknown, self.params["max_usd_per_hour"])
        if refusal:
            raise UserError(refusal._replace(found=f"{kind['name']} is not launched: {refusal.found}"))
        self.result["account_usd_per_hour"] = round(running + kind["usd_per_hour"], 2)
        return kind

    def _launch_in(self, region: str) -> dict[str, Any] | None:
        """One launch; None when the region has no room after all."""
        body = cloud.launch_body(self.params, region)
        try:
            instance_id = self.account.launch(body)
        except api.LaunchUnknown as lost:
            self._note(region, "lost")
            return self._look_for(lost)
        except api.ApiError as error:
            if error.code not in cloud.TRY_ELSEWHERE:
                raise
            self._note(region, "no_capacity")
            return None
        self._note(region, "launched")
        self.result["changed"] = True
        # From the request, since the API may not list it yet. The wait reads the rest.
        blank = cloud.instance(
            {"id": instance_id, "status": "booting", "instance_type": {"name": body["instance_type_name"]}}
        )
        return {
            **blank,
            "name": self.name,
            "region": region,
            "tags": {k: str(v) for k, v in self.params["tags"].items()},
        }

    def _look_for(self, lost: api.LaunchUnknown) -> dict[str, Any]:
        """The instance whose launch was not answered."""
        deadline = time.monotonic() + self.params["settle_timeout_s"]
        while True:
            instance = self._only(cloud.named(self.account.instances(), self.name))
            if instance:
                self.result["changed"] = True
                return instance
            if time.monotonic() >= deadline:
                raise UserError(
                    Problem(
                        f"{lost} No instance named {self.name} is listed after settle_timeout_s="
                        f"{self.params['settle_timeout_s']:g} s, and none was launched a second time",
                        remedy="look at the account, then run this again",
                    )
                )
            time.sleep(self.params["poll_interval_s"])

    def _note(self, region: str, outcome: str) -> None:
        self.result["attempts"].append({"region": region, "outcome": outcome})

    def _no_room(self, kind: dict[str, Any]) -> Problem:
        tried = ", ".join(f"{entry['region']} ({entry['outcome']})" for entry in self.result["attempts"]) or "none"
        return Problem(
            f"no region has room for a {kind['name']}: wanted {', '.join(self.params['regions']) or 'any'}, with room according to "
            f"the API {', '.join(kind['regions']) or 'none'}, tried {tried}",
            remedy="name more regions, another type, or raise capacity_timeout_s",
        )

    # --- waits --------------------------------------------------------------------------------------------------------

    def _wait_until_ready(self, instance_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + self.params["wait_timeout_s"]
        while True:
            entry = self._read(instance_id)
            self.result["instance"] = entry
            if entry["status"] not in ("booting", "active"):
                raise UserError(Problem(f"{self.name} ({instance_id}) became {entry['status']}", "active"))
            if entry["status"] == "active" and entry["ip"] and api.ssh_answers(entry["ip"], self.params["ssh_port"]):
                return entry
            if time.monotonic() >= deadline:
                raise UserError(
                    Problem(
                        f"{self.name} ({instance_id}) is {entry['status']} at {entry['ip'] or 'no address'}, but no SSH server answers on "
                        f"port {self.params['ssh_port']} after wait_timeout_s={self.params['wait_timeout_s']:g} s",
                        remedy="terminate it (state: absent), it bills until then; or raise wait_timeout_s",
                    )
                )
            time.sleep(self.params["poll_interval_s"])

    def _read(self, instance_id: str) -> dict[str, Any]:
        """The instance as it is now; the last answer while a fresh instance is not listed yet."""
        try:
            return self.account.instance(instance_id)
        except api.ApiError as error:
            if error.code != cloud.NOT_FOUND:
                raise
            return self.result["instance"]

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + self.params["wait_timeout_s"]
        while cloud.named(self.account.instances(), self.name):
            if time.monotonic() >= deadline:
                raise UserError(
                    Problem(
                        f"{self.name} still runs {self.params['wait_timeout_s']:g} s after it was terminated",
                        remedy="look at the account, it bills",
                    )
                )
            time.sleep(self.params["poll_interval_s"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "required": True},
            "instance_type": {"type": "str"},
            "regions": {"type": "list", "elements": "str", "default": []},
            "ssh_key": {"type": "str", "no_log": False},
            "image_family": {"type": "str"},
            "image_id": {"type": "str"},
            "file_systems": {"type": "list", "elements": "str", "default": []},
            "user_data": {"type": "str", "no_log": True},
            "tags": {"type": "dict", "default": {}},
            "max_usd_per_hour": {"type": "float"},
            "capacity_timeout_s": {"type": "float", "default": 0},
            "settle_timeout_s": {"type": "float", "default": 60},
            "wait": {"type": "bool", "default": True},
            "wait_timeout_s": {"type": "float", "default": 900},
            "poll_interval_s": {"type": "float", "default": 10},
            "ssh_port": {"type": "int", "default": 22},
        },
        required_if=[("state", "present", ("instance_type", "ssh_key", "max_usd_per_hour"))],
        mutually_exclusive=[("image_family", "image_id")],
        supports_check_mode=True,
    )
    if not 0 < len(module.params["name"]) <= cloud.NAME_LIMIT:
        problem = Problem(
            f"name has {len(module.params['name'])} characters", f"1 to {cloud.NAME_LIMIT}", "correct name"
        )
        module.fail_json(msg=str(problem))
    instance = Instance(module.params, account_of(module), module.check_mode)
    try:
        instance.present() if module.params["state"] == "present" else instance.absent()
    except UserError as error:
        module.fail_json(msg=str(error), **instance.result)
    module.exit_json(**instance.result)


if __name__ == "__main__":
    main()
