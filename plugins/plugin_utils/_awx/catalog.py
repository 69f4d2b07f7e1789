# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this project offers in AWX: questions, job templates, workflows, credential types. Data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.llmfleet.serving.plugins.module_utils._engines.table import ENGINES

Question = dict[str, Any]


def _choice(variable: str, name: str, choices: list[str], description: str = "") -> Question:
    return {**_question(variable, name, "multiplechoice", description), "choices": choices}


def _question(variable: str, name: str, kind: str, description: str = "") -> Question:
    """A question that may stay open.

    None has a default, and none is required: what is not answered does not reach the job, so what the inventory says holds. A default
    would reach it, even an empty one, and beat the inventory; a required question would refuse every schedule, and every launch by API,
    without an answer.
    """
    return {
        "question_name": name,
        "question_description": description or "Not answered: as the inventory says.",
        "variable": variable,
        "type": kind,
        "required": False,
    }


HOSTS = [
    _question(
        "llmfleet_limit", "Hosts", "text", "Names, groups or patterns, such as gpu-01,gpu-02. Not answered: all."
    ),
    _question("llmfleet_gpu_class", "GPU class", "text", "The group of a class, such as h100. Not answered: all."),
]
ENGINE = [_choice("inference_server_backend", "Engine", list(ENGINES))]
SERVER = [
    *ENGINE,
    _choice("inference_server_release", "Release", ["stable", "published"]),
    _choice("inference_server_intent", "Tuned for", ["benchmark", "agent", "latency", "throughput"]),
]
WORKLOAD = [_choice("benchmark_workload", "Workload", ["published", "smoke", "latency", "saturation"])]
REPORT = [
    _question("report_label", "Name for this run", "text", "For later use as a baseline."),
    _question(
        "report_baseline", "Compare with", "text", "A run by its name; it is always compared with the previous one."
    ),
]
ROLLBACK = [
    {**_question("inference_server_ready_timeout_s", "Longest start in seconds", "integer"), "min": 1, "max": 86400}
]
TEARDOWN = [_choice("inference_server_purge", "Remove the model's weights and compiled kernels too", ["false", "true"])]


class Template(NamedTuple):
    """A job template: its name follows the prefix. `uses`: the settings that name its credentials."""

    name: str
    playbook: str
    description: str
    questions: list[Question]
    sliced: bool = True
    uses: tuple[str, ...] = ("credentials",)


KEYS = ("credentials", "api_key_credential", "hub_token_credential")
TEMPLATES = (
    Template("prepare", "prepare.yml", "Docker, the NVIDIA container toolkit and all checks", ENGINE),
    Template("keys", "keys.yml", "Bring the clients' key and the model hub's token to the hosts", [], uses=KEYS),
    Template("begin", "begin.yml", "Check the hosts of a workflow and give its run an identity", HOSTS, sliced=False),
    Template("deploy", "deploy.yml", "Serve the model and prove that it answers", SERVER),
    Template("bench", "bench.yml", "Measure the servers", WORKLOAD),
    Template("report", "report.yml", "Report what the whole fleet last measured", REPORT, sliced=False),
    Template("rollback", "rollback.yml", "Back to the last server that worked", ROLLBACK),
    Template("teardown", "teardown.yml", "Take the servers away", TEARDOWN),
)


class Node(NamedTuple):
    """A step of a workflow; `template` is None for an approval. Edges lead to the identifiers of the next steps.

    `extra_data` are extra variables of this step alone; what `begin` hands over beats them.
    """

    identifier: str
    template: str | None
    always: tuple[str, ...] = ()
    success: tuple[str, ...] = ()
    extra_data: Mapping[str, Any] = MappingProxyType({})


class Workflow(NamedTuple):
    """A workflow: its name follows the prefix."""

    name: str
    description: str
    nodes: tuple[Node, ...]
    scheduled: bool = False


# Deploy leaves the hosts on which it succeeded. For what follows it that is an empty list at first: a job that ended with an error, or was
# canceled, leaves none.
_DEPLOYED: dict[str, list[str]] = {"llmfleet_deployed_0": []}

# The report of a workflow is about that workflow: of its run by `llmfleet_run`, of this day, and of every host.
_THIS_RUN: dict[str, Any] = {
    **_DEPLOYED,
    "report_max_age_s": 86400,
    "report_fail_on": ["invalid", "stale", "failed", "unreachable", "missing"],
}

# Deploy, bench and report follow each other whatever became of the one before: a fleet always has a host that fails, and the others are
# measured and reported all the same. The report judges the run, and fails the workflow. `begin` hands `llmfleet_run` to all that follow it.
_STEPS = (
    Node("begin", "begin", success=("deploy",)),
    Node("deploy", "deploy", always=("bench",)),
    Node("bench", "bench", always=("report",), extra_data=_DEPLOYED),
    Node("report", "report", extra_data=_THIS_RUN),
)
APPROVAL = "approval"
WORKFLOWS = (
    Workflow("deploy, bench, report", "Deploy, measure and report, at once and every night", _STEPS, scheduled=True),
    Workflow(
        "change after approval",
        "Deploy, measure and report once a user has approved it",
        (_STEPS[0]._replace(success=(APPROVAL,)), Node(APPROVAL, None, success=("deploy",)), *_STEPS[1:]),
    ),
)
WORKFLOW_QUESTIONS = [*HOSTS, *SERVER, *WORKLOAD]
SCHEDULE = "nightly"


def _secret(field: str, label: str) -> dict[str, Any]:
    return {"fields": [{"id": field, "type": "string", "label": label, "secret": True}], "required": [field]}


# Secrets reach a job as files or in its environment, never as extra variables: AWX shows those. The types are one for the whole AWX, so
# their names have no prefix.
CREDENTIAL_TYPES: tuple[dict[str, Any], ...] = (
    {
        "name": "llmfleet model hub token",
        "description": "Token for models that are not public",
        "inputs": _secret("token", "Token"),
        "injectors": {"file": {"template": "{{ token }}"}, "env": {"LLMFLEET_HUB_TOKEN_FILE": "{{ tower.filename }}"}},
    },
    {
        "name": "llmfleet API key",
        "description": "The key that clients of the servers must send",
        "inputs": _secret("key", "Key"),
        "injectors": {"file": {"template": "{{ key }}"}, "env": {"LLMFLEET_API_KEY_FILE": "{{ tower.filename }}"}},
    },
    {
        "name": "Lambda Cloud API key",
        "description": "For the inventory plugin lambda_cloud and for campaigns",
        "inputs": _secret("key", "Key"),
        "injectors": {"env": {"LAMBDA_API_KEY": "{{ key }}"}},
    },
)
