#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_instance_info
short_description: List Lambda Cloud instances, and the types that can be launched
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Lists the account's instances, and all types with their price and the regions that have room according to the API.
extends_documentation_fragment:
  - llmfleet.serving.lambda_cloud
  - llmfleet.serving.lambda_cloud.module
  - llmfleet.serving.attributes.info
  - llmfleet.serving.attributes.action_group
options:
  tags:
    description: Only instances that carry all of these tags.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: List what runs and what could run
  llmfleet.serving.lambda_instance_info:
  delegate_to: localhost
  register: account
"""

RETURN = r"""
instances:
  description: The instances, each as RV(llmfleet.serving.lambda_instance#module:instance).
  returned: success
  type: list
  elements: dict
  sample: [{id: 0920582c7ff041399e34823a0be62549, name: campaign-h100, status: active, usd_per_hour: 4.29}]
instance_types:
  description: The types by name.
  returned: success
  type: dict
  contains:
    gpu_1x_h100_sxm5:
      description: One entry for each type.
      type: dict
      contains:
        name:
          description: Name of the type.
          type: str
          sample: gpu_1x_h100_sxm5
        gpu_class:
          description: Class of its GPUs, from the name.
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
        regions:
          description: The regions that have room according to the API. A launch may be refused all the same.
          type: list
          elements: str
          sample: [us-west-3]
account_usd_per_hour:
  description: What all live instances of the account with a known price cost in US dollars an hour, whatever their tags.
  returned: success
  type: float
  sample: 4.29
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import api
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import model as cloud
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda.module import account_of, argument_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    account = account_of(module)
    try:
        instances, types = account.instances(), account.instance_types()
    except api.ApiError as error:
        module.fail_json(msg=str(error))
    total, _unknown = cloud.account_usd_per_hour(
        instances, {name: kind["usd_per_hour"] for name, kind in types.items()}
    )
    wanted = [entry for entry in instances if cloud.has_tags(entry, module.params["tags"])]
    module.exit_json(changed=False, instances=wanted, instance_types=types, account_usd_per_hour=total)


if __name__ == "__main__":
    main()
