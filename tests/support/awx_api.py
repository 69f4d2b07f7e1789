# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the API of AWX 24.6.1, as strict as that: who may do what, what a sync has to bring first, which names are taken, what a
survey, an answer, a schedule and a notification must be, and how it refuses. It also says which jobs a launch would start, with which extra
variables. It runs none."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlparse

import yaml
from jinja2 import StrictUndefined, TemplateError, sandbox

TOKEN = "awx-token-0123456789"  # of a system administrator
ADMIN_TOKEN = "awx-token-of-ann-0123"  # of an administrator of one organisation
ENCRYPTED = "$encrypted$"
PLAYBOOKS = [
    f"playbooks/{name}.yml"
    for name in ["awx", "prepare", "keys", "begin", "deploy", "bench", "report", "rollback", "teardown"]
]
OFFLINE = "ERROR! Unknown error when attempting to call Galaxy at 'https://galaxy.example': <urlopen error [Errno -2]>"

TEXT, NUMBER, FLAG, DOCUMENT, ANY = (str,), (int,), (bool,), (str, dict), (object,)
ASKED = {f"ask_{name}_on_launch": FLAG for name in ("limit", "job_type", "variables", "job_slice_count", "inventory")}
NAMED = {"name": TEXT, "description": TEXT}
# Kind -> the fields that may be sent -> their types; a number is that of another object.
FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "organizations": {**NAMED},
    "credential_types": {**NAMED, "kind": TEXT, "inputs": (dict,), "injectors": (dict,)},
    "credentials": {**NAMED, "organization": NUMBER, "credential_type": NUMBER, "inputs": (dict,)},
    "notification_templates": {
        **NAMED,
        "organization": NUMBER,
        "notification_type": TEXT,
        "notification_configuration": (dict,),
        "messages": (dict,),
    },
    "execution_environments": {**NAMED, "organization": NUMBER, "image": TEXT, "pull": TEXT, "credential": NUMBER},
    "projects": {
        **NAMED,
        **dict.fromkeys(("scm_type", "scm_url", "scm_branch"), TEXT),
        **dict.fromkeys(("organization", "credential", "default_environment", "scm_update_cache_timeout"), NUMBER),
        "scm_update_on_launch": FLAG,
    },
    "inventories": {**NAMED, "organization": NUMBER, "variables": TEXT},
    "inventory_sources": {
        **NAMED,
        **dict.fromkeys(("source", "source_path"), TEXT),
        **dict.fromkeys(("inventory", "source_project", "execution_environment", "update_cache_timeout"), NUMBER),
        **dict.fromkeys(("overwrite", "update_on_launch"), FLAG),
    },
    "job_templates": {
        **NAMED,
        **dict.fromkeys(("job_type", "playbook", "extra_vars", "limit"), TEXT),
        **dict.fromkeys(
            ("project", "inventory", "execution_environment", "forks", "job_slice_count", "timeout"), NUMBER
        ),
        **dict.fromkeys(("use_fact_cache", "survey_enabled"), FLAG),
        **ASKED,
    },
    "workflow_job_templates": {
        **NAMED,
        **dict.fromkeys(("organization", "inventory"), NUMBER),
        "extra_vars": TEXT,
        "survey_enabled": FLAG,
        **ASKED,
    },
    "workflow_job_template_nodes": {
        "identifier": TEXT,
        "workflow_job_template": NUMBER,
        "unified_job_template": NUMBER,
        "extra_data": (dict,),
    },
    "workflow_approval_templates": {**NAMED, "timeout": NUMBER},
    "schedules": {
        **NAMED,
        "unified_job_template": NUMBER,
        "rrule": TEXT,
        "enabled": FLAG,
        "extra_data": (dict,),
    },
}
REQUIRED = {
    "organizations": {"name"},
    "credential_types": {"name", "kind"},
    "notification_templates": {"name", "organization", "notification_type", "notification_configuration"},
    "execution_environments": {"name", "image"},
    "projects": {"name", "organization"},
    "inventories": {"name", "organization"},
    "inventory_sources": {"name", "inventory"},
    "job_templates": {"name"},
    "workflow_job_templates": {"name"},
    "workflow_job_template_nodes": {"workflow_job_template"},
    "schedules": {"name", "unified_job_template", "rrule"},
}
# What makes a name the only one of its kind.
UNIQUE = {
    "organizations": ("name",),
    "credential_types": ("name", "kind"),
    "execution_environments": ("name",),
    "inventory_sources": ("name", "inventory"),
    "workflow_job_template_nodes": ("identifier", "workflow_job_template"),
    "schedules": ("name", "unified_job_template"),
}
# Field -> the kind that it refers to.
REFERENCES = {
    "organization": "organizations",
    "inventory": "inventories",
    "project": "projects",
    "source_project": "projects",
    "execution_environment": "execution_environments",
    "default_environment": "execution_environments",
    "credential": "credentials",
    "workflow_job_template": "workflow_job_templates",
}
LAUNCHED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources", "workflow_approval_templates")
# Sub-list -> the kind of its members.
ASSOCIATIONS = {
    "galaxy_credentials": "credentials",
    "credentials": "credentials",
    **dict.fromkeys(("always_nodes", "success_nodes", "failure_nodes"), "workflow_job_template_nodes"),
    **{
        f"notification_templates_{name}": "notification_templates"
        for name in ("started", "success", "error", "approvals")
    },
}
# What AWX gives back for what was never set.
BLANKS: dict[str, dict[str, Any]] = {
    "projects": {"scm_type": "", "scm_url": "", "scm_branch": "", "status": "never updated", "credential": None},
    "inventories": {"variables": "", "kind": ""},
    "inventory_sources": {"source_path": "", "status": "never updated", "overwrite": False, "update_on_launch": False},
    "job_templates": {"extra_vars": "", "survey_enabled": False, "job_slice_count": 1, "limit": ""},
    "workflow_job_templates": {"extra_vars": "", "survey_enabled": False},
    "workflow_job_template_nodes": {"unified_job_template": None, "extra_data": {}},
    "schedules": {"enabled": True, "extra_data": {}},
    "execution_environments": {"organization": None, "pull": "", "managed": False},
    "notification_templates": {"messages": None},
    "credentials": {"organization": None},
}
WEBHOOK = {
    "url": (str,),
    "http_method": (str, "POST"),
    "disable_ssl_verification": (bool, False),
    "username": (str, ""),
    "password": (str, ""),
    "headers": (dict,),
}
INJECTED = re.compile(r"{{\s*([\w.]+)\s*}}")
QUESTION_TYPES = {
    **dict.fromkeys(("text", "textarea", "password", "multiplechoice", "multiselect"), str),
    "integer": int,
    "float": float,
}


DEFAULTS = Path(__file__).resolve().parents[2] / "roles" / "awx_setup" / "defaults" / "main.yml"
PARTS = ("message", "body")
NO_HOSTS = "ERROR! Specified inventory, host pattern and/or --limit leaves us with no hosts to target."
ASKS = {"extra_vars": "variables"}  # field of a launch -> what its switch names it
Perform = Callable[[str, list[dict]], tuple[str, dict]]


class Notified(NamedTuple):
    """A notification that was sent."""

    name: str
    status: str
    message: str
    body: str


class Refused(Exception):
    """A request that AWX answers with an error: its status and its words."""

    def __init__(self, document: Any, status: int = 400) -> None:
        super().__init__(str(document))
        self.document, self.status = document, status


FORBIDDEN = {"detail": "You do not have permission to perform this action."}


def awx_settings(**changes: Any) -> dict[str, Any]:
    """The settings of the set-up: the defaults of its role, for a prefix, but for `changes`."""
    text = DEFAULTS.read_text(encoding="utf-8").replace("{{ awx_setup_prefix }}", changes.get("prefix", "llmfleet"))
    return {**{name.removeprefix("awx_setup_"): value for name, value in yaml.safe_load(text).items()}, **changes}


# -- what AWX takes, each as its own words refuse it ------------------------------------------------------------------------


def survey_problem(survey: dict) -> str:
    """Why AWX does not take a survey; empty when it does."""
    for field, kind, label in (
        ("name", str, "string"),
        ("description", str, "string"),
        ("spec", list, "list of items"),
    ):
        if field not in survey:
            return f"Field '{field}' is missing from survey spec."
        if not isinstance(survey[field], kind):
            return f"Expected {label} for field '{field}', received {type(survey[field]).__name__} type."
    if not survey["spec"]:
        return "'spec' doesn't contain any items."
    seen = set()
    for number, question in enumerate(survey["spec"]):
        problem = question_problem(number, question)
        if problem:
            return problem
        if question["variable"] in seen:
            return f"'variable' '{question['variable']}' duplicated in survey question {number}."
        seen.add(question["variable"])
    return ""


def question_problem(number: int, question: dict) -> str:
    for field, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
        if field not in question:
            return f"'{field}' missing from survey question {number}"
        if not isinstance(question[field], kind):
            return f"'{field}' in survey question {number} expected to be {kind.__name__}."
    kind, default = question["type"], question.get("default", "")
    if kind not in QUESTION_TYPES:
        return (
            f"'{kind}' in survey question {number} is not one of '{', '.join(QUESTION_TYPES)}' allowed question types."
        )
    if default != "" and not isinstance(default, QUESTION_TYPES[kind]):
        return f"Default value {default} in survey question {number} expected to be {QUESTION_TYPES[kind].__name__}."
    for limit in ("min", "max"):
        if question.get(limit) is not None and not isinstance(question[limit], int):
            return f"The {limit} limit in survey question {number} expected to be integer."
    if kind.startswith("multi") and "choices" not in question:
        return f"Survey question {number} of type {kind} must specify choices."
    if kind.startswith("multi") and any(line not in question["choices"] for line in str(default).splitlines()):
        return "Default choice must be answered from the choices listed."
    return ""


def answer_problems(question: dict, answers: dict) -> list[str]:
    """Why AWX does not take an answer of a launch or a schedule. Defaults do not count."""
    name, kind = question["variable"], question["type"]
    if name not in answers:
        return [f"'{name}' value missing"] if question["required"] else []
    value = answers[name]
    if kind in ("text", "textarea", "password") and not isinstance(value, str):
        return [f"Value {value} for '{name}' expected to be a string."]
    if kind == "integer" and type(value) is not int:
        return [f"Value {value} for '{name}' expected to be an integer."]
    if kind == "float" and type(value) not in (float, int):
        return [f"Value {value} for '{name}' expected to be a numeric type."]
    choices = question.get("choices")
    choices = choices.splitlines() if isinstance(choices, str) else choices
    if kind == "multiplechoice" and value not in choices:
        return [f"Value {value} for '{name}' expected to be one of {choices}."]
    if kind == "multiselect":
        if type(value) is not list:
            return [f"'{name}' value is expected to be a list."]
        wrong = [entry for entry in value if entry not in choices]
        return [f"Value {entry} for '{name}' expected to be one of {choices}." for entry in wrong]
    return size_problems(question, value)


def size_problems(question: dict, value: Any) -> list[str]:
    """Why an answer is too small or too large: a number by itself, a text by its length."""
    if question["type"] == "multiplechoice":
        return []
    name, is_text = question["variable"], isinstance(value, str)
    size, length = (len(value), f"length is {len(value)} ") if is_text else (value, "")
    if question.get("min") not in ("", None) and size < question["min"]:
        return [f"'{name}' value {value} is too small ({length}must be at least {question['min']})."]
    if question.get("max") not in ("", None) and size > question["max"]:
        return [f"'{name}' value {value} is too large (must be no more than {question['max']})."]
    return []


def rrule_problems(text: str) -> list[str]:
    """Why AWX does not take a schedule's rule."""
    problems = []
    if not re.findall(r"DTSTART(?:;[^:]+)?:[0-9]+T[0-9]+Z?", text):
        problems.append("Valid DTSTART required in rrule. Value should start with: DTSTART:YYYYMMDDTHHMMSSZ")
    if re.findall(r"DTSTART:[0-9]+T[0-9]+ ", text):
        problems.append("DTSTART cannot be a naive datetime.  Specify ;TZINFO= or YYYYMMDDTHHMMSSZZ.")
    if "rrule:" not in text.lower():
        problems.append("One or more rule required in rrule.")
    for rule in re.findall(r"RULE:[^\s]*", text):
        if "interval" not in rule.lower():
            problems.append(f"INTERVAL required in rrule: {rule}")
        if not re.search(r"FREQ=(MINUTELY|HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)", rule):
            problems.append(f"rrule parsing failed validation: {rule}")
    return problems


def completed_webhook(configuration: dict) -> dict:
    """A webhook as AWX keeps it, with its defaults. Raises Refused."""
    kept = {name: default[0] for name, (_type, *default) in WEBHOOK.items() if default}
    kept.update(configuration)
    missing = [name for name in WEBHOOK if name not in kept]
    wrong = [name for name, (kind, *_default) in WEBHOOK.items() if name in kept and type(kept[name]) is not kind]
    problems = ["HTTP method must be either 'POST' or 'PUT'."] if kept["http_method"] not in ("POST", "PUT") else []
    problems += [f"Missing required fields for Notification Configuration: {missing}."] if missing else []
    names = {str: "string", bool: "bool", dict: "object"}
    problems += [f"Configuration field '{name}' incorrect type, expected {names[WEBHOOK[name][0]]}." for name in wrong]
    if problems:
        raise Refused({"__all__": problems})
    return {**kept, "password": ENCRYPTED if kept["password"] else ""}


def injectors_problem(fields: dict) -> str:
    """What AWX would not accept of a credential type; empty when it is right."""
    allowed = {field["id"] for field in fields.get("inputs", {}).get("fields", [])}
    if "file" in fields.get("injectors", {}):
        allowed.add("tower.filename")
    named = set(INJECTED.findall(json.dumps(fields.get("injectors", {}))))
    return f"{', '.join(sorted(named - allowed))} is undefined" if named - allowed else ""


def document(text: Any) -> dict:
    return (yaml.safe_load(text) or {}) if isinstance(text, str) else dict(text or {})


# -- the AWX --------------------------------------------------------------------------------------------------------------


class Awx:
    """The objects that AWX knows, and the requests it got."""

    def __init__(self, *, platform: bool = False, offline: bool = False) -> None:
        """`platform`: behind a gateway, which owns the organisations. `offline`: Galaxy is out of reach."""
        self.platform, self.offline = platform, offline
        self.prefix = "/api/controller/v2/" if platform else "/api/v2/"
        self.objects: dict[str, dict[int, dict]] = {
            name: {} for name in (*FIELDS, "project_updates", "inventory_updates", "jobs", "workflow_jobs")
        }
        self.related: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], dict] = {}
        self.requests: list[tuple[str, str, object]] = []
        self.notified: list[Notified] = []
        self.ailing: set[str] = set()  # the hosts on which jobs fail
        self.last_id = 0
        self.administered: set[int] = set()  # by the user of ADMIN_TOKEN
        self.playbooks = list(PLAYBOOKS)  # what the next sync of a project brings
        self.broken = ""  # why the next sync of a project fails
        self.files = {"inventory/hosts.yml": ["gpu-01", "gpu-02", "gpu-03"], "inventory/prod.yml": ["prod-01"]}
        self.hosts: dict[int, dict[int, list[str]]] = {}  # inventory -> source -> hosts
        machine = self.put("credential_types", {"name": "Machine", "kind": "ssh", "managed": True})["id"]
        galaxy = self.put("credential_types", {"name": "Galaxy", "kind": "galaxy", "managed": True})["id"]
        self.put("credentials", {"name": "Ansible Galaxy", "credential_type": galaxy})
        self.put("credentials", {"name": "fleet key", "credential_type": machine})

    def restore(self, state: dict) -> None:
        """Takes over the objects of an AWX that were kept as JSON."""
        self.objects = {
            kind: {int(n): entry for n, entry in entries.items()} for kind, entries in state["objects"].items()
        }
        self.related = {(kind, number, name): members for kind, number, name, members in state["related"]}
        self.surveys = {(kind, number): survey for kind, number, survey in state["surveys"]}
        self.last_id = state["last_id"]

    def writes(self) -> list[tuple[str, str]]:
        """The requests that would change something."""
        return [(method, path) for method, path, _body in self.requests if method != "GET"]

    def names(self, kind: str) -> list[str]:
        """The names of a kind."""
        return [entry["name"] for entry in self.objects[kind].values()]

    def named(self, kind: str, name: str) -> dict:
        """The one object of a name."""
        (entry,) = (
            entry for entry in self.objects[kind].values() if name in (entry.get("name"), entry.get("identifier"))
        )
        return entry

    def number(self, kind: str, place: str) -> int:
        """The number in an address: itself, or by `name++organisation`. Raises KeyError."""
        if place.isdigit():
            return int(place)
        name, _, organization = place.partition("++")
        owner = self.named("organizations", organization)["id"]
        return next(e["id"] for e in self.objects[kind].values() if (e["name"], e["organization"]) == (name, owner))

    def members(self, entry: dict, relation: str) -> list[str]:
        """The names in a list of an object."""
        numbers = self.related.get((entry["kind_"], entry["id"], relation), [])
        members = [self.objects[ASSOCIATIONS[relation]][number] for number in numbers]
        return [member.get("identifier") or member["name"] for member in members]

    def attach(self, kind: str, name: str, relation: str, member: int) -> None:
        """As somebody does by hand."""
        self.related.setdefault((kind, self.named(kind, name)["id"], relation), []).append(member)

    def put(self, kind: str, fields: dict) -> dict:
        """Adds an object, unasked."""
        self.last_id += 1
        entry = {
            "description": "",
            **BLANKS.get(kind, {}),
            "id": self.last_id,
            "kind_": kind,
            "url": f"{self.prefix}{kind}/{self.last_id}/",
            "summary_fields": {},
            **fields,
        }
        self.objects[kind][self.last_id] = entry
        return entry

    # -- reading

    def find(self, kind: str, query: dict[str, str]) -> list[dict]:
        """The objects that a list request selects."""
        unknown = {name.partition("__")[0] for name in query} - {*FIELDS.get(kind, {}), "id", "name", "organization"}
        if unknown:
            raise Refused({"detail": f"{kind} has no field named '{sorted(unknown)[0]}'"})
        return [entry for entry in self.objects[kind].values() if all(fits(entry, *part) for part in query.items())]

    def visible(self, entry: dict, superuser: bool) -> bool:
        """Whether a user sees an object: credentials of another organisation, of a person or of nobody are hidden."""
        return superuser or entry["kind_"] != "credentials" or entry["organization"] in self.administered

    def shown(self, entry: dict, superuser: bool) -> dict:
        """An object as AWX gives it, with what refers to what and who may do what."""
        summary = dict(entry["summary_fields"])
        if entry["kind_"] == "workflow_job_template_nodes":
            there = self.objects["workflow_approval_templates"].get(entry["unified_job_template"])
            if there:
                summary["unified_job_template"] = {**there, "unified_job_type": "workflow_approval"}
        owner = entry["id"] if entry["kind_"] == "organizations" else entry.get("organization")
        if entry.get("organization") in self.objects["organizations"]:
            summary["organization"] = self.objects["organizations"][entry["organization"]]
        may = superuser or owner in self.administered or (owner is None and entry["kind_"] == "credentials")
        summary["user_capabilities"] = {"edit": may, "delete": may, "use": may}
        whole = {**entry, "type": type_of(entry), "summary_fields": summary}
        return {key: value for key, value in whole.items() if key not in ("kind_", "polls")}

    # -- writing

    def allow(self, kind: str, fields: dict, existing: dict | None, superuser: bool) -> None:
        """Raises Refused where the user may not do it."""
        if self.platform and kind == "organizations" and not (existing and set(fields) <= {"id"}):
            raise Refused({"detail": "Creation of organizations is only possible via the platform ingress."}, 403)
        if superuser:
            return
        if kind == "organizations" and existing is None:
            raise Refused(FORBIDDEN, 403)
        if kind == "credential_types":
            raise Refused(FORBIDDEN, 403)
        if self.owner(kind, {**(existing or {}), **fields}) not in self.administered:
            raise Refused(FORBIDDEN, 403)

    def owner(self, kind: str, fields: dict) -> int | None:
        """The organisation of an object."""
        if kind == "organizations":
            return fields.get("id")
        if fields.get("organization"):
            return fields["organization"]
        for name, over in (
            ("inventory", "inventories"),
            ("workflow_job_template", "workflow_job_templates"),
            ("project", "projects"),
        ):
            if name in fields and fields[name] in self.objects[over]:
                return self.owner(over, self.objects[over][fields[name]])
        template = fields.get("unified_job_template")
        over = next((name for name in LAUNCHED if template in self.objects[name]), None)
        return self.owner(over, self.objects[over][template]) if over else None

    def check(self, kind: str, fields: dict, existing: dict | None) -> None:
        """Raises Refused for fields that AWX does not have, types that it does not take, references to nothing, names that are taken."""
        for name, value in fields.items():
            kinds = FIELDS[kind].get(name)
            if kinds is None or (
                existing and name in ("inventory", "workflow_job_template") and kind.endswith(("sources", "nodes"))
            ):
                raise Refused({name: [f"{kind} has no such field to write"]})
            if value is not None and (not isinstance(value, kinds) or (kinds is NUMBER and isinstance(value, bool))):
                raise Refused({name: ["Not a valid value."]})
            if name in REFERENCES and value is not None and value not in self.objects[REFERENCES[name]]:
                raise Refused({name: [f'Invalid pk "{value}" - object does not exist.']})
        lacking = REQUIRED.get(kind, set()) - set({**(existing or {}), **fields})
        if lacking:
            raise Refused({name: ["This field is required."] for name in sorted(lacking)})
        whole = {**(existing or {}), **fields}
        if kind == "job_templates":
            whole["organization"] = self.objects["projects"].get(whole.get("project"), {}).get("organization")
        key = UNIQUE.get(kind, ("name", "organization"))
        for other in self.objects[kind].values() if kind != "workflow_approval_templates" else []:
            if other is not existing and all(other.get(part) == whole.get(part) for part in key):
                raise Refused({"__all__": [f"{kind} with this ({', '.join(key)}) combination already exists."]})

    def settle(self, kind: str, fields: dict, existing: dict | None) -> dict:
        """The fields as AWX keeps them. Raises Refused for values that it does not take."""
        whole = {**(existing or {}), **fields}
        if kind == "credential_types" and injectors_problem(whole):
            raise Refused({"injectors": [injectors_problem(whole)]})
        if kind == "notification_templates" and "notification_configuration" in fields:
            if whole["notification_type"] == "webhook":
                fields = {
                    **fields,
                    "notification_configuration": completed_webhook(fields["notification_configuration"]),
                }
            for event in fields.get("messages") or {}:
                self.message(fields["messages"][event])
        if kind == "job_templates":
            self.settle_template(whole)
            fields = {**fields, "organization": self.objects["projects"][whole["project"]]["organization"]}
        if kind == "inventory_sources" and whole.get("source") == "scm" and not whole.get("source_project"):
            raise Refused({"source_project": ["Project required for scm type sources."]})
        if kind == "schedules":
            self.settle_schedule(whole, fields)
        owner = existing and existing.get("organization")
        if kind == "execution_environments" and existing and whole.get("organization") not in (None, owner):
            raise Refused({"organization": ["Cannot change the organization of an execution environment"]})
        if kind == "execution_environments" and whole.get("pull", "") not in ("", "always", "missing", "never"):
            raise Refused({"pull": [f'"{whole.get("pull")}" is not a valid choice.']})
        return fields

    def settle_template(self, whole: dict) -> None:
        project = self.objects["projects"].get(whole.get("project"))
        if not project:
            raise Refused({"project": ["This field is required."]})
        if not whole.get("playbook"):
            raise Refused({"playbook": ["Must select playbook for project."]})
        if whole["playbook"] not in project.get("playbook_files", []):
            raise Refused({"playbook": ["Playbook not found for project."]})
        if not whole.get("inventory"):
            raise Refused({"inventory": ["You must either set a default value or ask to prompt on launch."]})
        if not isinstance(document(whole.get("extra_vars")), dict):
            raise Refused({"extra_vars": ["Input type `str` is not a dictionary"]})

    def settle_schedule(self, whole: dict, fields: dict) -> None:
        problems = rrule_problems(whole["rrule"])
        if problems:
            raise Refused({"rrule": problems})
        if fields != {"enabled": False}:
            self.answered(whole["unified_job_template"], whole.get("extra_data") or {})

    def message(self, messages: dict) -> None:
        """Renders a notification's messages as AWX does when it stores them: with a job that has no artifacts."""
        environment = sandbox.ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        for name, text in messages.items():
            if name == "message" and "\n" in text:
                raise Refused({"messages": ["Messages cannot contain newlines (found newline in success event)"]})
            job = {"id": 42, "name": "Stub JobTemplate", "status": "running", "artifacts": {}}
            try:
                environment.from_string(text).render(job=job, url="https://platformhost/#/jobs/playbook/1010")
            except TemplateError as error:
                raise Refused({"messages": [f"Field '{error}' unavailable"]}) from error

    def create(self, kind: str, fields: dict, superuser: bool) -> dict:
        """POST to a list."""
        self.allow(kind, fields, None, superuser)
        self.check(kind, fields, None)
        entry = self.put(kind, self.settle(kind, fields, None))
        if kind == "projects" and entry["scm_type"]:
            self.update("projects", entry["id"])
        return entry

    def change(self, kind: str, number: int, fields: dict, superuser: bool) -> dict:
        """PATCH of an object."""
        entry = self.objects[kind][number]
        self.allow(kind, fields, entry, superuser)
        self.check(kind, fields, entry)
        entry.update(self.settle(kind, fields, entry))
        return entry

    def remove(self, kind: str, number: int) -> None:
        """DELETE of an object, and of what cannot be without it; what merely refers to it refers to nothing."""
        gone = self.objects[kind].pop(number)
        bound = {
            "inventories": [("inventory_sources", "inventory")],
            "workflow_job_templates": [
                ("workflow_job_template_nodes", "workflow_job_template"),
                ("schedules", "unified_job_template"),
            ],
            "job_templates": [("schedules", "unified_job_template")],
            "organizations": [(name, "organization") for name in ("projects", "inventories", "notification_templates")],
        }.get(kind, [])
        for other, field in bound:
            for entry in [entry for entry in self.objects[other].values() if entry.get(field) == number]:
                self.remove(other, entry["id"])
        for entries in self.objects.values():
            for entry in entries.values():
                entry.update(
                    {field: None for field, over in REFERENCES.items() if over == kind and entry.get(field) == number}
                )
                if kind in LAUNCHED and entry.get("unified_job_template") == number:
                    entry["unified_job_template"] = None
        for (owner, owner_id, relation), members in list(self.related.items()):
            if owner == kind and owner_id == number:
                del self.related[owner, owner_id, relation]
            elif ASSOCIATIONS[relation] == kind and number in members:
                members.remove(number)
        if kind == "workflow_job_template_nodes":
            self.objects["workflow_approval_templates"].pop(gone["unified_job_template"], None)
        if kind == "inventory_sources":  # its hosts stay behind, of no source
            hosts = self.hosts.get(gone["inventory"], {})
            hosts.setdefault(0, []).extend(hosts.pop(number, []))

    def associate(self, kind: str, number: int, relation: str, body: dict) -> None:
        """POST to a sub-list."""
        member = self.objects[ASSOCIATIONS[relation]].get(body["id"])
        if member is None:
            raise Refused({"msg": f"{relation}: {body['id']} does not exist"})
        members = self.related.setdefault((kind, number, relation), [])
        if body.get("disassociate"):
            members.remove(body["id"])
            return
        kinds = self.objects["credential_types"]
        if relation == "galaxy_credentials" and kinds[member["credential_type"]]["kind"] != "galaxy":
            raise Refused(
                {"msg": f"Credential must be a Galaxy credential, not {kinds[member['credential_type']]['name']}."}
            )
        if relation == "credentials":
            twins = [self.objects["credentials"][other] for other in members]
            if any(twin["credential_type"] == member["credential_type"] for twin in twins):
                raise Refused(
                    {"error": f"Cannot assign multiple {kinds[member['credential_type']]['name']} credentials."}
                )
        members.append(body["id"])

    def approval(self, number: int, body: dict) -> dict:
        """POST to create_approval_template of a node."""
        node = self.objects["workflow_job_template_nodes"][number]
        if node["unified_job_template"]:
            raise Refused({"msg": "The node has a template already."})
        self.check("workflow_approval_templates", body, None)
        made = self.put("workflow_approval_templates", body)
        node["unified_job_template"] = made["id"]
        return made

    # -- syncs

    def update(self, kind: str, number: int) -> dict:
        """POST to update of a project or a source: a job that ends after it was looked at twice."""
        entry = self.objects[kind][number]
        jobs = "project_updates" if kind == "projects" else "inventory_updates"
        job = self.put(
            jobs, {"status": "pending", "of": (kind, number), "polls": 2, "job_explanation": "", "result_traceback": ""}
        )
        entry["status"] = "pending"
        entry["polls"] = 2
        entry["update"] = job["id"]
        return {"id": job["id"], jobs.rstrip("s"): job["id"]}

    def look(self, entry: dict) -> None:
        """Lets time pass for a sync."""
        if entry.get("polls"):
            entry["polls"] -= 1
            if not entry["polls"]:
                job = entry if "of" in entry else self.objects[self.jobs_of(entry)].get(entry["update"], {})
                if job.get("status") == "pending":
                    self.finish(job)

    @staticmethod
    def jobs_of(entry: dict) -> str:
        return "project_updates" if entry["kind_"] == "projects" else "inventory_updates"

    def finish(self, job: dict) -> None:
        kind, number = job["of"]
        entry = self.objects[kind].get(number)
        if entry is None:
            return
        fault = self.project_fault(entry) if kind == "projects" else self.source_fault(entry)
        job["status"] = entry["status"] = "failed" if fault else "successful"
        job["stdout"] = fault
        job["polls"] = entry["polls"] = 0
        if kind == "projects" and not fault:
            entry["playbook_files"] = list(self.playbooks)
        if kind == "inventory_sources" and not fault:
            self.hosts.setdefault(entry["inventory"], {})[number] = list(self.files[entry["source_path"]])

    def project_fault(self, project: dict) -> str:
        galaxy = self.related.get(("organizations", project["organization"], "galaxy_credentials"), [])
        return OFFLINE if self.offline and galaxy else self.broken

    def source_fault(self, source: dict) -> str:
        return "" if source["source_path"] in self.files else f"{source['source_path']} does not exist"

    def hosts_of(self, inventory: int) -> list[str]:
        """The hosts that an inventory knows now."""
        return sorted({name for names in self.hosts.get(inventory, {}).values() for name in names})

    # -- launches

    def answered(self, template: int, answers: dict, *, launch: bool = False) -> None:
        """Raises Refused where a launch or a schedule does not answer the survey of its template. A launch ignores what it may not set."""
        kind = next((name for name in LAUNCHED if template in self.objects[name]), None)
        if kind is None:
            raise Refused({"unified_job_template": [f'Invalid pk "{template}" - object does not exist.']})
        entry = self.objects[kind][template]
        spec = self.surveys.get((kind, template), {}).get("spec", []) if entry.get("survey_enabled") else []
        problems = [problem for question in spec for problem in answer_problems(question, answers)]
        if problems:
            raise Refused({"variables_needed_to_start": problems})
        others = set(answers) - {question["variable"] for question in spec}
        if others and not launch and not entry.get("ask_variables_on_launch"):
            raise Refused({"extra_vars": [f"Variables {', '.join(sorted(others))} are not allowed on launch."]})

    def accepted(self, kind: str, template: int, answers: dict) -> dict:
        """Those extra variables of a launch that its template lets it set."""
        entry = self.objects[kind][template]
        spec = self.surveys.get((kind, template), {}).get("spec", []) if entry.get("survey_enabled") else []
        asked = {question["variable"] for question in spec}
        return {name: value for name, value in answers.items() if name in asked or entry.get("ask_variables_on_launch")}

    def extra_vars(self, kind: str, template: int, answers: dict) -> dict:
        """What a job gets: the template's own, the defaults of the survey that AWX takes, the answers."""
        entry = self.objects[kind][template]
        spec = self.surveys.get((kind, template), {}).get("spec", []) if entry.get("survey_enabled") else []
        defaults = {
            question["variable"]: question["default"]
            for question in spec
            if question.get("default") is not None
            and not answer_problems(question, {question["variable"]: question["default"]})
        }
        return {**document(entry.get("extra_vars")), **defaults, **answers}

    def launch(self, template: int, body: dict) -> list[dict]:
        """The jobs of one launch of a job template: one for each slice."""
        entry = self.objects["job_templates"][template]
        answers = document(body.get("extra_vars"))
        self.answered(template, answers, launch=True)
        asked = {field: body[field] for field in body if entry.get(f"ask_{ASKS.get(field, field)}_on_launch")}
        given = {
            **asked,
            "extra_vars": self.extra_vars("job_templates", template, self.accepted("job_templates", template, answers)),
        }
        return [self.finish_job(job) for job in self.started(template, given)]

    def started(self, template: int, given: dict, within: int | None = None) -> list[dict]:
        """The jobs that a launch or a step of a workflow starts. Those of slices are jobs of a workflow of their own."""
        entry = self.objects["job_templates"][template]
        known = self.hosts_of(entry["inventory"])  # as they are before the sources sync for this launch
        count = max(1, min(given.get("job_slice_count", entry["job_slice_count"]), len(known)))
        for source in list(self.objects["inventory_sources"].values()):
            if source["inventory"] == entry["inventory"] and source["update_on_launch"]:
                self.finish({**self.put("inventory_updates", {}), "of": ("inventory_sources", source["id"])})
        if count > 1:
            fields = {"name": entry["name"], "is_sliced_job": True, "job_template": template, "status": "pending"}
            within = self.put("workflow_jobs", fields)["id"]
        return [
            self.put(
                "jobs",
                {
                    **{
                        "name": entry["name"],
                        "job_template": template,
                        "playbook": entry["playbook"],
                        "status": "pending",
                    },
                    **{"limit": given.get("limit", ""), "extra_vars": given["extra_vars"], "workflow_job": within},
                    **{"job_slice_number": number if count > 1 else 0, "job_slice_count": count},
                },
            )
            for number in range(1, count + 1)
        ]

    def finish_job(self, job: dict, status: str = "") -> dict:
        """Ends a job, with `status` or as its hosts are: the failing ones of `ailing` fail it, and a slice that its limit leaves
        without any does."""
        inventory = self.objects["job_templates"][job["job_template"]]["inventory"]
        mine = self.hosts_of(inventory)[max(0, job["job_slice_number"] - 1) :: job["job_slice_count"]]
        limit = [name for name in job["limit"].split(",") if name]
        hosts = [name for name in mine if not limit or name in limit]
        failed = [name for name in hosts if name in self.ailing]
        job["stdout"] = "" if hosts or not limit else NO_HOSTS
        fails = bool(failed or job["stdout"])
        job.update(hosts=hosts, failed_hosts=failed, status=status or ("failed" if fails else "successful"))
        return job

    def relaunch(self, number: int, body: dict) -> dict:
        """POST to relaunch of a job: the same slice, on all hosts or on those that failed."""
        job = self.objects["jobs"][number]
        chosen = body.get("hosts", "all")
        if chosen not in ("all", "failed"):
            raise Refused({"hosts": [f'"{chosen}" is not a valid choice.']})
        if chosen == "failed" and not job["failed_hosts"]:
            raise Refused({"hosts": "Cannot relaunch because previous job had 0 failed hosts."})
        limit = ",".join(job["failed_hosts"]) if chosen == "failed" else job["limit"]
        fields = {name: value for name, value in job.items() if name not in ("id", "url", "kind_")}
        return self.finish_job(self.put("jobs", {**fields, "limit": limit, "workflow_job": None}))

    def run_schedule(self, number: int) -> dict:
        """The extra variables with which a schedule starts its workflow."""
        schedule = self.objects["schedules"][number]
        kind = next(name for name in LAUNCHED if schedule["unified_job_template"] in self.objects[name])
        return self.extra_vars(kind, schedule["unified_job_template"], schedule["extra_data"])

    def run_workflow(
        self,
        workflow: int,
        outcomes: dict[str, str] | None = None,
        answers: dict | None = None,
        perform: Perform | None = None,
    ) -> tuple[str, list[str]]:
        """The status of a workflow and the steps that ran; who is notified of what is noted.

        Steps end as `outcomes` says, or as `perform` does, which gets the step and its jobs, and gives status and artifacts. A failed
        step whose failure leads on does not fail the workflow.
        """
        self.answered(workflow, answers or {}, launch=True)
        given = self.extra_vars("workflow_job_templates", workflow, answers or {})
        run = self.put("workflow_jobs", {"name": self.objects["workflow_job_templates"][workflow]["name"]})
        nodes = {
            number: node
            for number, node in self.objects["workflow_job_template_nodes"].items()
            if node["workflow_job_template"] == workflow
        }
        handed: dict[int, dict] = {number: {} for number in nodes}  # what the steps before a step left
        led_to = {child for number in nodes for child in self.ways(number, "always", "success", "failure")}
        queue, ran, status = [number for number in nodes if number not in led_to], [], "successful"
        while queue:
            number = queue.pop(0)
            step = nodes[number]["identifier"]
            ran.append(step)
            if perform:
                outcome, artifacts = perform(step, self.step_jobs(nodes[number], handed[number], given, run["id"]))
            else:
                outcome, artifacts = (outcomes or {}).get(step, "successful"), {}
            self.notify("job_templates", nodes[number]["unified_job_template"], outcome, artifacts)
            onward = self.ways(number, "always", "success" if outcome == "successful" else "failure")
            if outcome != "successful" and not onward:
                status = "failed"
            for child in onward:
                handed[child] |= {**handed[number], **artifacts}
            queue += onward
        run["status"] = status
        self.notify("workflow_job_templates", workflow, status)
        return status, ran

    def ways(self, node: int, *relations: str) -> list[int]:
        """The steps to which a step leads."""
        kind = "workflow_job_template_nodes"
        return [child for name in relations for child in self.related.get((kind, node, f"{name}_nodes"), [])]

    def step_jobs(self, node: dict, handed: dict, given: dict, run: int) -> list[dict]:
        """The jobs of a step. The variables of a workflow beat what its steps hand over, and that beats the step's own."""
        template = node["unified_job_template"]
        if template not in self.objects["job_templates"]:
            return []
        variables = self.extra_vars("job_templates", template, {**node["extra_data"], **handed, **given})
        return self.started(template, {"extra_vars": variables}, within=run)

    def notify(self, kind: str, template: int, status: str, artifacts: dict | None = None) -> None:
        """What is sent at the end of a job or a workflow, as AWX renders it: a workflow has no artifacts, and what cannot be rendered
        is sent empty."""
        event = "success" if status == "successful" else "error"
        for number in self.related.get((kind, template, f"notification_templates_{event}"), []):
            name = self.objects[kind][template]["name"]
            job = {"id": 1, "name": name, "status": status}
            job |= {"artifacts": artifacts or {}} if kind == "job_templates" else {}
            messages = (self.objects["notification_templates"][number]["messages"] or {}).get(event) or {}
            self.notified.append(Notified(name, status, *(rendered(messages.get(part, ""), job) for part in PARTS)))


def type_of(entry: dict) -> str:
    """What AWX calls an object of a kind."""
    kind = entry["kind_"]
    return f"{kind[:-3]}y" if kind.endswith("ies") else kind.removesuffix("s")


def rendered(text: str, job: dict) -> str:
    """A message as it is sent."""
    try:
        return (
            sandbox.ImmutableSandboxedEnvironment()
            .from_string(text)
            .render(job=job, url="https://awx.example.org/#/jobs/1")
        )
    except TemplateError:
        return ""


def fits(entry: dict, key: str, value: str) -> bool:
    name, _, lookup = key.partition("__")
    kept = str(entry.get(name))
    return {"endswith": kept.endswith(value), "contains": value in kept, "": kept == value}[lookup]


# -- HTTP -----------------------------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Routes requests to the objects."""

    awx: Awx
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves whole: in two parts the second would wait for the first to be acknowledged

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """Lists and single objects."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Creates, associates, launches."""
        self._answer("POST")

    def do_PATCH(self) -> None:
        """Changes."""
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        """Removes."""
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        url = urlparse(self.path)
        self.awx.requests.append((method, url.path, body))
        index = self._index(url.path)
        if index:
            self._send(200, index)
            return
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in (TOKEN, ADMIN_TOKEN):
            self._send(
                401,
                {
                    "detail": "Authentication credentials were not provided. To establish a login session, visit /api/login/."
                },
            )
            return
        try:
            self._send(*self._route(method, url.path, dict(parse_qsl(url.query)), body, token == TOKEN))
        except Refused as refused:
            self._send(refused.status, refused.document)
        except KeyError:
            self._send(404, {"detail": "Not found."})

    def _index(self, path: str) -> dict | None:
        version = {"current_version": self.awx.prefix, "available_versions": {"v2": self.awx.prefix}}
        if self.awx.platform:
            apis = {"apis": {"gateway": "/api/gateway/", "controller": "/api/controller/"}}
            return {"/api/": apis, "/api/controller/": version}.get(path)
        return {"/api/": version}.get(path)

    def _route(self, method: str, path: str, query: dict[str, str], body: Any, superuser: bool) -> tuple[int, object]:
        awx = self.awx
        if awx.platform and method == "POST" and path == "/api/gateway/v1/organizations/":
            if not superuser:
                raise Refused(FORBIDDEN, 403)
            awx.check("organizations", body, None)
            return 201, awx.put("organizations", body)
        if not path.startswith(awx.prefix):
            raise KeyError(path)
        parts = path.removeprefix(awx.prefix).strip("/").split("/")
        kind = parts[0]
        if kind == "me":
            name = "admin" if superuser else "ann"
            return 200, listed([{"id": 1, "username": name, "is_superuser": superuser}], {})
        if len(parts) == 1:
            return self._list(method, kind, query, body, superuser)
        number = awx.number(kind, unquote(parts[1]))
        if len(parts) == 2:
            return self._object(method, kind, number, body, superuser)
        return self._below(method, kind, number, parts[2], body, superuser)

    def _list(self, method: str, kind: str, query: dict, body: Any, superuser: bool) -> tuple[int, object]:
        awx = self.awx
        if method == "POST":
            return 201, awx.shown(awx.create(kind, body, superuser), superuser)
        page = {name: query.pop(name) for name in ("page", "page_size") if name in query}
        return 200, listed(
            [awx.shown(entry, superuser) for entry in awx.find(kind, query) if awx.visible(entry, superuser)], page
        )

    def _object(self, method: str, kind: str, number: int, body: Any, superuser: bool) -> tuple[int, object]:
        awx = self.awx
        entry = awx.objects[kind][number]
        if method == "PATCH":
            awx.change(kind, number, body, superuser)
        if method == "DELETE":
            awx.allow(kind, {}, entry, superuser)
            awx.remove(kind, number)
            return 204, None
        awx.look(entry)
        return 200, awx.shown(entry, superuser)

    def _below(self, method: str, kind: str, number: int, name: str, body: Any, superuser: bool) -> tuple[int, object]:
        awx = self.awx
        entry = awx.objects[kind][number]
        if name == "stdout":
            return 200, entry.get("stdout", "")
        if method != "GET":
            awx.allow(kind, {"id": number}, entry, superuser)
        if name == "survey_spec":
            return self._survey(method, kind, number, body)
        if name == "playbooks":
            return 200, entry.get("playbook_files", [])
        if name == "update":
            return 202, awx.update(kind, number)
        if name == "launch":
            return 201, self._launch(kind, number, body or {})
        if name == "relaunch":
            again = awx.relaunch(number, body or {})
            return 201, {**awx.shown(again, superuser), "job": again["id"]}
        if name == "create_approval_template":
            return 201, awx.approval(number, body)
        if name in ("hosts", "groups") and method == "DELETE":
            if name == "hosts":
                awx.hosts.get(entry["inventory"], {}).pop(number, None)
            return 204, None
        if method == "POST":
            awx.associate(kind, number, name, body)
            return 204, None
        if name == "workflow_nodes":
            jobs = [job["id"] for job in awx.objects["jobs"].values() if job["workflow_job"] == number]
            return 200, listed([{"job": job} for job in jobs], {})
        members = awx.related.get((kind, number, name), [])
        return 200, listed([awx.shown(awx.objects[ASSOCIATIONS[name]][member], superuser) for member in members], {})

    def _launch(self, kind: str, number: int, body: dict) -> dict:
        awx = self.awx
        entry, answers = awx.objects[kind][number], document(body.get("extra_vars"))
        unasked = {field: body[field] for field in body if not entry.get(f"ask_{ASKS.get(field, field)}_on_launch")}
        refused = {name: answers[name] for name in answers if name not in awx.accepted(kind, number, answers)}
        ignored = {
            **{k: v for k, v in unasked.items() if k != "extra_vars"},
            **({"extra_vars": refused} if refused else {}),
        }
        if kind == "workflow_job_templates":
            awx.run_workflow(number, answers=answers)
            made = max(awx.objects["workflow_jobs"].values(), key=lambda run: run["id"])
        else:
            (made, *others) = awx.launch(number, body)
            made = awx.objects["workflow_jobs"][made["workflow_job"]] if others else made
        return {type_of(made): made["id"], "ignored_fields": ignored, **awx.shown(made, superuser=True)}

    def _survey(self, method: str, kind: str, number: int, body: dict) -> tuple[int, object]:
        if method == "POST":
            problem = survey_problem(body)
            if problem:
                raise Refused({"error": problem})
            self.awx.surveys[kind, number] = body
        return 200, self.awx.surveys.get((kind, number), {})

    def _send(self, status: int, body: object) -> None:
        raw = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def listed(entries: list[dict], page: dict[str, str]) -> dict:
    """A list as AWX pages it."""
    size, number = int(page.get("page_size", 25)), int(page.get("page", 1))
    mine = entries[(number - 1) * size : number * size]
    return {
        "count": len(entries),
        "next": f"?page={number + 1}" if number * size < len(entries) else None,
        "previous": None,
        "results": mine,
    }


@contextmanager
def serve(awx: Awx) -> Iterator[str]:
    """Serves the objects; gives the address."""
    handler = type("BoundHandler", (Handler,), {"awx": awx})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
