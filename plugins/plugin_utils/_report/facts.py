# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads one host's variables into one row of the report. Pure; never raises, whatever the variables hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import JUDGED

from .._plain import (
    mapping,
    number,
    one_line,
    plain,
    sequence,
)

SCHEMA_VERSION = 1
MEASURED = ("ok", "invalid")  # the states that have figures
STATUSES = ("ok", "invalid", "failed", "unreachable", "missing")
SIMULATED_DEFAULT_ENGINE = "vllm"

_COPIED = ("client", "strict", "steady_state", "sweep", "repeats", "confidence", "energy", "errors", "server_counters")


def host_row(
    host: str,
    variables: Mapping[str, Any],
    *,
    in_play: bool,
    alive: bool,
    this_run_only: bool = False,
    gpu_profiles: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """The row of `host`: always a status and, unless it is `ok`, a reason that names what to do.

    `in_play`: the host belongs to the current play; `alive`: it has neither failed nor been unreachable there.
    `this_run_only`: a result counts only if the host took part in this run to its end.
    `gpu_profiles`: profiles by GPU class, for a host whose variables have none.
    """
    benchmark = _newest(_candidates(variables, "llmfleet_benchmark"))
    provenance = mapping(benchmark.get("provenance"))
    server = mapping(provenance.get("server")) or _newest(_candidates(variables, "llmfleet_server"))
    gpu = mapping(server.get("gpu"))
    profile = _profile(variables, gpu.get("class"), gpu_profiles)
    absence = _absence(host, variables, in_play=in_play, alive=alive)
    status, reason = _status(host, benchmark, absence, this_run_only=this_run_only)
    gpu_class = str(gpu.get("class") or profile.get("gpu_class") or "unknown")
    row: dict[str, Any] = {
        "host": host,
        "status": status,
        "reason": reason,
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
        "started_at": benchmark.get("started_at"),
        "finished_at": benchmark.get("finished_at"),
        "workload": mapping(benchmark.get("workload")),
        "metrics": _numbers(mapping(benchmark.get("metrics"))) if status in MEASURED else {},
        "validity": _checks(mapping(benchmark.get("validity"))),
        "provenance": {**provenance, "server": server},
        "record_path": benchmark.get("record_path"),
    }
    row.update({key: benchmark.get(key) for key in _COPIED})
    return row


def _profile(
    variables: Mapping[str, Any], gpu_class: Any, gpu_profiles: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """The host's own profile, else that of the class it was deployed as, else that of its groups; empty when there is none."""
    own = mapping(plain(variables.get("gpu_profile")))
    classes = [str(gpu_class), *reversed(sequence(plain(variables.get("group_names"))))]
    return own or next((gpu_profiles[name] for name in classes if name in gpu_profiles), {})


def engine(server: dict[str, Any]) -> str | None:
    """The engine whose figures these are: the backend itself, or the engine that a simulator plays."""
    if server.get("backend") != "simulator":
        return server.get("backend")
    return server.get("engine") or SIMULATED_DEFAULT_ENGINE


def _candidates(variables: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Every place that may hold the fact: this run, the fact cache, the host's own file (read as a local fact)."""
    facts = variables.get("ansible_facts")
    facts = facts if isinstance(facts, Mapping) else {}
    local = facts.get("ansible_local")
    local = local if isinstance(local, Mapping) else {}
    places = (variables.get(name), facts.get(name), local.get(name))
    return [plain(place) for place in places if isinstance(place, Mapping) and place]


def _newest(candidates: list[dict[str, Any]]) -> dict[str, Any]:
    """The result that finished last; one without a time counts as current, and the first of equals wins."""
    return max(candidates, key=lambda fact: str(fact.get("finished_at") or "9999"), default={})


def _absence(host: str, variables: Mapping[str, Any], *, in_play: bool, alive: bool) -> tuple[str, str] | None:
    """Status and reason of a host that this play has lost, could not measure or never had; None for any other.

    Two variables of a host say more than that it is lost, as role report documents them: `report_contact`, what the first task of the play
    returned (`unreachable`, `failed`, `msg`), and `report_failure_reason`, why the play could not measure it.
    """
    contact = mapping(plain(variables.get("report_contact")))
    if contact.get("unreachable") is True:
        return "unreachable", f"could not be reached: {contact.get('msg') or 'no connection'}"
    if variables.get("report_failure_reason"):
        return "failed", str(variables["report_failure_reason"])
    if contact.get("failed") is True:
        return "failed", f"its results could not be read: {contact.get('msg') or 'no reason given'}"
    if not in_play:
        return "missing", f"not part of this run: run bench.yml -l {host}"
    preflight = mapping(plain(variables.get("gpu_preflight_summary")))
    if not alive and preflight.get("verdict") == "failed":
        return "failed", f"preflight: {_preflight_failures(preflight)}"
    if not alive:
        return "failed", "failed or became unreachable during this play, see its messages above"
    return None


def _preflight_failures(summary: dict[str, Any]) -> str:
    """The failed checks of the host's preflight, as role gpu_preflight keeps them."""
    checks = [mapping(check) for check in sequence(summary.get("checks"))]
    failed = [check for check in checks if check.get("severity") == "error"]
    return "; ".join(
        f"{check.get('name')}: found {check.get('found')}, needed {check.get('needed')}" for check in failed
    )


def _status(
    host: str, benchmark: dict[str, Any], absence: tuple[str, str] | None, *, this_run_only: bool
) -> tuple[str, str | None]:
    if absence and _outdated(benchmark, absence[0], this_run_only=this_run_only):
        last_result = f"; its last result ({benchmark.get('status')}, {benchmark.get('finished_at')}) is not counted"
        return absence[0], _reason(absence[1] + (last_result if benchmark else ""))
    if not benchmark:
        return "missing", f"has no result yet: run bench.yml -l {host}"
    fault = _fault(host, benchmark)
    if fault:
        return "failed", _reason(fault)
    if benchmark["status"] == "invalid":
        return "invalid", _reason(benchmark.get("reason") or _failed_checks(benchmark) or "invalid, no reason given")
    return "ok", None


def _reason(text: Any) -> str:
    return one_line(text, 400)


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
    if number(mapping(benchmark.get("metrics")).get(JUDGED)) is None:
        return f"its result has no figure for {JUDGED}: run bench.yml -l {host} again"
    return None


def _outdated(benchmark: dict[str, Any], absence: str, *, this_run_only: bool) -> bool:
    """Whether an absent host's result is of an earlier run. A failure that this run itself recorded is not."""
    if not benchmark or this_run_only:
        return True
    return absence == "failed" and benchmark.get("status") != "failed"


def _failed_checks(benchmark: dict[str, Any]) -> str:
    checks = _checks(mapping(benchmark.get("validity")))["checks"]
    return "; ".join(str(check["message"] or check["name"]) for check in checks if check["status"] == "fail")


def _checks(validity: dict[str, Any]) -> dict[str, Any]:
    """The checks as a list of complete dicts: name, status, value, limit, message."""
    keys = ("name", "status", "value", "limit", "message")
    return {"checks": [{key: mapping(check).get(key) for key in keys} for check in sequence(validity.get("checks"))]}


def _numbers(metrics: dict[str, Any]) -> dict[str, float | int | None]:
    return {key: number(value) for key, value in metrics.items()}
