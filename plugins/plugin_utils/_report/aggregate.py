"""Makes the report of a fleet, one plain dict, from the variables of its hosts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import facts, published
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.statistics import summary
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.workload import label

SCHEMA_VERSION = 1

_GROUP_KEYS = ("gpu", "gpu_count", "backend", "engine", "simulated", "model")


def fleet_report(
    hostvars: Mapping[str, Mapping[str, Any]],
    *,
    hosts: Sequence[str],
    play_hosts: Sequence[str] = (),
    alive_hosts: Sequence[str] = (),
    this_run_only: bool = False,
    published_figures: Sequence[dict[str, Any]] = (),
    generated_at: str,
) -> dict[str, Any]:
    """The report over `hosts`, each of which gets a row, whatever its state.

    `play_hosts` and `alive_hosts` are Ansible's `ansible_play_hosts_all` and `ansible_play_hosts`: they tell a host
    that failed in this play from one that was not part of it. `this_run_only`: leave out older results.
    """
    in_play, alive = set(play_hosts), set(alive_hosts)
    rows = [
        facts.host_row(host, hostvars[host], in_play=host in in_play, alive=host in alive, this_run_only=this_run_only)
        for host in hosts
    ]
    groups = [_group(members, list(published_figures)) for members in _grouped(rows)]
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at,
        "simulated": any(row["simulated"] for row in rows),
        "totals": _totals(rows, groups),
        "groups": groups,
        "hosts": rows,
    }


def _grouped(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows that have figures, put together where figures may be put together, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] in ("ok", "invalid"):
            key = (*(row[name] for name in _GROUP_KEYS), label(row["workload"]))
            groups.setdefault(key, []).append(row)
    return list(groups.values())


def _group(members: list[dict[str, Any]], documents: list[dict[str, Any]]) -> dict[str, Any]:
    first = members[0]
    counted = [row for row in members if row["status"] == "ok"]
    group: dict[str, Any] = {name: first[name] for name in (*_GROUP_KEYS, "gpu_name", "published_key", "workload")}
    group["workload_label"] = label(first["workload"])
    group["hosts"] = [row["host"] for row in counted]
    group["invalid_hosts"] = [row["host"] for row in members if row["status"] == "invalid"]
    group["metrics"] = _over_hosts(counted)
    medians = {name: figure["median"] for name, figure in group["metrics"].items()}
    group["published"] = published.compare(group, medians, documents) if counted else None
    return group


def _over_hosts(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(name for row in rows for name in row["metrics"])
    values = {name: [row["metrics"][name] for row in rows if row["metrics"].get(name) is not None] for name in names}
    return {name: summary(found) for name, found in values.items()}


def _totals(rows: list[dict[str, Any]], groups: list[dict[str, Any]]) -> dict[str, Any]:
    counted = [row for row in rows if row["status"] == "ok"]
    return {
        "hosts": len(rows),
        **{status: sum(row["status"] == status for row in rows) for status in facts.STATUSES},
        "simulated": sum(row["simulated"] for row in rows),
        "groups": len(groups),
        "output_throughput": _sum(counted, "output_throughput"),
        "total_token_throughput": _sum(counted, "total_token_throughput"),
    }


def _sum(rows: list[dict[str, Any]], metric: str) -> float | None:
    values = [row["metrics"][metric] for row in rows if row["metrics"].get(metric) is not None]
    return sum(values) if values else None
