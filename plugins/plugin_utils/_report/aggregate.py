# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the report of a fleet, one plain dict, from the variables of its hosts. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import TOTALS, keys_in
from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

from .._plain import mapping, number
from . import drift, economy, facts, outliers, published
from .statistics import summary
from .workload import label

SCHEMA_VERSION = 1

_GROUP_KEYS = ("gpu", "gpu_count", "backend", "engine", "simulated", "model")


def fleet_report(
    hostvars: Mapping[str, Mapping[str, Any]],
    *,
    hosts: Sequence[str],
    play_hosts: Sequence[str] = (),
    alive_hosts: Sequence[str] = (),
    this_run_only: bool = False,
    fleet_run: str = "",
    max_age_s: float = 0.0,
    published_figures: Sequence[dict[str, Any]] = (),
    model_names: Mapping[str, str] | None = None,
    gpu_profiles: Mapping[str, dict[str, Any]] | None = None,
    hourly_price: Mapping[str, float] | None = None,
    currency: str = "USD",
    outlier_limit: float = 5.0,
    generated_at: str,
) -> dict[str, Any]:
    """The report over `hosts`, each of which gets a row, whatever its state.

    `play_hosts` and `alive_hosts` are Ansible's `ansible_play_hosts_all` and `ansible_play_hosts`: they distinguish
    a host that failed in this play from a host that was not part of it. `this_run_only`: leave out older results; `fleet_run`: those of
    another run over the fleet; `max_age_s`: those that ended longer ago (0: no limit).
    `model_names`: the published model that a folder holds, by the folder that a model is served from.
    `gpu_profiles`: profiles by GPU class, for hosts whose variables have none. `hourly_price`: price of a GPU per hour, by GPU
    class. `outlier_limit`: the robust z-score of an outlier.
    """
    in_play, alive = set(play_hosts), set(alive_hosts)
    wanted = facts.Wanted(
        this_run_only, fleet_run, (facts.seconds(generated_at) or 0.0) - max_age_s if max_age_s else 0.0
    )
    rows = [
        facts.host_row(
            host,
            hostvars[host],
            in_play=host in in_play,
            alive=host in alive,
            wanted=wanted,
            gpu_profiles=gpu_profiles or {},
        )
        for host in hosts
    ]
    prices = hourly_price or {}
    for row in rows:
        row.update(cost=_cost(row, prices), deviation=None, robust_z=None, outlier=None)
    groups = [_group(members, prices, outlier_limit) for members in _grouped(rows)]
    for group in groups:
        medians = {name: figure["median"] for name, figure in group["metrics"].items()}
        named = published.compare(group, medians, published_figures, model_names or {}) if group["hosts"] else None
        group["published"] = named
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": generated_at,
        "fleet_run": fleet_run or None,
        "simulated": any(row["simulated"] for row in rows),
        "currency": currency if prices else None,
        "outlier_limit": outlier_limit,
        "totals": _totals(rows, groups),
        "groups": groups,
        "hosts": rows,
    }


def _grouped(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows that have figures, put together where figures may be put together, in order of first appearance."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] in facts.MEASURED:
            groups.setdefault(_identity(row), []).append(row)
    return list(groups.values())


def _group(
    members: list[dict[str, Any]],
    prices: Mapping[str, float],
    outlier_limit: float,
) -> dict[str, Any]:
    first = members[0]
    counted = [row for row in members if row["status"] == "ok"]
    for row, standing in zip(counted, outliers.standings(counted, outlier_limit)):
        row.update(standing)
    metrics = _over_hosts(counted)
    medians = {name: figure["median"] for name, figure in metrics.items()}
    group: dict[str, Any] = {name: first[name] for name in (*_GROUP_KEYS, "gpu_name", "published_key", "workload")}
    group.update(
        id=_identity(first),
        workload_label=label(first["workload"]),
        model_revisions=_revisions(members),
        measured_at=_span(counted),
        hosts=[row["host"] for row in counted],
        invalid_hosts=[row["host"] for row in members if row["status"] == "invalid"],
        outliers=[row["host"] for row in counted if row["outlier"]],
        metrics=metrics,
        published=None,  # until it is compared
        hourly_price=number(prices.get(first["gpu"])),
        cost_per_million_output_tokens=_cost({**first, "metrics": medians}, prices),
        energy=economy.energy(counted),
        drift=drift.differences(counted),
    )
    return group


def _revisions(rows: list[dict[str, Any]]) -> list[str]:
    """The revisions of the model that the hosts served, each once; empty where none is known."""
    servers = [mapping(row["provenance"].get("server")) for row in rows]
    return sorted({one_line(server["model_revision"]) for server in servers if server.get("model_revision")})


def _span(rows: list[dict[str, Any]]) -> list[str]:
    """When the first and when the last of these results ended; empty where none says so."""
    times = sorted(row["finished_at"] for row in rows if row["finished_at"])
    return [times[0], times[-1]] if times else []


def _identity(row: dict[str, Any]) -> str:
    """What must be equal for figures to be put together or compared over time, as one line."""
    origin = "simulated" if row["simulated"] else "measured"
    hardware = f"{row['gpu_count']:g}x {row['gpu']}"
    return " | ".join(
        [hardware, f"{row['backend']} {row['engine']}", origin, str(row["model"]), label(row["workload"])]
    )


def _cost(row: dict[str, Any], prices: Mapping[str, float]) -> float | None:
    price = number(prices.get(row["gpu"]))
    return economy.cost(price, row["gpu_count"], row["metrics"].get("output_throughput"))


def _over_hosts(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(name for row in rows for name in row["metrics"])
    values = {name: [row["metrics"][name] for row in rows if row["metrics"].get(name) is not None] for name in names}
    return {name: summary(figures) for name, figures in values.items()}


def _totals(rows: list[dict[str, Any]], groups: list[dict[str, Any]]) -> dict[str, Any]:
    counted = [row for row in rows if row["status"] == "ok"]
    return {
        "hosts": len(rows),
        **{status: sum(row["status"] == status for row in rows) for status in facts.STATUSES},
        "simulated": sum(row["simulated"] for row in rows),
        "groups": len(groups),
        **{metric: _sum(counted, metric) for metric in keys_in(TOTALS)},
    }


def _sum(rows: list[dict[str, Any]], metric: str) -> float | None:
    """Exact, so that every Python writes the same last digit: from 3.12 on `sum` adds in another way than before."""
    values = [row["metrics"][metric] for row in rows if row["metrics"].get(metric) is not None]
    return math.fsum(values) if values else None
