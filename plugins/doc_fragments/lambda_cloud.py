# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options by which every plugin for Lambda Cloud reaches the API."""

from __future__ import annotations


class ModuleDocFragment:
    """What all share, and in two forms what modules and other plugins describe differently."""

    DOCUMENTATION = r"""
requirements:
  - requests
options:
  request_timeout_s:
    description: Longest time for one answer in seconds. Requests answered with 429 or 5xx are sent again, after the time in C(Retry-After).
    type: float
    default: 30
"""

    # Modules read the environment by their argument_spec: plugins.module_utils._lambda.module.
    MODULE = r"""
notes:
  - Runs where the API can be reached, so usually on the controller with C(delegate_to=localhost).
options:
  api_key:
    description: The API key. The environment variable E(LAMBDA_API_KEY) or O(api_key_file) is safer.
    type: str
  api_key_file:
    description: File that holds the API key.
    type: path
  api_url:
    description: Where the API is.
    type: str
    default: https://cloud.lambda.ai/api/v1
"""

    PLUGIN = r"""
options:
  api_key:
    description: The API key. The environment or O(api_key_file) is safer.
    type: str
    env:
      - name: LAMBDA_API_KEY
  api_key_file:
    description: File that holds the API key.
    type: path
    env:
      - name: LAMBDA_API_KEY_FILE
  api_url:
    description: Where the API is.
    type: str
    default: https://cloud.lambda.ai/api/v1
    env:
      - name: LAMBDA_API_URL
"""
