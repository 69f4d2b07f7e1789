#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report_write
version_added: 0.1.0
short_description: Write a benchmark report on the controller
description:
  - Compares a report made by the P(llmfleet.serving.fleet_report#filter) filter with earlier runs, renders it, and writes
    its forms to a new folder named after the report's time; C(latest) beside it then points to that folder.
  - The folder appears complete or not at all.
  - A run with a new measurement is added to the history, a file of one JSON document per line.
  - Runs on the controller, whatever the host.
requirements:
  - jmespath (for O(query))
options:
  report:
    description: The report, as P(llmfleet.serving.fleet_report#filter) returns it.
    type: dict
    required: true
  directory:
    description: Folder on the controller that holds the reports; made when it is missing.
    type: path
    required: true
  forms:
    description: What to write.
    type: list
    elements: str
    choices: [json, csv, html, markdown, text]
    default: [json, csv, html, markdown, text]
  history_file:
    description: The history; C(history.jsonl) in O(directory) when omitted.
    type: path
  label:
    description: A name for this run in the history.
    type: str
  baseline:
    description: Run to compare with beside the previous run, by its label or by the name of its folder.
    type: str
  regression_threshold:
    description: A smaller relative change of the output throughput than this is called unchanged.
    type: float
    default: 0.01
  query:
    description: JMESPath expression over the report.
    type: str
extends_documentation_fragment:
  - llmfleet.serving.attributes.controller
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: In check mode the report is rendered, and nothing is written.
    support: full
author:
  - The llmfleet authors (@llmfleet)
"""

EXAMPLES = r"""
- name: Write the report of all serving hosts
  llmfleet.serving.report_write:
    report: "{{ hostvars | llmfleet.serving.fleet_report(hosts=groups['inference']) }}"
    directory: "{{ 'reports' | ansible.builtin.realpath }}"
  run_once: true
"""

RETURN = r"""
directory:
  description: Folder of this report; null in check mode, and where it could not be written.
  type: str
  returned: success
  sample: /srv/fleet/reports/20261122T120000Z
files:
  description: SHA-256 of each file, by file name.
  type: dict
  returned: success
  sample: {report.md: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
digest:
  description: Totals, medians, verdicts, outliers and problems, at most 16 KiB as JSON.
  type: dict
  returned: success
answer:
  description: The result of O(query); null when it selects nothing.
  type: raw
  returned: success
regressions:
  description: Each regression in one line; against the baseline alone where O(baseline) is given.
  type: list
  elements: str
  returned: success
faults:
  description:
    - What could not be done (a baseline that is unknown, a query that cannot be read, a folder that cannot be written).
    - The task itself does not fail on them, so that the rest of the report is not lost.
  type: list
  elements: str
  returned: success
problems:
  description: Status and reason of each host without a valid result, by host name.
  type: dict
  returned: success
text:
  description: The tables for a terminal, and where the report is.
  type: str
  returned: success
"""
