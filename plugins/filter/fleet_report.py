# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `fleet_report`: hostvars in, the report of the fleet out."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_report
version_added: 0.1.0
short_description: Make the report of a fleet from the facts of its hosts
description:
  - Reads the facts C(llmfleet_server) and C(llmfleet_benchmark) of each host, whether they come from this run, from a
    fact cache, or from the host's own files (as local facts), and returns the report as one dictionary.
  - Every host named in O(hosts) has a row; one without a result has a status and a reason.
  - Works on the controller alone, and starts nothing.
positional: _input
options:
  _input:
    description: C(hostvars), or a dictionary of the same shape.
    type: dict
    required: true
  hosts:
    description: The hosts to report.
    type: list
    elements: str
    required: true
  play_hosts:
    description: C(ansible_play_hosts_all), to recognise a host that was not part of the run.
    type: list
    elements: str
    default: []
  alive_hosts:
    description: C(ansible_play_hosts), to recognise a host that failed in this play.
    type: list
    elements: str
    default: []
  this_run_only:
    description: Count only the results of hosts that took part in this play to its end.
    type: bool
    default: false
  fleet_run:
    description: Count only the results of this run over the fleet, as bench_serve's option names it; empty for those of any.
    type: str
    default: ""
  max_age_s:
    description: Count only the results that ended at most so many seconds before O(generated_at); 0 for no limit.
    type: float
    default: 0.0
  published_figures:
    description: Documents with published figures, as in C(roles/report/files/published).
    type: list
    elements: dict
    default: []
  model_names:
    description:
      - For a model that is served from a folder, the published model that the folder holds, by the folder. Without it the figures of
        such a model are not compared, for nothing else says what the folder holds.
    type: dict
    default: {}
  gpu_profiles:
    description:
      - Profiles by GPU class, as P(llmfleet.serving.gpu_profiles#filter) reads them, for hosts without C(gpu_profile).
    type: dict
    default: {}
  hourly_price:
    description: Price of one GPU for one hour, by GPU class (C(h100), C(b200) ...).
    type: dict
    default: {}
  currency:
    description: Currency of O(hourly_price).
    type: str
    default: USD
  outlier_limit:
    description: How many robust standard deviations from the median of its group make a host an outlier.
    type: float
    default: 5.0
  generated_at:
    description: Time of the report (ISO 8601, UTC); now when omitted.
    type: str
author:
  - The llmfleet authors (@llmfleet)
"""

EXAMPLES = r"""
- name: Print the median output throughput of each group of hosts
  ansible.builtin.debug:
    msg: "{{ item.gpu }} {{ item.engine }}: {{ item.metrics.output_throughput.median }} tok/s"
  loop: "{{ (hostvars | llmfleet.serving.fleet_report(hosts=groups['inference'])).groups }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - The report; its keys are those of C(report.json), described in C(roles/report/files/report.schema.json).
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._knobs import coerced
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import aggregate, published

_COERCED = {
    "this_run_only": {"type": "bool"},
    "fleet_run": {"type": "str"},
    "max_age_s": {"type": "float"},
    "outlier_limit": {"type": "float"},
    "hourly_price": {"type": "dict"},
    "model_names": {"type": "dict"},
    "currency": {"type": "str"},
}


def fleet_report(hostvars: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if not isinstance(hostvars, Mapping):
        raise AnsibleFilterError(f"fleet_report takes hostvars, not {type(hostvars).__name__}")
    try:
        options = coerced(options, _COERCED)
        published.refuse_odd(options.get("published_figures", []))
    except UserError as error:
        raise AnsibleFilterError(f"fleet_report: {error}") from None
    unknown = [host for host in _hosts(options) if host not in hostvars]
    if unknown:
        raise AnsibleFilterError(f"fleet_report: not in the inventory: {', '.join(map(str, unknown))}")
    options["generated_at"] = options.get("generated_at") or now()
    options["hourly_price"] = _prices(options.get("hourly_price") or {})
    return aggregate.fleet_report(hostvars, **options)


def now() -> str:
    """The present as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hosts(options: dict[str, Any]) -> Sequence[Any]:
    hosts = options.get("hosts")
    if not isinstance(hosts, list):
        raise AnsibleFilterError("fleet_report needs hosts, the list of the hosts to report")
    return hosts


def _prices(prices: dict[str, Any]) -> dict[str, float]:
    try:
        return {gpu: float(price) for gpu, price in prices.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"hourly_price takes a number for each GPU class, not {prices!r}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> function."""
        return {"fleet_report": fleet_report}
