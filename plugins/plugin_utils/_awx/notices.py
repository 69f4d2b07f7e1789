# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notifications: the fields of each type, and messages that carry the report's digest. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

_REQUIRED = object()
_SECRET = "password"
# Type -> field -> the type that AWX demands, and the default that it fills in where there is one.
TYPES: dict[str, dict[str, tuple[str, Any]]] = {
    "awssns": {
        "aws_region": ("text", ""),
        "aws_access_key_id": ("text", ""),
        "aws_secret_access_key": (_SECRET, ""),
        "aws_session_token": (_SECRET, ""),
        "sns_topic_arn": ("text", ""),
    },
    "email": {
        **dict.fromkeys(("host", "username", "sender"), ("text", _REQUIRED)),
        **dict.fromkeys(("use_tls", "use_ssl"), ("yes or no", _REQUIRED)),
        "port": ("a number", _REQUIRED),
        "password": (_SECRET, _REQUIRED),
        "recipients": ("a list", _REQUIRED),
        "timeout": ("a number", 30),
    },
    "grafana": {"grafana_url": ("text", _REQUIRED), "grafana_key": (_SECRET, _REQUIRED)},
    "irc": {
        **dict.fromkeys(("server", "nickname"), ("text", _REQUIRED)),
        "port": ("a number", _REQUIRED),
        "password": (_SECRET, _REQUIRED),
        "use_ssl": ("yes or no", _REQUIRED),
        "targets": ("a list", _REQUIRED),
    },
    "mattermost": {"mattermost_url": ("text", _REQUIRED), "mattermost_no_verify_ssl": ("yes or no", _REQUIRED)},
    "pagerduty": {
        **dict.fromkeys(("subdomain", "service_key", "client_name"), ("text", _REQUIRED)),
        "token": (_SECRET, _REQUIRED),
    },
    "rocketchat": {"rocketchat_url": ("text", _REQUIRED), "rocketchat_no_verify_ssl": ("yes or no", _REQUIRED)},
    "slack": {"token": (_SECRET, _REQUIRED), "channels": ("a list", _REQUIRED)},
    "twilio": {
        **dict.fromkeys(("account_sid", "from_number"), ("text", _REQUIRED)),
        "account_token": (_SECRET, _REQUIRED),
        "to_numbers": ("a list", _REQUIRED),
    },
    "webhook": {
        "url": ("text", _REQUIRED),
        "http_method": ("text", "POST"),
        "disable_ssl_verification": ("yes or no", False),
        "username": ("text", ""),
        "password": (_SECRET, ""),
        "headers": ("a dictionary", {}),  # AWX knows no default for it and refuses a webhook without
    },
}
_PYTHON = {"text": str, _SECRET: str, "a number": int, "yes or no": bool, "a list": list, "a dictionary": dict}


def completed(kind: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with every field that AWX would fill in, so that the next run sees no difference."""
    fields = TYPES.get(kind, {})
    filled = {name: default for name, (_type, default) in fields.items() if default is not _REQUIRED}
    return {**filled, **configuration}


def problems(kind: str, configuration: Mapping[str, Any]) -> list[Problem]:
    """What AWX would refuse of a notification, without a value of it: it may be a secret."""
    if not kind:
        return []
    if kind not in TYPES:
        return [Problem(f"awx_setup_notification_type is {kind}", f"one of {', '.join(TYPES)}", "correct it")]
    filled = completed(kind, configuration)
    where = "awx_setup_notification_configuration"
    found = [
        Problem(f"{where} has no {name}", f"{type_} there, for {kind}", f"add {name} to it")
        for name, (type_, _default) in TYPES[kind].items()
        if name not in filled
    ]
    found += [
        Problem(f"{name} in {where} is not {type_}", type_, f"correct {name}")
        for name, (type_, _default) in TYPES[kind].items()
        if name in filled and not _is(filled[name], _PYTHON[type_])
    ]
    if kind == "webhook" and str(filled.get("http_method")).upper() not in ("POST", "PUT"):
        found.append(Problem(f"http_method in {where} is no method of a webhook", "POST or PUT", "correct it"))
    return found


def _is(value: Any, wanted: type) -> bool:
    """As AWX judges: yes and no are no numbers."""
    return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))


def secrets(kind: str) -> set[str]:
    """The fields that AWX never shows."""
    return {name for name, (type_, _default) in TYPES.get(kind, {}).items() if type_ == _SECRET}


# AWX renders these with the job, of which `artifacts` is a part: the digest that the report leaves there. A workflow has no `artifacts`,
# and a message that cannot be rendered is sent empty. AWX also renders them when they are stored, and refuses those that fail then.
_LEFT = "{% set left = job.artifacts | default({}) %}{% set r = left.llmfleet_report %}"
_PLACES = "{% for place in (left.llmfleet_report_uploaded | default({})).values() %}"
_HEAD = "{{ job.name }} {{ job.status }}: {{ url }}"
_LINE = (
    _HEAD + _LEFT + "{% if r is defined %}"
    " | {{ r.totals.ok }} of {{ r.totals.hosts }} hosts with a valid result, {{ r.counts.regressions }} regressions"
    "{% for p in r.problems[:10] %}{{ ' | ' }}{{ p.host }}: {{ p.status }}{% endfor %}"
    + _PLACES
    + " | {{ place }}{% endfor %}{% endif %}"
)
_TABLE = (
    _HEAD + _LEFT + "\n{% if r is defined %}"
    "Hosts with a valid result: {{ r.totals.ok }} of {{ r.totals.hosts }}\n"
    "{% for g in r.groups %}{{ g.gpu }} x{{ g.gpu_count }}, {{ g.engine }}, {{ g.model }}, {{ g.workload_label }}: {{ g.hosts }} hosts"
    "{% for name, value in g.metrics.items() %}{% if value is not none %}, {{ name }} {{ value }}"
    "{% if g.verdicts.get(name) %} ({{ g.verdicts.get(name) }}){% endif %}{% endif %}{% endfor %}\n{% endfor %}"
    "{% for h in r.hosts %}{{ h.host }}: {{ h.status }}{% if h.output_throughput is not none %}, {{ h.output_throughput }} tok/s, "
    "measured until {{ h.finished_at }}{% endif %}\n{% endfor %}"
    "{% for p in r.problems %}{{ p.host }}: {{ p.status }}, {{ p.reason }}\n{% endfor %}"
    "{% for line in r.regressions %}regression: {{ line }}\n{% endfor %}"
    + _PLACES
    + "{{ place }}\n{% endfor %}{% endif %}"
)
_DOCUMENT = (
    _LEFT
    + '{"job": {{ job.id }}, "name": {{ job.name | tojson }}, "status": {{ job.status | tojson }}, "url": {{ url | tojson }}, '
    '"report": {{ r | default({}) | tojson }}, "uploaded": {{ left.llmfleet_report_uploaded | default({}) | tojson }}}'
)


def messages(kind: str) -> dict[str, Any]:
    """What is sent when a job starts to matter: at its success and its failure."""
    message = {"message": _LINE, "body": _DOCUMENT if kind == "webhook" else _TABLE}
    return {"success": message, "error": message}
