# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the AWX API, strict about what it is sent: fields as the modules of awx.awx document them, references to
what exists, names that are free, surveys as AWX's own description demands. It cannot prove permissions, or that a job runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlparse

import ansible_collections
import yaml

TOKEN = "awx-token-0123456789"
PREFIX = "/api/v2/"
# Collection -> the module that documents its fields.
MODULES = {
    "organizations": "organization",
    "credential_types": "credential_type",
    "notification_templates": "notification_template",
    "execution_environments": "execution_environment",
    "projects": "project",
    "inventories": "inventory",
    "inventory_sources": "inventory_source",
    "job_templates": "job_template",
    "workflow_job_templates": "workflow_job_template",
    "workflow_job_template_nodes": "workflow_job_template_node",
    "schedules": "schedule",
}
TEMPLATES = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
# Field -> the collection that it refers to.
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
# Sub-list -> the collection of its members.
ASSOCIATIONS = {
    "galaxy_credentials": "credentials",
    "credentials": "credentials",
    "labels": "labels",
    "instance_groups": "instance_groups",
    "always_nodes": "workflow_job_template_nodes",
    "success_nodes": "workflow_job_template_nodes",
    "failure_nodes": "workflow_job_template_nodes",
    "notification_templates_started": "notification_templates",
    "notification_templates_success": "notification_templates",
    "notification_templates_error": "notification_templates",
}
# What AWX answers for a field that was never set; the modules compare with it.
BLANKS = {"inventories": {"kind": "", "host_filter": None}}
# What AWX wants to know for a type of notification: type and, where it has one, the default that it fills in.
WEBHOOK = {
    "url": (str,),
    "http_method": (str, "POST"),
    "disable_ssl_verification": (bool, False),
    "username": (str, ""),
    "password": (str, ""),
    "headers": (dict,),
}
ENCRYPTED = "$encrypted$"
# What the templates of a credential type may name beside its own fields, and what AWX accepts as a schedule.
INJECTED = re.compile(r"{{\s*([\w.]+)\s*}}")
SCHEDULE = re.compile(r"^DTSTART(;TZID=[\w/+-]+)?:\d{8}T\d{6}Z? RRULE:FREQ=\w+;INTERVAL=\d+")
QUESTION_TYPES = ("text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float")


class Refused(Exception):
    """A request that AWX would answer with 400; the message says why."""


def documented_options(module: str) -> dict[str, dict]:
    """The options of a module of awx.awx, from its own documentation."""
    for folder in ansible_collections.__path__:
        path = Path(folder) / "awx" / "awx" / "plugins" / "modules" / f"{module}.py"
        if path.exists():
            text = path.read_text().split("DOCUMENTATION = ")[1]
            quote = text[:3]
            return yaml.safe_load(text[3:].split(quote)[0])["options"]
    raise LookupError(f"awx.awx.{module} is not installed")


def survey_problem(survey: dict) -> str:
    """What AWX's description of a survey does not allow; empty when it is right."""
    if set(survey) != {"name", "description", "spec"}:
        return "a survey has name, description and spec"
    variables = [question.get("variable") for question in survey["spec"]]
    if not variables or len(set(variables)) != len(variables):
        return "a survey has questions, each with a variable of its own"
    for question in survey["spec"]:
        missing = {"type", "question_name", "variable", "required"} - set(question)
        if missing:
            return f"question {question} lacks {missing}"
        if question["type"] not in QUESTION_TYPES:
            return f"{question['type']} is no type of question"
        if question["type"].startswith("multi") and question.get("default", "") not in [
            "",
            *question.get("choices", []),
        ]:
            return f"the default of {question['variable']} is none of its choices"
    return ""


def completed_webhook(configuration: dict) -> dict:
    """A webhook as AWX keeps and shows it: with every field, secrets hidden. Raises Refused for what AWX does not take."""
    unknown = set(configuration) - set(WEBHOOK)
    if unknown:
        raise Refused(f"a webhook has no {sorted(unknown)}")
    kept = {name: default[0] for name, (_type, *default) in WEBHOOK.items() if default}
    kept.update(configuration)
    for name, (kind, *_default) in WEBHOOK.items():
        if not isinstance(kept.get(name), kind):
            raise Refused(f"{name} of a webhook must be {kind.__name__}, is {kept.get(name)!r}")
    if kept["password"]:
        kept["password"] = ENCRYPTED
    return kept


def injectors_problem(fields: dict) -> str:
    """What AWX would not accept of a credential type; empty when it is right."""
    allowed = {field["id"] for field in fields["inputs"]["fields"]}
    if not set(fields["inputs"].get("required", [])) <= allowed:
        return "a field is required that is none"
    if "file" in fields["injectors"]:
        allowed.add("tower.filename")
    named = set(INJECTED.findall(json.dumps(fields["injectors"])))
    return f"the injectors name {sorted(named - allowed)}, which are no fields" if named - allowed else ""


class Awx:
    """The objects that AWX knows, and the requests it got."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict]] = {
            name: {} for name in (*MODULES, "credentials", "labels", "instance_groups")
        }
        self.related: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], dict] = {}
        self.requests: list[tuple[str, str, object]] = []
        self.options = {collection: documented_options(module) for collection, module in MODULES.items()}
        self.last_id = 0
        self.put("credentials", {"name": "Ansible Galaxy"})
        self.put("credentials", {"name": "fleet key"})

    def writes(self) -> list[tuple[str, str]]:
        """The requests that would change something."""
        return [(method, path) for method, path, _body in self.requests if method != "GET"]

    def names(self, collection: str) -> list[str]:
        """The names in a collection."""
        return [entry["name"] for entry in self.objects[collection].values()]

    def put(self, collection: str, fields: dict) -> dict:
        """Adds an object."""
        self.last_id += 1
        url = f"{PREFIX}{collection}/{self.last_id}/"
        entry = {
            **BLANKS.get(collection, {}),
            "id": self.last_id,
            "type": collection.rstrip("s"),
            "url": url,
            "related": {"survey_spec": f"{url}survey_spec/"},
            "summary_fields": {},
            "scm_revision": "",
            **fields,
        }
        self.objects[collection][self.last_id] = entry
        return entry

    def find(self, collection: str, query: dict[str, str]) -> list[dict]:
        """The objects that a list request selects."""
        if collection == "unified_job_templates":
            entries = [entry for name in TEMPLATES for entry in self.objects[name].values()]
        else:
            entries = list(self.objects[collection].values())
        return [entry for entry in entries if all(str(entry.get(key)) == value for key, value in query.items())]

    def check(self, collection: str, fields: dict, existing: dict | None) -> None:
        """Raises Refused for fields that the module does not document, or that refer to nothing."""
        allowed = {*self.options[collection], "managed"}
        unknown = set(fields) - allowed
        if unknown:
            raise Refused(f"{collection} has no field {sorted(unknown)}")
        for name, value in fields.items():
            choices = self.options[collection].get(name, {}).get("choices")
            if choices and value is not None and value not in [*choices, "git", ""]:
                raise Refused(f"{name} of {collection} must be one of {choices}, is {value}")
            if name in REFERENCES and value not in self.objects[REFERENCES[name]]:
                raise Refused(f"{name} of {collection} refers to {value}, which does not exist")
        if "unified_job_template" in fields and not self.find(
            "unified_job_templates", {"id": str(fields["unified_job_template"])}
        ):
            raise Refused("unified_job_template refers to nothing")
        required = {
            "job_templates": {"project", "playbook", "inventory"},
            "projects": {"organization", "scm_type", "scm_url"},
            "schedules": {"rrule", "unified_job_template"},
            "execution_environments": {"image"},
            "inventories": {"organization"},
            "inventory_sources": {"inventory", "source", "source_project"},
            "credential_types": {"kind", "inputs", "injectors"},
            "notification_templates": {"organization", "notification_type", "notification_configuration"},
        }
        lacking = required.get(collection, set()) - set({**(existing or {}), **fields})
        if lacking:
            raise Refused(f"{collection} needs {sorted(lacking)}")
        twins = [
            entry
            for entry in self.objects[collection].values()
            if entry is not existing
            and entry.get("name") == fields.get("name")
            and fields.get("name")
            and entry.get("organization") == fields.get("organization")
            and entry.get("inventory") == fields.get("inventory")
        ]
        if twins:
            raise Refused(f"{collection} has a {fields['name']} already")

    def settle(self, collection: str, fields: dict) -> dict:
        """The fields as AWX keeps them. Raises Refused for values that it does not take."""
        if collection == "credential_types" and injectors_problem(fields):
            raise Refused(injectors_problem(fields))
        if collection == "schedules" and not SCHEDULE.match(fields.get("rrule", "")):
            raise Refused(f"{fields.get('rrule')} is no schedule")
        if collection == "notification_templates":
            return {**fields, "notification_configuration": completed_webhook(fields["notification_configuration"])}
        return fields

    def create(self, collection: str, fields: dict) -> dict:
        """POST to a collection."""
        self.check(collection, fields, None)
        return self.put(collection, self.settle(collection, fields))

    def change(self, collection: str, number: int, fields: dict) -> dict:
        """PATCH of an object."""
        entry = self.objects[collection][number]
        self.check(collection, fields, entry)
        entry.update(self.settle(collection, {**entry, **fields}))
        return entry

    def associate(self, collection: str, number: int, relation: str, body: dict) -> None:
        """POST to a sub-list."""
        if body["id"] not in self.objects[ASSOCIATIONS[relation]]:
            raise Refused(f"{relation}: there is no {body['id']}")
        members = self.related.setdefault((collection, number, relation), [])
        members.remove(body["id"]) if body.get("disassociate") else members.append(body["id"])


class Handler(BaseHTTPRequestHandler):
    """Routes requests to the objects."""

    awx: Awx
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """Lists and single objects."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Creates and associates."""
        self._answer("POST")

    def do_PATCH(self) -> None:
        """Changes."""
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        """Nothing here deletes."""
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        url = urlparse(self.path)
        self.awx.requests.append((method, url.path, body))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"detail": "Authentication credentials were not provided."})
            return
        try:
            self._send(
                *self._route(
                    method, url.path.removeprefix(PREFIX).strip("/").split("/"), dict(parse_qsl(url.query)), body
                )
            )
        except Refused as refused:
            self._send(400, {"__all__": [str(refused)]})
        except KeyError as missing:
            self._send(404, {"detail": f"Not found: {missing}"})

    def _route(self, method: str, parts: list[str], query: dict[str, str], body: dict) -> tuple[int, object]:
        awx, collection = self.awx, parts[0]
        if len(parts) == 1:
            return (
                (201, awx.create(collection, body)) if method == "POST" else (200, listed(awx.find(collection, query)))
            )
        number = int(parts[1])
        if len(parts) == 2:
            return 200, awx.change(collection, number, body) if method == "PATCH" else awx.objects[collection][number]
        if parts[2] == "survey_spec":
            return self._survey(method, collection, number, body)
        if method == "POST":
            awx.associate(collection, number, parts[2], body)
            return 204, None
        members = awx.related.get((collection, number, parts[2]), [])
        return 200, listed([awx.objects[ASSOCIATIONS[parts[2]]][member] for member in members])

    def _survey(self, method: str, collection: str, number: int, body: dict) -> tuple[int, object]:
        if method == "POST":
            problem = survey_problem(body)
            if problem:
                return 400, {"error": problem}
            self.awx.surveys[collection, number] = body
        return 200, self.awx.surveys.get((collection, number), {})

    def _send(self, status: int, body: object) -> None:
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def listed(entries: list[dict]) -> dict:
    """A list as AWX pages it."""
    return {"count": len(entries), "next": None, "previous": None, "results": entries}


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
