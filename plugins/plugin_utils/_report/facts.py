# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads one host's variables into one row of the report. Pure; never raises, whatever the variables hold.

Facts cross a border first (`_border.cross`, with the shapes of `fact_schema.py`): one that is not what it has to be is the reason of
the host's row, and none of its figures count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import JUDGED
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import hidden, hidden_document
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from .._border import UNREAD, bounded, cross, described
from .._plain import mapping, number, sequence
from .fact_schema import SHAPES

SCHEMA_VERSION = 1
MEASURED = ("ok", "invalid")  # the states that have figures
STATUSES = ("ok", "invalid", "stale", "failed", "unreachable", "missing")
SIMULATED_DEFAULT_ENGINE = "vllm"
LONGEST_REASON = 1000  # characters
DEPLOYED = "llmfleet_deployed_"  # begins the names of what the jobs of deploy.yml leave in a run over the fleet

_COPIED = ("client", "strict", "steady_state", "sweep", "repeats", "confidence", "energy", "errors", "server_counters")


class Fact(NamedTuple):
    """A fact behind the border: what can be used of it, and in words why it cannot be used, empty when it can."""

    value: dict[str, Any]
    fault: str = ""


class Wanted(NamedTuple):
    """Which results count: those of hosts that took part in this play to its end (`this_run_only`), those of one run over the fleet
    (`fleet_run`; empty for any), and those that ended at `not_before` or later (seconds since the epoch; 0 for any time)."""

    this_run_only: bool = False
    fleet_run: str = ""
    not_before: float = 0.0


ANY_RESULT = Wanted()


class Absence(NamedTuple):
    """Why this play has no result of a host: the status of its row, the reason, and the run that failed where there is one."""

    status: str
    reason: str
    run: Mapping[str, Any] = MappingProxyType({})


def host_row(
    host: str,
    variables: Mapping[str, Any],
    *,
    in_play: bool,
    alive: bool,
    wanted: Wanted = ANY_RESULT,
    gpu_profiles: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The row of `host`: always a status and, unless it is `ok`, a reason that names what to do.

    `in_play`: the host belongs to the current play; `alive`: it has neither failed nor been unreachable there.
    `wanted`: which results count; another one is `stale`.
    `gpu_profiles`: profiles by GPU class, for a host whose variables have none.
    A result that does not count is named in the reason, and nothing else in the row is of it.
    """
    benchmark = _newest(_candidates(variables, "llmfleet_benchmark"))
    absence = _absence(host, variables, in_play=in_play, alive=alive)
    old, undeployed = _stale(host, benchmark.value, wanted), _undeployed(host, variables, wanted.fleet_run)
    if absence and (old or _outdated(benchmark.value, absence.status, this_run_only=wanted.this_run_only)):
        shown, server = dict(absence.run), _newest(_candidates(variables, "llmfleet_server"))
        verdict: tuple[str, str | None] = absence.status, absence.reason + _not_counted(benchmark.value)
    elif undeployed or old:
        shown, server = {}, _newest(_candidates(variables, "llmfleet_server"))
        verdict = ("failed", undeployed) if undeployed else ("stale", old)
    else:
        shown, measured = benchmark.value, mapping(mapping(benchmark.value.get("provenance")).get("server"))
        server = Fact(measured) if measured else _newest(_candidates(variables, "llmfleet_server"))
        verdict = _status(host, benchmark, server)
    return _row(host, verdict, shown, server.value, _profile(variables, server.value, gpu_profiles))


def _row(
    host: str,
    verdict: tuple[str, str | None],
    benchmark: dict[str, Any],
    server: dict[str, Any],
    profile: dict[str, Any],
) -> dict[str, Any]:
    """The row of a host by its `verdict`, status and reason."""
    status, reason = verdict
    provenance, gpu = mapping(benchmark.get("provenance")), mapping(server.get("gpu"))
    gpu_class = str(gpu.get("class") or profile.get("gpu_class") or "unknown")
    row: dict[str, Any] = {
        "host": host,
        "status": status,
        "reason": None if reason is None else one_line(hidden(one_line(reason)), LONGEST_REASON) or "no reason given",
        "gpu": gpu_class,
        "gpu_name": str(gpu.get("name") or profile.get("name") or gpu_class),
        "gpu_count": number(gpu.get("count")) or 1,
        "driver_version": gpu.get("driver_version"),
        "backend": server.get("backend"),
        "engine": engine(server),
        "engine_version": server.get("engine_version") or provenance.get("engine_version"),
        "simulated": bool(benchmark.get("simulated") or server.get("simulated")),
        "model": server.get("model") or provenance.get("model"),
        "published_key": profile.get("published_key"),
        "run_id": benchmark.get("run_id"),
        "fleet_run": benchmark.get("fleet_run"),
        "started_at": benchmark.get("started_at"),
        "finished_at": benchmark.get("finished_at"),
        "workload": mapping(benchmark.get("workload")),
        "metrics": mapping(benchmark.get("metrics")) if status in MEASURED else {},
        "validity": _checks(mapping(benchmark.get("validity"))),
        "provenance": hidden_document({**provenance, "server": server}),  # what earlier releases kept of secrets
        "record_path": benchmark.get("record_path"),
    }
    row.update({key: benchmark.get(key) for key in _COPIED})
    row["errors"] = hidden_document(row["errors"])
    return row


def _profile(
    variables: Mapping[str, Any], server: dict[str, Any], gpu_profiles: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """The host's own profile, else that of the class it was deployed as, else that of its groups; empty when there is none.

    What is no text in a profile is left out.
    """
    own, _fault = bounded(_variable(variables, "gpu_profile"))
    groups = _variable(variables, "group_names")
    classes = [mapping(server.get("gpu")).get("class"), *reversed(groups if isinstance(groups, list) else [])]
    known = (name for name in classes if isinstance(name, str) and name in gpu_profiles)
    profile = own or next((gpu_profiles[name] for name in known), {})
    return {key: value for key, value in profile.items() if isinstance(value, str)}


def engine(server: dict[str, Any]) -> str | None:
    """The engine whose figures these are: the backend itself, or the engine that a simulator plays."""
    if server.get("backend") != "simulator":
        return server.get("backend")
    return server.get("engine") or SIMULATED_DEFAULT_ENGINE


def _variable(variables: Mapping[str, Any], name: str) -> Any:
    """A variable of the host, or a member of one; None when there is none, or when it is a template that cannot be evaluated."""
    try:
        value = variables.get(name)
        bool(value)  # what is undefined says so when it is asked whether it is true
        return value
    except Exception:  # of Ansible or of Jinja, whatever stands in an inventory
        return None


def _members(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A variable that is a dictionary; an empty one in the place of anything else."""
    value = _variable(variables, name)
    return value if isinstance(value, Mapping) else {}


def _candidates(variables: Mapping[str, Any], name: str) -> list[Fact]:
    """What the places hold that may have the fact: this run, the fact cache, the host's own file (read as a local fact).

    A fact that cannot be used and has no readable time counts as current, unless it is the host's file: that one may be older
    than a run that has just been measured.
    """
    facts = _members(variables, "ansible_facts")
    local, unread = _members(facts, "ansible_local"), _members(facts, UNREAD)
    found, kept = [*_read(variables, name), *_read(facts, name)], _read(local, name)
    kept += [Fact({}, one_line(_variable(unread, name)))] if name in unread else []
    return [*found, *(fact for fact in kept if not (fact.fault and not fact.value.get("finished_at") and found))]


def _read(place: Mapping[str, Any], name: str) -> list[Fact]:
    """The fact that a place holds; an empty list where it holds none."""
    fact = _variable(place, name)
    if not fact and (fact is None or isinstance(fact, Mapping)):
        return []
    value, fault = cross(fact, SHAPES[name])
    return [Fact(value, f"its fact {name} cannot be used: {fault}" if fault else "")]


def _newest(candidates: list[Fact]) -> Fact:
    """The result that finished last; one without a time counts as current, and the first of equals wins."""
    return max(candidates, key=lambda fact: str(fact.value.get("finished_at") or "9999"), default=Fact({}))


def _absence(host: str, variables: Mapping[str, Any], *, in_play: bool, alive: bool) -> Absence | None:
    """Why this play has lost a host, could not measure it or never had it; None for any other host.

    Three variables of a host say more than that it is lost, as role report documents them: `report_contact`, what the first task of the
    play returned (`unreachable`, `failed`, `msg`), `report_failure_reason`, why the play could not measure it, and `report_failed_run`,
    `run_id` and `workload` of the run that failed.
    """
    contact, reason = _members(variables, "report_contact"), _variable(variables, "report_failure_reason")
    words = _words(_variable(contact, "msg"))
    if _variable(contact, "unreachable") is True:
        return Absence("unreachable", f"could not be reached: {words or 'no connection'}")
    if reason:
        failed_run = cross(_variable(variables, "report_failed_run") or {}, SHAPES["llmfleet_benchmark"]).value
        return Absence("failed", _words(reason), failed_run)
    if _variable(contact, "failed") is True:
        return Absence("failed", f"its results could not be read: {words or 'no reason given'}")
    if not in_play:
        return Absence("missing", f"not part of this run: run bench.yml -l {host}")
    return None if alive else Absence("failed", _failure(variables))


def _words(value: Any) -> str:
    """What Ansible or a play says; empty for nothing."""
    return value if isinstance(value, str) else described(value) if value else ""


def _failure(variables: Mapping[str, Any]) -> str:
    """Why a host that this play has lost failed: its preflight, as role gpu_preflight keeps it, or whatever its messages say."""
    preflight, _fault = bounded(_variable(variables, "gpu_preflight_summary") or {})
    if preflight.get("verdict") != "failed":
        return "failed or became unreachable during this play, see its messages above"
    checks = [mapping(check) for check in sequence(preflight.get("checks"))]
    failed = [check for check in checks if check.get("severity") == "error"]
    return "preflight: " + "; ".join(
        f"{check.get('name')}: found {check.get('found')}, needed {check.get('needed')}" for check in failed
    )


def _status(host: str, benchmark: Fact, server: Fact) -> tuple[str, str | None]:
    this_version = benchmark.value.get("schema_version") in (None, SCHEMA_VERSION)
    if server.fault or (benchmark.fault and this_version):
        return "failed", _unusable(host, benchmark, server)
    if not benchmark.value:
        return "missing", f"has no result yet: run bench.yml -l {host}"
    fault = _fault(host, benchmark.value)
    if fault:
        return "failed", fault
    if benchmark.value["status"] == "invalid":
        return "invalid", (
            benchmark.value.get("reason") or _failed_checks(benchmark.value) or "invalid, no reason given"
        )
    return "ok", None


def _unusable(host: str, benchmark: Fact, server: Fact) -> str:
    """What is wrong with a host's facts; of a run that failed, its own reason comes first."""
    own = benchmark.value.get("reason") if benchmark.value.get("status") == "failed" else None
    words = f"{own}; " if own else ""
    remedy = f"run bench.yml -l {host}" if benchmark.fault else f"run deploy.yml -l {host}"
    return f"{words}{benchmark.fault or server.fault}: {remedy}"


def _fault(host: str, benchmark: dict[str, Any]) -> str | None:
    """Why a result has no figures that this report could use; None when it has."""
    version = benchmark.get("schema_version")
    if version != SCHEMA_VERSION:
        return (
            f"its result has schema version {version}, this report reads {SCHEMA_VERSION}: "
            f"run bench.yml -l {host} with this version of the collection"
        )
    status = benchmark.get("status")
    if status not in MEASURED:
        return str(benchmark.get("reason") or f"the benchmark ended with status {status!r}")
    if mapping(benchmark.get("metrics")).get(JUDGED) is None:
        return f"its result has no figure for {JUDGED}: run bench.yml -l {host} again"
    return None


def _stale(host: str, benchmark: dict[str, Any], wanted: Wanted) -> str:
    """Why a result is of another time than is wanted; empty where it is not. A time that cannot be read is no fault of its age."""
    if not benchmark:
        return ""
    ended = seconds(benchmark.get("finished_at"))
    if wanted.fleet_run and str(benchmark.get("fleet_run") or "") != wanted.fleet_run:
        of = f"run {benchmark['fleet_run']}" if benchmark.get("fleet_run") else "no run over the fleet"
        found = f"its newest result ({_named(benchmark)}) is of {of}, not of run {wanted.fleet_run}"
    elif ended is not None and ended < wanted.not_before:
        limit = datetime.fromtimestamp(wanted.not_before, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = f"its newest result ({_named(benchmark)}) ended before {limit}, which is too old"
    else:
        return ""
    return f"{found}: run bench.yml -l {host}"


def _undeployed(host: str, variables: Mapping[str, Any], fleet_run: str) -> str:
    """Why a result of a run over the fleet is not of what that run deployed; empty where it is, or the run deploys nothing.

    Each job of deploy.yml leaves the hosts on which it succeeded; a workflow that deploys begins with an empty list. On another host an
    older server may answer.
    """
    left = [_variable(variables, name) for name in variables if str(name).startswith(DEPLOYED)] if fleet_run else []
    if not left or any(host in sequence(hosts) for hosts in left):
        return ""
    return (
        f"its deployment in run {fleet_run} did not succeed, so no figure of it counts: the output of the job that deployed says why; "
        f"then run deploy.yml -l {host}"
    )


def seconds(time: Any) -> float | None:
    """A time of a fact, in seconds since the epoch; None where it has none."""
    try:
        moment = datetime.fromisoformat(str(time).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _outdated(benchmark: dict[str, Any], absence: str, *, this_run_only: bool) -> bool:
    """Whether an absent host's result is of an earlier run. A failure that this run itself recorded is not."""
    if not benchmark or this_run_only:
        return True
    return absence == "failed" and benchmark.get("status") != "failed"


def _not_counted(benchmark: dict[str, Any]) -> str:
    if not benchmark:
        return ""
    return f"; its last result ({_named(benchmark)}) is not counted"


def _named(benchmark: dict[str, Any]) -> str:
    """A result in a few words."""
    return ", ".join(str(benchmark[key]) for key in ("status", "finished_at", "run_id") if benchmark.get(key))


def _failed_checks(benchmark: dict[str, Any]) -> str:
    checks = _checks(mapping(benchmark.get("validity")))["checks"]
    return "; ".join(str(check["message"] or check["name"]) for check in checks if check["status"] == "fail")


def _checks(validity: dict[str, Any]) -> dict[str, Any]:
    """The checks as a list of complete dicts: name, status, value, limit, message, which may quote a server."""
    keys, checks = ("name", "status", "value", "limit"), map(mapping, sequence(validity.get("checks")))
    return {
        "checks": [
            {**{key: check.get(key) for key in keys}, "message": hidden_document(check.get("message"))}
            for check in checks
        ]
    }
