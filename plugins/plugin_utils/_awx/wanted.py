# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings -> the wanted objects, in the order in which they refer to each other. Pure, and data: nothing here knows HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden_document

from . import catalog, notices

Settings = Mapping[str, Any]
PLAYBOOKS = "playbooks/"
CACHE_S = 300  # a sync of project or inventory is good for so long


class Ref(NamedTuple):
    """An object by kind and name; AWX wants its number."""

    kind: str
    name: str


class Members(NamedTuple):
    """A list of another object's: `refs` belong into it. Of what else is there, `managed` does not; with `alone` nothing does.

    With `one_per_type` a credential makes way for a wanted one of its type: AWX takes one of each.
    """

    refs: tuple[Ref, ...] = ()
    managed: tuple[Ref, ...] = ()
    alone: bool = False
    one_per_type: bool = False


@dataclass(frozen=True)
class Wanted:
    """An object as it should be.

    `scope` finds it beside `name`, and is sent when it is made. `merged`: fields that are documents, of which only the members named here
    are ours. `adopted`: one that was there before is brought to this state too; else it is left as it is, but for its lists.
    """

    kind: str
    name: str
    fields: Mapping[str, Any]
    scope: Mapping[str, Ref] = field(default_factory=dict)
    merged: tuple[str, ...] = ()
    members: Mapping[str, Members] = field(default_factory=dict)
    questions: list[catalog.Question] | None = None
    approval_s: int | None = None
    adopted: bool = True

    @property
    def ref(self) -> Ref:
        """What other objects name this one by. A node is known within its workflow alone."""
        within = f"{self.scope['workflow_job_template'].name}/" if "workflow_job_template" in self.scope else ""
        return Ref(self.kind, f"{within}{self.name}")


ANY_MARK = "(llmfleet.serving awx_setup: "


def mark(settings: Settings) -> str:
    """The end of the description of what is made here: what bears it is ours, and goes when it is no longer wanted."""
    return f"{ANY_MARK}{settings['prefix']} in {settings['organization']})"


def credentials_named(settings: Settings) -> list[str]:
    """The credentials that must exist before, each once. The keys and tokens are made in AWX, where secrets belong."""
    single = ("scm_credential", "inventory_credential", "api_key_credential", "hub_token_credential")
    names = [*settings["credentials"], *settings["galaxy_credentials"], *(settings[name] for name in single)]
    return list(dict.fromkeys(name for name in names if name))


def wanted(settings: Settings) -> list[Wanted]:
    """All objects, each after those that it refers to."""
    workflows = [workflow for flow in catalog.WORKFLOWS for workflow in _workflow(settings, flow)]
    return [
        *_ground(settings),
        *_notification(settings),
        *_project(settings),
        *_inventory(settings),
        *(_template(settings, template) for template in catalog.TEMPLATES),
        *workflows,
        _schedule(settings),
    ]


def _organization(settings: Settings) -> Ref:
    return Ref("organizations", settings["organization"])


def _described(settings: Settings, text: str) -> dict[str, Any]:
    return {"description": f"{text} {mark(settings)}".strip()}


def _named(settings: Settings, name: str) -> str:
    return f"{settings['prefix']} {name}"


def _credentials(*names: str) -> tuple[Ref, ...]:
    return tuple(Ref("credentials", name) for name in names if name)


def _ground(settings: Settings) -> list[Wanted]:
    galaxy = Members(_credentials(*settings["galaxy_credentials"]), alone=not settings["galaxy_credentials"])
    types = [
        Wanted("credential_types", entry["name"], {"kind": "cloud", **{k: v for k, v in entry.items() if k != "name"}})
        for entry in catalog.CREDENTIAL_TYPES
    ]
    return [
        Wanted(
            "organizations",
            settings["organization"],
            _described(settings, ""),
            members={"galaxy_credentials": galaxy},
            adopted=False,
        ),
        *types,
    ]


def _notification(settings: Settings) -> list[Wanted]:
    kind = settings["notification_type"]
    if not kind:
        return []
    fields = {
        **_described(settings, "Ends and failures"),
        "notification_type": kind,
        "notification_configuration": notices.completed(kind, settings["notification_configuration"]),
        "messages": notices.messages(kind),
    }
    return [
        Wanted("notification_templates", settings["prefix"], fields, scope={"organization": _organization(settings)})
    ]


def _notified(settings: Settings, *events: str) -> dict[str, Members]:
    """Who hears of which ends: our notification alone is ours to attach and to detach."""
    if not settings["notification_type"]:
        return {}
    ours = (Ref("notification_templates", settings["prefix"]),)
    names = ("started", "success", "error")
    return {
        f"notification_templates_{name}": Members(ours if name in events else (), managed=ours)
        for name in (*names, *(["approvals"] if "approvals" in events else []))
    }


def pull_policy(image: str) -> str:
    """When the image is pulled: a tag that moves, or none, has to be asked for each time."""
    name = image.rpartition("/")[2]
    moves = ":" not in name or name.endswith(":latest")
    return "always" if moves and "@" not in name else "missing"


def _environment(settings: Settings) -> Ref:
    return Ref("execution_environments", settings["execution_environment"])


def _project(settings: Settings) -> list[Wanted]:
    image = settings["execution_environment_image"]
    environment = {**_described(settings, "Ansible and this project's collections"), "image": image}
    project = {
        **_described(settings, "Playbooks and roles"),
        "scm_type": "git",
        "scm_url": settings["scm_url"],
        "scm_branch": settings["scm_branch"],
        "scm_update_on_launch": True,
        "scm_update_cache_timeout": CACHE_S,
        "default_environment": _environment(settings),
    }
    if settings["scm_credential"]:
        project["credential"] = Ref("credentials", settings["scm_credential"])
    scope = {"organization": _organization(settings)}
    return [
        Wanted(
            "execution_environments",
            settings["execution_environment"],
            {**environment, "pull": pull_policy(image)},
            scope=scope,
        ),
        Wanted("projects", settings["project"], project, scope=scope),
    ]


def _inventory(settings: Settings) -> list[Wanted]:
    source = {
        **_described(settings, "The hosts, from a file of the project"),
        "source": "scm",
        "source_project": Ref("projects", settings["project"]),
        "source_path": settings["inventory_source_path"],
        "execution_environment": _environment(settings),
        "overwrite": True,
        "update_on_launch": True,
        "update_cache_timeout": CACHE_S,
    }
    attached = Members(_credentials(settings["inventory_credential"]), one_per_type=True)
    inventory = Ref("inventories", settings["inventory"])
    return [
        Wanted(
            "inventories",
            settings["inventory"],
            {**_described(settings, "The fleet"), "variables": settings["inventory_variables"]},
            scope={"organization": _organization(settings)},
            merged=("variables",),
        ),
        Wanted(
            "inventory_sources",
            _named(settings, "hosts"),
            source,
            scope={"inventory": inventory},
            members={"credentials": attached} if attached.refs else {},
        ),
    ]


def _template(settings: Settings, template: catalog.Template) -> Wanted:
    used = [name for use in template.uses for name in _names(settings[use])]
    fields = {
        **_described(settings, template.description),
        "job_type": "run",
        "project": Ref("projects", settings["project"]),
        "playbook": PLAYBOOKS + template.playbook,
        "inventory": Ref("inventories", settings["inventory"]),
        "execution_environment": _environment(settings),
        "forks": settings["forks"],
        "job_slice_count": settings["job_slices"] if template.sliced else 1,
        "timeout": settings["timeout_s"],
        "use_fact_cache": True,
        "extra_vars": {"report_dir": settings["report_dir"], **settings["extra_vars"]},
        **{f"ask_{name}_on_launch": True for name in ("limit", "job_type", "variables")},
        "ask_job_slice_count_on_launch": template.sliced,
        **({"survey_enabled": True} if template.questions else {}),
    }
    events = ("success", "error") if template.name == "report" else ("error",)
    return Wanted(
        "job_templates",
        _named(settings, template.name),
        fields,
        scope={"organization": _organization(settings)},
        merged=("extra_vars",),
        members={
            "credentials": Members(_credentials(*used), one_per_type=True),
            **_notified(settings, *events),
        },
        questions=template.questions,
    )


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _workflow(settings: Settings, flow: catalog.Workflow) -> list[Wanted]:
    name = _named(settings, flow.name)
    approved = ("approvals",) if any(node.template is None for node in flow.nodes) else ()
    workflow = Wanted(
        "workflow_job_templates",
        name,
        {
            **_described(settings, flow.description),
            "inventory": Ref("inventories", settings["inventory"]),
            **{f"ask_{what}_on_launch": True for what in ("limit", "variables")},
            "survey_enabled": True,
        },
        scope={"organization": _organization(settings)},
        members=_notified(settings, "error", *approved),
        questions=catalog.WORKFLOW_QUESTIONS,
    )
    return [workflow, *_nodes(settings, flow, Ref("workflow_job_templates", name))]


def _nodes(settings: Settings, flow: catalog.Workflow, workflow: Ref) -> list[Wanted]:
    """The nodes from the last to the first: an edge leads to one that is there."""

    def refs(*names: str) -> tuple[Ref, ...]:
        return tuple(Ref("workflow_job_template_nodes", f"{workflow.name}/{name}") for name in names)

    ours = refs(*(node.identifier for node in flow.nodes))
    return [
        Wanted(
            "workflow_job_template_nodes",
            node.identifier,
            _step(settings, node),
            scope={"workflow_job_template": workflow},
            merged=("extra_data",),
            members={
                "always_nodes": Members(refs(*node.always), managed=ours),
                "success_nodes": Members(refs(*node.success), managed=ours),
                "failure_nodes": Members((), managed=ours),
            },
            approval_s=None if node.template else settings["approval_timeout_s"],
        )
        for node in reversed(flow.nodes)
    ]


def _step(settings: Settings, node: catalog.Node) -> dict[str, Any]:
    if not node.template:
        return {}
    template = Ref("job_templates", _named(settings, node.template))
    return {"unified_job_template": template, **({"extra_data": dict(node.extra_data)} if node.extra_data else {})}


def _schedule(settings: Settings) -> Wanted:
    flow = next(flow for flow in catalog.WORKFLOWS if flow.scheduled)
    return Wanted(
        "schedules",
        _named(settings, catalog.SCHEDULE),
        {
            **_described(settings, flow.description),
            "rrule": settings["schedule_rrule"],
            "enabled": settings["schedule_enabled"],
            "extra_data": settings["schedule_answers"],
        },
        scope={"unified_job_template": Ref("workflow_job_templates", _named(settings, flow.name))},
    )


def shown(objects: list[Wanted]) -> list[dict[str, Any]]:
    """The objects as a dry run prints them, without what may be a secret."""
    hidden = {"notification_configuration", "messages"}
    return [
        {
            "kind": entry.kind,
            "name": entry.name,
            **{key: _plain(value) for key, value in {**entry.scope, **entry.fields}.items() if key not in hidden},
            **{name: [ref.name for ref in members.refs] for name, members in entry.members.items() if members.refs},
            **({"questions": [question["variable"] for question in entry.questions]} if entry.questions else {}),
        }
        for entry in objects
    ]


def _plain(value: Any) -> Any:
    return value.name if isinstance(value, Ref) else hidden_document(value)
