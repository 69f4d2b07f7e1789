#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report_upload
version_added: 0.1.0
short_description: Upload the files of a report
description:
  - Sends files of a report by HTTP PUT, to presigned URLs of any S3-compatible store or to a plain web server.
  - A fault that may pass (no connection, HTTP 408, 429, 500, 502, 503, 504) is tried again, with growing pauses.
  - Runs on the controller, whatever the host. Query strings of URLs, where signatures stand, are never shown.
requirements:
  - requests
options:
  directory:
    description: Folder of the report.
    type: path
    required: true
  urls:
    description:
      - The URL of each file to send, by file name.
      - C({run}) in a URL becomes the name of the report's folder.
    type: dict
    required: true
  headers:
    description: HTTP headers of the requests, for example an authorization.
    type: dict
    default: {}
  retries:
    description: How often a passing fault is tried again.
    type: int
    default: 4
  timeout:
    description:
      - Longest time for one attempt in seconds, from the connecting to the end of the answer. A file of many megabytes has more, as much as
        a line of 64 KiB a second needs for it.
    type: float
    default: 30.0
extends_documentation_fragment:
  - llmfleet.serving.attributes.controller
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: In check mode nothing is sent.
    support: full
author:
  - The llmfleet authors (@llmfleet)
"""

EXAMPLES = r"""
- name: Upload the HTML report and the data
  llmfleet.serving.report_upload:
    directory: reports/latest
    urls:
      report.html: https://store.example/benchmarks/{run}/report.html?signature=...
      report.json: https://store.example/benchmarks/{run}/report.json?signature=...
  run_once: true
"""

RETURN = r"""
uploaded:
  description: Where each file went, without query strings, by file name.
  type: dict
  returned: success
  sample: {report.html: https://store.example/benchmarks/20261122T120000Z/report.html}
"""
