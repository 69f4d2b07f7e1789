"""The tables of the report, as data: every form (terminal, Markdown, HTML) prints the same cells. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.facts import STATUSES
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.numbers import (
    MISSING,
    count,
    figure,
    pair,
    ratio,
)

SIMULATED = "SIMULATED"
SIMULATED_NOTE = "SIMULATED: figures marked so come from a simulated server, not from a GPU."

THROUGHPUT = (
    ("Gen. tok/s", "output_throughput"),
    ("Per-user tok/s", "per_user_output_throughput"),
    ("Total tok/s", "total_token_throughput"),
    ("TTFT mean (ms)", "mean_ttft_ms"),
    ("ITL mean (ms)", "mean_itl_ms"),
)
LATENCY = (
    ("TTFT mean / P99 (ms)", "ttft"),
    ("TPOT mean / P99 (ms)", "tpot"),
    ("ITL mean / P99 (ms)", "itl"),
)


@dataclass(frozen=True)
class Table:
    """A titled table; the first `text_columns` columns hold text, the others numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]
    text_columns: int = 1
    notes: list[str] = field(default_factory=list)


def headline(report: dict[str, Any]) -> str:
    """The state of the fleet in one line."""
    totals = report["totals"]
    others = [f"{totals[status]:,} {status}" for status in STATUSES if status != "ok" and totals[status]]
    return ", ".join([f"{totals['ok']:,} of {count(totals['hosts'], 'host')} with a valid result", *others])


def throughput(report: dict[str, Any]) -> Table:
    """The source's first table: one row per GPU class and backend, the published figures under it."""

    def cells(get: Callable[[str], float | None], text: Callable[[float | None], str]) -> list[str]:
        return [text(get(metric)) for _title, metric in THROUGHPUT]

    return _by_group(report, "Token throughput", [title for title, _metric in THROUGHPUT], cells)


def latency(report: dict[str, Any]) -> Table:
    """The source's second table: mean and P99 of TTFT, TPOT and ITL."""

    def cells(get: Callable[[str], float | None], text: Callable[[float | None], str]) -> list[str]:
        return [pair(text(get(f"mean_{name}_ms")), text(get(f"p99_{name}_ms"))) for _title, name in LATENCY]

    return _by_group(report, "Latency", [title for title, _name in LATENCY], cells)


def problems(report: dict[str, Any]) -> Table:
    """Every host whose figures are not counted, and why."""
    rows = [
        [row["host"], row["gpu"], row["status"], row["reason"] or MISSING]
        for row in report["hosts"]
        if row["status"] != "ok"
    ]
    return Table("Hosts without a valid result", ["Host", "GPU", "Status", "Reason"], rows, text_columns=4)


def hardware(group: dict[str, Any]) -> str:
    """What the figures were measured on, in the source's words."""
    return f"{group['gpu_count']:g}× {group['gpu_name']}"


def backend(group: dict[str, Any]) -> str:
    """The engine, and SIMULATED where it is only played."""
    return f"{group['engine']} {SIMULATED}" if group["simulated"] else str(group["engine"])


def members(group: dict[str, Any]) -> str:
    """The host's name when there is one, else how many hosts are counted."""
    counted, invalid = group["hosts"], group["invalid_hosts"]
    if len(counted) + len(invalid) == 1:
        return (counted + invalid)[0]
    return f"{len(counted)} of {len(counted) + len(invalid)}" if invalid else str(len(counted))


def _by_group(
    report: dict[str, Any],
    title: str,
    columns: list[str],
    cells: Callable[[Callable[[str], float | None], Callable[[float | None], str]], list[str]],
) -> Table:
    rows = []
    for group in report["groups"]:
        medians = {name: value["median"] for name, value in group["metrics"].items()}
        rows.append([hardware(group), backend(group), members(group), *cells(medians.get, figure)])
        compared = group["published"]
        if compared and compared["comparable"]:
            source = f"{group['engine']} ({compared['label']})"
            rows.append(["  published", source, "", *cells(compared["metrics"].get, figure)])
            rows.append(["  measured / published", "", "", *cells(compared["ratio"].get, ratio)])
    return Table(title, ["Hardware", "Backend", "Hosts", *columns], rows, text_columns=3, notes=_notes(report))


def _notes(report: dict[str, Any]) -> list[str]:
    """What a reader must know to read the figures: workload, simulated, why nothing published stands beside them."""
    groups = report["groups"]
    notes = [f"Workload: {text}." for text in dict.fromkeys(group["workload_label"] for group in groups)]
    if any(len(group["hosts"]) > 1 for group in groups):
        notes.append("Each figure is the median over the hosts of its row.")
    reasons = [group["published"]["reason"] for group in groups if group["published"] and group["published"]["reason"]]
    notes += [f"Not compared with published figures: {reason}." for reason in dict.fromkeys(reasons)]
    return notes
