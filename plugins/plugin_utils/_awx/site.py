# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects in an AWX: found, made, changed and removed, in the order in which they refer to each other.

One walk serves both for what would be done and for doing it: in a dry walk nothing is sent, and what would be made has a number below zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from . import catalog, plan, rights
from .api import Api, ApiError
from .wanted import ANY_MARK, CACHE_S, PLAYBOOKS, Ref, Settings, Wanted, credentials_named, mark, wanted

# What is removed, each before that which it refers to.
REMOVED = (
    "schedules",
    "workflow_job_templates",
    "job_templates",
    "inventory_sources",
    "inventories",
    "projects",
    "execution_environments",
    "notification_templates",
)
_ONE_IN_AWX = ("execution_environments",)  # whose names are unique over all organisations
_ENDED = ("successful", "failed", "error", "canceled", "never updated", "missing", "none")
_WORDS = 1200  # characters of what AWX says of a failed sync


class Change(NamedTuple):
    """Something that is done, or would be."""

    kind: str
    name: str
    what: str

    def __str__(self) -> str:
        return f"{singular(self.kind)} {self.name}: {self.what}"


def singular(kind: str) -> str:
    """What one of a kind is called in a message."""
    name = f"{kind[:-3]}y" if kind.endswith("ies") else kind.removesuffix("s")
    return name.replace("_", " ")


class Site:
    """An AWX and the fleet that is set up in it."""

    def __init__(self, api: Api, settings: Settings, *, dry: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.api, self.settings, self.dry, self.clock = api, settings, dry, clock
        self.changes: list[Change] = []
        self.kept: list[str] = []
        self.problems: list[Problem] = []
        self.ids: dict[Ref, int] = {}
        self.types: dict[int, Any] = {}  # credential -> its type
        self.surveys: dict[Ref, list[catalog.Question]] = {}
        self.changed_source = False
        self.user: Mapping[str, Any] = {}
        self.organization: Mapping[str, Any] | None = None

    # -- the two ends ---------------------------------------------------------------------------------------------------

    def present(self) -> None:
        """Brings all objects to the wanted state and takes away what is no longer wanted."""
        self._look_around()
        objects = wanted(self.settings)
        for entry in objects:
            self._bring(entry)
            if entry.kind == "projects":
                self._sync_project()
        self._prune({number for number in self.ids.values() if number > 0})
        self._sync_hosts()

    def absent(self) -> None:
        """Takes away all that is ours."""
        self._look_around(credentials=False)
        self._prune(set())
        self._remove_types()
        self._remove_organization()

    def forbidden(self) -> list[Problem]:
        """What stands against the changes of a dry walk."""
        writes = [(change.kind, change.name) for change in self.changes]
        return [*rights.problems(self.user, self.organization, self.settings["organization"], writes), *self.problems]

    # -- looking ----------------------------------------------------------------------------------------------------------

    def _look_around(self, credentials: bool = True) -> None:
        people = self.api.all("me/")
        self.user = people[0] if people else {}
        self.organization = self._only("organizations", name=self.settings["organization"])
        attached = self._galaxy()
        for name in credentials_named(self.settings) if credentials else []:
            found = [
                entry for entry in attached if entry["name"] == name and name in self.settings["galaxy_credentials"]
            ]
            found = found or self.api.all("credentials/", name=name)
            chosen = rights.credential(name, found, self.organization["id"] if self.organization else None)
            if isinstance(chosen, Problem):
                self.problems.append(self._galaxy_hint(name, chosen))
                self.ids[Ref("credentials", name)] = self._invented()
            else:
                self.ids[Ref("credentials", name)] = chosen["id"]
                self.types[chosen["id"]] = chosen.get("credential_type")

    def _galaxy(self) -> list[dict[str, Any]]:
        """The organisation's credentials for Galaxy: there they are seen by who may not see them among the others."""
        number = self.organization and self.organization["id"]
        found = self.api.all(f"organizations/{number}/galaxy_credentials/") if number else []
        return [{key: value for key, value in entry.items() if key != "summary_fields"} for entry in found]

    def _galaxy_hint(self, name: str, problem: Problem) -> Problem:
        if name not in self.settings["galaxy_credentials"]:
            return problem
        remedy = (
            "set awx_setup_galaxy_credentials to what AWX has of kind Galaxy, or to [] where AWX does not reach one"
        )
        return problem._replace(remedy=f"{remedy}: the execution environment has the collections")

    def _invented(self) -> int:
        """A number for what would be made."""
        return -1 - len(self.ids)

    def _only(self, kind: str, **query: Any) -> dict[str, Any] | None:
        if any(isinstance(value, int) and value < 0 for value in query.values()):
            return None
        found = self.api.all(f"{kind}/", **query)
        return found[0] if found else None

    def _find(self, entry: Wanted) -> dict[str, Any] | None:
        """The object as AWX has it; None where it does not."""
        if entry.kind in _ONE_IN_AWX:
            return self._unique(entry)
        key = "identifier" if entry.kind == "workflow_job_template_nodes" else "name"
        scope = {name: self.ids[ref] for name, ref in entry.scope.items()}
        found = self._only(entry.kind, **{key: entry.name}, **scope)
        if found is None and entry.kind == "inventory_sources":
            return next(iter(self._old_sources(scope["inventory"])), None)
        return found

    def _unique(self, entry: Wanted) -> dict[str, Any] | None:
        """An object whose name is taken once in the whole AWX: one of another organisation is in the way."""
        found = self._only(entry.kind, name=entry.name)
        owner = found and found.get("organization")
        if found and owner not in (None, self.ids[Ref("organizations", self.settings["organization"])]):
            other = ((found.get("summary_fields") or {}).get("organization") or {}).get("name", f"number {owner}")
            self.problems.append(
                Problem(
                    f"the execution environment {entry.name} belongs to the organisation {other}",
                    "a name that is free: AWX has each once, over all organisations",
                    "set awx_setup_execution_environment to another name, or awx_setup_prefix",
                )
            )
        return found

    def _old_sources(self, inventory: int) -> list[dict[str, Any]]:
        """Sources as releases before the marks made them, named by their path; that of the wanted path comes first."""
        project = self.ids[Ref("projects", self.settings["project"])]
        if inventory < 0 or project < 0:
            return []
        ours = {
            "source": "scm",
            "source_project": project,
            "overwrite": True,
            "update_on_launch": True,
            "description": "",
        }
        found = [
            entry
            for entry in self.api.all("inventory_sources/", inventory=inventory)
            if all(entry.get(name) == value for name, value in ours.items())
            and entry["name"] == entry.get("source_path")
            and entry.get("update_cache_timeout") == CACHE_S
        ]
        return sorted(found, key=lambda entry: entry["name"] != self.settings["inventory_source_path"])

    # -- one object -------------------------------------------------------------------------------------------------------

    def _bring(self, entry: Wanted) -> None:
        found = self._find(entry)
        fields = {name: self._number(value) for name, value in entry.fields.items()}
        if found is None:
            self.ids[entry.ref] = number = self._make(entry, fields)
        else:
            self.ids[entry.ref] = number = found["id"]
            self._change(entry, fields, found)
        for name, members in entry.members.items():
            self._bring_members(entry, number, name, members)
        if entry.questions is not None:
            self._bring_survey(entry, number)
        if entry.approval_s is not None:
            self._bring_approval(entry, number, found or {})

    def _number(self, value: Any) -> Any:
        return self.ids[value] if isinstance(value, Ref) else value

    def _answered(self, entry: Wanted, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a schedule with the answers that the survey, as it is in AWX now, requires."""
        if entry.kind != "schedules":
            return fields
        spec = self.surveys.get(entry.scope["unified_job_template"], [])
        answers, problems = plan.schedule_answers(fields["extra_data"], spec)
        self.problems += problems
        return {**fields, "extra_data": answers}

    def _make(self, entry: Wanted, fields: dict[str, Any]) -> int:
        scope = {name: self.ids[ref] for name, ref in entry.scope.items()}
        if entry.kind == "job_templates":
            del scope["organization"]  # AWX takes it from the project
        key = "identifier" if entry.kind == "workflow_job_template_nodes" else "name"
        fields = self._answered(entry, fields)
        self._note(entry.kind, entry.ref.name, "created")
        self.changed_source |= entry.kind == "inventory_sources"
        if self.dry:
            return self._invented()
        if entry.kind == "organizations" and self.api.gateway:
            return self._make_organization(entry)
        body = {key: entry.name, **scope, **plan.new_fields(fields)}
        return int(self.api.send("POST", f"{entry.kind}/", body)["id"])

    def _make_organization(self, entry: Wanted) -> int:
        """Of a platform: its gateway has the organisations, and hands them to the controller."""
        self.api.send("POST", f"{self.api.gateway}v1/organizations/", {"name": entry.name, **entry.fields})
        found = self._poll(lambda: self._only("organizations", name=entry.name))
        if found is None:
            raise ApiError(
                f"the organisation {entry.name} was made in the gateway and does not appear in the controller"
            )
        return int(found["id"])

    def _change(self, entry: Wanted, fields: dict[str, Any], found: dict[str, Any]) -> None:
        if not entry.adopted:
            return
        fields = self._answered(entry, fields)
        if entry.kind == "inventory_sources":
            fields = {"name": entry.name, **fields}
        changes = plan.changed_fields(fields, found, entry.merged)
        if not changes:
            return
        self._note(entry.kind, entry.ref.name, f"changed: {', '.join(changes)}")
        self.changed_source |= entry.kind == "inventory_sources" and "source_path" in changes
        self._send("PATCH", f"{entry.kind}/{found['id']}/", changes)

    def _bring_members(self, entry: Wanted, number: int, name: str, members: Any) -> None:
        path = f"{entry.kind}/{number}/{name}/"
        found = self.api.all(path) if number > 0 else []
        managed = {self.ids[ref] for ref in members.managed if ref in self.ids}
        types = self.types if members.one_per_type else {}
        ids = [self.ids[ref] for ref in members.refs]
        change = plan.membership(ids, found, managed, alone=members.alone, types=types)
        if change.add or change.remove:
            self._note(entry.kind, entry.ref.name, f"changed: {name}")
        for other in change.remove:
            self._send("POST", path, {"id": other, "disassociate": True})
        for other in change.add:
            self._send("POST", path, {"id": other})
        if members.one_per_type:
            staying = [e["name"] for e in found if e["id"] not in change.remove and e["id"] not in ids]
            self.kept += [f"{entry.name}: credential {other}, which was attached in AWX" for other in staying]

    def _bring_survey(self, entry: Wanted, number: int) -> None:
        path = f"{entry.kind}/{number}/survey_spec/"
        found = self.api.get(path) if number > 0 else {}
        survey = plan.survey(entry.questions or [], found, replace=self.settings["replace_surveys"])
        self.surveys[entry.ref] = (found.get("spec") or []) if survey.send is None else survey.send["spec"]
        if survey.kept:
            self.kept.append(
                f"{entry.name}: the survey, which was edited in AWX (awx_setup_replace_surveys=true replaces it)"
            )
        if survey.send is not None:
            edited = found.get("spec") and self.settings["replace_surveys"]
            self._note(
                entry.kind, entry.name, "changed: survey" + (", which may have been edited in AWX" if edited else "")
            )
            self._send("POST", path, survey.send)

    def _bring_approval(self, entry: Wanted, number: int, found: Mapping[str, Any]) -> None:
        """The approval of a node: an object of its own, which AWX makes from the node."""
        there = (found.get("summary_fields") or {}).get("unified_job_template") or {}
        if there.get("unified_job_type") != "workflow_approval":
            body = {"name": entry.name, "description": "Before the fleet is changed", "timeout": entry.approval_s}
            self._note(entry.kind, entry.ref.name, "changed: approval")
            self._send("POST", f"{entry.kind}/{number}/create_approval_template/", body)
        elif there.get("timeout") != entry.approval_s:
            self._note("workflow_approval_templates", entry.name, "changed: timeout")
            self._send("PATCH", f"workflow_approval_templates/{there['id']}/", {"timeout": entry.approval_s})

    # -- syncs ------------------------------------------------------------------------------------------------------------

    def _sync_project(self) -> None:
        """Until the project has the playbooks: AWX refuses a job template of one that it does not know."""
        name = self.settings["project"]
        number = self.ids[Ref("projects", name)]
        needed = {PLAYBOOKS + template.playbook for template in catalog.TEMPLATES}
        if number > 0 and not self._missing(number, needed):
            return
        self._note("projects", name, "synced")
        if self.dry:
            return
        self._at_rest("projects", number)  # AWX syncs a new project by itself
        if self._missing(number, needed):
            remedy = "correct awx_setup_scm_url, awx_setup_scm_branch or awx_setup_scm_credential, and run this again"
            self._update("projects", number, f"the sync of the project {name}", remedy)
        missing = self._missing(number, needed)
        if missing:
            what = f"the project {name} was synced and has no {', '.join(missing)}"
            raise ApiError(
                what, remedy="set awx_setup_scm_url and awx_setup_scm_branch to a project with these playbooks"
            )

    def _missing(self, project: int, needed: set[str]) -> list[str]:
        return sorted(needed - set(self.api.get(f"projects/{project}/playbooks/")))

    def _sync_hosts(self) -> None:
        """After its source was made or changed: AWX counts the slices of a job by the hosts that it knew before."""
        ref = next(entry.ref for entry in wanted(self.settings) if entry.kind == "inventory_sources")
        number = self.ids[ref]
        fresh = number < 0 or self.changed_source
        if not fresh and self.api.get(f"inventory_sources/{number}/")["status"] == "successful":
            return
        self._note("inventory_sources", ref.name, "synced")
        if self.dry:
            return
        self._at_rest("inventory_sources", number)
        remedy = "correct awx_setup_inventory_source_path, or the file, and run this again"
        self._update(
            "inventory_sources", number, f"the sync of the hosts from {self.settings['inventory_source_path']}", remedy
        )

    def _update(self, kind: str, number: int, what: str, remedy: str) -> None:
        """Syncs, and waits for the end. Raises ApiError with AWX's own words when it fails."""
        answer = self.api.send("POST", f"{kind}/{number}/update/", {})
        jobs = "project_updates" if kind == "projects" else "inventory_updates"
        job = self._at_rest(jobs, answer["id"])
        if job["status"] == "successful":
            return
        said = self._reason(job, f"{jobs}/{job['id']}/stdout/")
        if "galaxy" in said.lower():
            remedy = "where AWX does not reach Galaxy, set awx_setup_galaxy_credentials to an empty list, [], and run this again"
        raise ApiError(f"{what} is {job['status']}: {said}", remedy=remedy)

    def _at_rest(self, kind: str, number: int) -> dict[str, Any]:
        """The object, or the job, once no sync runs. Raises ApiError when it takes too long."""

        def ended() -> dict[str, Any] | None:
            state = self.api.get(f"{kind}/{number}/")
            return state if state.get("status") in _ENDED else None

        found = self._poll(ended)
        if found is None:
            limit = self.settings["sync_timeout_s"]
            what = f"{singular(kind)} {number} has not ended in {limit} s"
            raise ApiError(what, remedy="see in AWX, Jobs, what it waits for; awx_setup_sync_timeout_s is the limit")
        return dict(found)

    def _poll(self, look: Callable[[], Any]) -> Any:
        """What `look` finds, asked until it finds something; None when the time is over."""
        end = self.clock() + self.settings["sync_timeout_s"]
        pause = 0.2
        while True:
            found = look()
            if found or self.clock() >= end:
                return found
            self.api.sleep(pause)
            pause = min(pause * 1.5, 5.0)

    def _reason(self, job: Mapping[str, Any], output: str) -> str:
        """AWX's own words for a failed sync: explanation, traceback, the end of the output."""
        end = self.api.text(output, format="txt")[-2 * _WORDS :]
        parts = [job.get("job_explanation"), job.get("result_traceback"), end]
        return one_line(" ".join(part for part in parts if part), _WORDS) or "AWX gives no reason"

    # -- what goes --------------------------------------------------------------------------------------------------------

    def _prune(self, wanted_ids: set[int]) -> None:
        """Removes what bears our mark, or was made by a release before the marks, and is not wanted."""
        for kind in REMOVED:
            for entry in self._ours(kind):
                if entry["id"] not in wanted_ids:
                    self._remove(kind, entry)

    def _ours(self, kind: str) -> Iterator[dict[str, Any]]:
        yield from self.api.all(f"{kind}/", description__endswith=mark(self.settings))
        inventory = self.ids.get(Ref("inventories", self.settings["inventory"]))
        if kind == "inventory_sources" and inventory is not None:
            yield from self._old_sources(inventory)

    def _remove(self, kind: str, entry: Mapping[str, Any]) -> None:
        self._note(kind, entry["name"], "removed")
        path = f"{kind}/{entry['id']}/"
        if kind == "inventory_sources":  # its hosts would stay, and go on being deployed to
            for what in ("hosts", "groups"):
                self._send("DELETE", f"{path}{what}/")
        self._send("DELETE", path)
        if kind == "inventories" and not self.dry:  # AWX removes it in the background
            self._poll(lambda: not self._only("inventories", id=entry["id"]))

    def _remove_types(self) -> None:
        """The credential types, unless something needs them: they are the whole AWX's."""
        marked = self.api.all("job_templates/", description__contains=ANY_MARK)
        others = any(not entry["description"].endswith(mark(self.settings)) for entry in marked)
        for entry in catalog.CREDENTIAL_TYPES:
            found = self._only("credential_types", name=entry["name"])
            if not found or found.get("description") != entry["description"]:
                continue
            reason = self._needed(found["id"], others)
            if reason:
                self.kept.append(f"credential type {entry['name']}: {reason}")
            else:
                self._remove("credential_types", found)

    def _needed(self, credential_type: int, other_fleets: bool) -> str:
        if other_fleets:
            return "another fleet is set up in this AWX"
        if self.api.all("credentials/", credential_type=credential_type):
            return "a credential has it"
        return "" if self.user.get("is_superuser") else "a system administrator has to remove it"

    def _remove_organization(self) -> None:
        found = self.organization
        if not found or not str(found.get("description", "")).endswith(mark(self.settings)):
            return
        removed = {(change.kind, change.name) for change in self.changes}
        held = [
            f"{kind.replace('_', ' ')} {entry['name']}"
            for kind in (
                "projects",
                "inventories",
                "workflow_job_templates",
                "job_templates",
                "credentials",
                "notification_templates",
            )
            for entry in self.api.all(f"{kind}/", organization=found["id"])
            if not self.dry or (kind, entry["name"]) not in removed
        ]
        if held or not self.user.get("is_superuser"):
            self.kept.append(
                f"organization {found['name']}: {one_line(', '.join(held), 300) or 'a system administrator has to remove it'}"
            )
        else:
            self._remove("organizations", found)

    # -- doing ------------------------------------------------------------------------------------------------------------

    def _note(self, kind: str, name: str, what: str) -> None:
        """Notes a change once; what is then done to an object that was just made belongs to its making."""
        change, made = Change(kind, name, what), Change(kind, name, "created")
        if change not in self.changes and not (made in self.changes and what.startswith("changed")):
            self.changes.append(change)

    def _send(self, method: str, path: str, body: Any = None) -> None:
        if not self.dry:
            self.api.send(method, path, body)


def settle(api: Api, settings: Settings, *, check: bool) -> Site:
    """Brings AWX to the wanted state, or says what would be done.

    Raises UserError with all that stands against it, before anything is done.
    """
    steps = Site.absent if settings["state"] == "absent" else Site.present
    predicted = Site(api, settings, dry=True)
    steps(predicted)
    problems = predicted.forbidden()
    if problems:
        raise UserError(*dict.fromkeys(problems))
    if check or not predicted.changes:
        return predicted
    done = Site(api, settings, dry=False)
    steps(done)
    return done
