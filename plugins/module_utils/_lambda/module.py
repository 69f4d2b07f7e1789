# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules for Lambda Cloud share: the options of the documentation fragment, and the account they lead to."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from . import api
from . import model as cloud


def argument_spec() -> dict[str, Any]:
    """The options by which a module reaches the API."""
    return {
        "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["LAMBDA_API_KEY"])},
        "api_key_file": {"type": "path", "no_log": False},
        "api_url": {"type": "str", "default": cloud.API_URL},
        "request_timeout_s": {"type": "float", "default": 30},
    }


def account_of(module: AnsibleModule) -> api.LambdaApi:
    """The account that a module's options lead to, its key kept out of all output; fails the module without requests or a key."""
    if api.REQUESTS_ERROR:
        module.fail_json(msg=missing_required_lib("requests"), exception=api.REQUESTS_ERROR)
    try:
        key = api.read_key(module.params["api_key"], module.params["api_key_file"])
    except api.ApiError as error:
        module.fail_json(msg=str(error))
    module.no_log_values.add(key)
    return api.LambdaApi(module.params["api_url"], key, module.params["request_timeout_s"])
