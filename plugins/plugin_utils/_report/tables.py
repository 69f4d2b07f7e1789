# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the report, as data: every form (terminal, Markdown, HTML) prints the same cells. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils import _metric_table as metric_table

from .._plain import mapping, sequence
from .facts import MEASURED, STATUSES
from .numbers import (
    MISSING,
    count,
    figure,
    pair,
    percent,
    ratio,
    span,
)

SIMULATED = "SIMULATED"
SIMULATED_NOTE = "SIMULATED: figures marked so come from a simulated server, not from a GPU."

# Column titles with the figure each column shows: a metric's key, or the name of a latency.
THROUGHPUT = tuple((metric.heading, metric.key) for metric in metric_table.metrics_in(metric_table.THROUGHPUT))
LATENCY = tuple((f"{each.title} mean / P99 (ms)", each.name) for each in metric_table.LATENCIES if each.tabled)
CHANGES = tuple((metric.title, metric.key) for metric in metric_table.metrics_in(metric_table.HISTORY))
JUDGED = metric_table.BY_KEY[metric_table.JUDGED].title


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


def models(report: dict[str, Any]) -> list[str]:
    """Each model that was measured with its revision, a line each."""
    return list(
        dict.fromkeys(f"Model: {group['model'] or 'not known'}, {_revision(group)}" for group in report["groups"])
    )


def _revision(group: dict[str, Any]) -> str:
    revisions = group["model_revisions"]
    return f"revision {' and '.join(revisions)}" if revisions else "its revision was not recorded"


def measured(report: dict[str, Any]) -> list[str]:
    """When the figures were taken, and in which run over the fleet, in a line."""
    times = sorted(time for group in report["groups"] for time in group["measured_at"])
    if not times:
        return []
    when = f"Measured at {times[0]}" if times[0] == times[-1] else f"Measured from {times[0]} to {times[-1]}"
    return [when + (f", in run {report['fleet_run']}" if report["fleet_run"] else "")]


def throughput(report: dict[str, Any]) -> Table:
    """The published benchmark's first table: one row per GPU class and backend, the published figures under it."""

    def cells(get: Callable[[str], float | None], text: Callable[[float | None], str]) -> list[str]:
        return [text(get(metric)) for _title, metric in THROUGHPUT]

    return _beside_published(report, "Token throughput", [title for title, _metric in THROUGHPUT], cells)


def latency(report: dict[str, Any]) -> Table:
    """The published benchmark's second table: mean and P99 of TTFT, TPOT and ITL."""

    def cells(get: Callable[[str], float | None], text: Callable[[float | None], str]) -> list[str]:
        return [pair(text(get(f"mean_{name}_ms")), text(get(f"p99_{name}_ms"))) for _title, name in LATENCY]

    return _beside_published(report, "Latency", [title for title, _name in LATENCY], cells)


def spread(report: dict[str, Any]) -> Table:
    """How far the hosts of a row lie apart: smallest and largest figure."""
    rows = [
        [*_who(group), *(span(mapping(group["metrics"].get(metric))) for _title, metric in THROUGHPUT)]
        for group in report["groups"]
        if len(group["hosts"]) > 1
    ]
    header = [*_WHO, *(title for title, _metric in THROUGHPUT)]
    return Table("Smallest and largest figure over the hosts", header, rows, text_columns=len(_WHO))


def economy(report: dict[str, Any]) -> Table:
    """Price and energy of tokens, where a price is given or energy was measured."""
    rows = [
        [
            *_who(group),
            figure(group["hourly_price"]),
            figure(group["cost_per_million_output_tokens"]),
            *(figure(mapping(mapping(group["energy"]).get(key)).get("median")) for key in _ENERGY.values()),
        ]
        for group in report["groups"]
        if group["hourly_price"] is not None or group["energy"]
    ]
    currency = report["currency"] or "price"
    prices = [f"{currency} per GPU hour", f"{currency} per million output tokens"]
    return Table("Cost and energy", [*_WHO, *prices, *_ENERGY], rows, text_columns=len(_WHO))


def changes(report: dict[str, Any]) -> Table:
    """Each group's change against the previous run and the baseline, with its interval and verdict."""
    rows = []
    for group in report["groups"]:
        for name, change in mapping(group.get("change")).items():
            if change:
                reference = f"{name}: {change['label'] or change['run']}"
                figures = [_change(change["metrics"][metric]) for _title, metric in CHANGES]
                rows.append([hardware(group), backend(group), reference, change["verdict"], *figures])
    header = ["Hardware", "Backend", "Against", "Verdict", *(title for title, _metric in CHANGES)]
    threshold = percent(report.get("regression_threshold"), sign=False)
    notes = [f"The verdict is on {JUDGED}, from {threshold} on. In brackets: 95 % confidence interval."]
    if any("[" not in cell for row in rows for cell in row[4:]):
        notes.append("No brackets: a lone host with fewer than three earlier runs, so what chance does is not known.")
    return Table("Change over time", header, rows, text_columns=4, notes=notes)


def regressions(report: dict[str, Any]) -> list[str]:
    """Each regression in one line."""
    groups = {group["id"]: group for group in report["groups"]}
    return [
        f"{hardware(groups[each['group']])}, {backend(groups[each['group']])}: {_change(each)} output tokens per second "
        f"against the {each['against']} run {each['run']}"
        for each in report.get("regressions", [])
    ]


def outliers(report: dict[str, Any]) -> Table:
    """Hosts that are not like their group, with what may explain it; the group's median under them."""
    rows = {row["host"]: row for row in report["hosts"]}
    cells = []
    for group in report["groups"]:
        for host in group["outliers"]:
            row = rows[host]
            standing = [row["outlier"], percent(row["deviation"]), figure(row["robust_z"])]
            cells.append([host, row["gpu"], *standing[:1], _throttling(row), str(row["driver_version"] or MISSING),
                          *standing[1:], *_gpu_state(mapping(row["energy"]).get)])  # fmt: skip
        if group["outliers"]:
            medians = {key: figures["median"] for key, figures in mapping(group["energy"]).items()}
            cells.append(["  median of its group", group["gpu"], "", "", "", "", "", *_gpu_state(medians.get)])
    header = ["Host", "GPU", "Outlier", "Throttling", "Driver", "From median", "Robust z", *_GPU_STATE]
    limit = (
        f"A host is an outlier when its {JUDGED} lies more than {report['outlier_limit']:g} robust standard deviations "
    )
    return Table("Outliers", header, cells, text_columns=5, notes=[limit + "from the median of its group."])


def drift(report: dict[str, Any]) -> Table:
    """What differs among the hosts of one group."""
    rows = [
        [hardware(group), backend(group), item["what"], value["value"], _named_hosts(value), f"{value['count']:,}"]
        for group in report["groups"]
        for item in group["drift"]
        for value in item["values"]
    ]
    header = ["Hardware", "Backend", "What", "Value", "Which", "Hosts"]
    return Table("Differences within a group", header, rows, text_columns=5)


def problems(report: dict[str, Any]) -> Table:
    """Every host whose figures are not counted, and why."""
    rows = [
        [row["host"], row["gpu"], row["status"], row["reason"] or MISSING]
        for row in report["hosts"]
        if row["status"] != "ok"
    ]
    return Table("Hosts without a valid result", ["Host", "GPU", "Status", "Reason"], rows, text_columns=4)


def hosts(report: dict[str, Any]) -> Table:
    """Every host with its own figures; those of an invalid result are shown here alone."""
    header = ["Host", "GPU", "Backend", "Status", "Measured", JUDGED, "From median", "Robust z",
              *(title for title, _name in LATENCY), "J per token"]  # fmt: skip
    return Table("Hosts", header, [_host(row) for row in report["hosts"]], text_columns=5, notes=_left_alone(report))


def _left_alone(report: dict[str, Any]) -> list[str]:
    """The GPUs that no server of a host uses, once for all hosts that have the same ones."""
    hosts_by_gpus: dict[str, list[str]] = {}
    for row in report["hosts"]:
        gpu = mapping(mapping(row["provenance"].get("server")).get("gpu"))
        words = "; ".join(map(str, sequence(gpu.get("left"))))
        if words:
            hosts_by_gpus.setdefault(words, []).append(row["host"])
    return [f"Left alone on {_few(names)}: {words}." for words, names in hosts_by_gpus.items()]


def provenance(report: dict[str, Any]) -> Table:
    """What it takes to repeat each host's number."""
    rows = [_origin(row) for row in report["hosts"] if row["status"] in MEASURED]
    header = ["Host", "Run", "Engine", "Image digest", "Model revision", "Driver", "Kernel", "Client", "Seed", "Record"]
    return Table("Provenance", header, rows, text_columns=10)


def commands(report: dict[str, Any]) -> Table:
    """The distinct command lines of servers and benchmarks, and who ran them."""
    hosts_by_command: dict[tuple[str, str], list[str]] = {}
    for row in report["hosts"]:
        if row["status"] in MEASURED:
            argv = sequence(mapping(row["provenance"].get("server")).get("argv"))
            for kind, text in (
                ("server", " ".join(map(str, argv))),
                ("benchmark", row["provenance"].get("run_command")),
            ):
                if text:
                    hosts_by_command.setdefault((kind, str(text)), []).append(row["host"])
    rows = [[kind, text, _few(names)] for (kind, text), names in sorted(hosts_by_command.items())]
    return Table("Commands", ["What", "Command", "Hosts"], rows, text_columns=3)


def hardware(group: dict[str, Any]) -> str:
    """What the figures were measured on, as the published benchmark writes it."""
    return f"{group['gpu_count']:g}× {group['gpu_name']}"


def backend(group: dict[str, Any]) -> str:
    """The engine, and SIMULATED where it is the simulator."""
    return f"{group['engine']} {SIMULATED}" if group["simulated"] else str(group["engine"] or MISSING)


def model(group: dict[str, Any]) -> str:
    """The last part of the model's name."""
    return str(group["model"] or MISSING).rstrip("/").rpartition("/")[2] or MISSING


def members(group: dict[str, Any]) -> str:
    """The host's name when there is one, else how many hosts are counted."""
    counted, invalid = group["hosts"], group["invalid_hosts"]
    if len(counted) + len(invalid) == 1:
        return (counted + invalid)[0]
    return f"{len(counted):,} of {len(counted) + len(invalid):,}" if invalid else f"{len(counted):,}"


_ENERGY = {"J per output token": "energy_per_output_token_j", "Mean power (W)": "mean_power_w"}
_GPU_STATE = {
    "SM clock (MHz)": "mean_sm_clock_mhz",
    "Max. temperature (°C)": "max_temperature_c",
    "Power (W)": "mean_power_w",
}


_WHO = ("Hardware", "Backend", "Model", "Hosts")


def _who(group: dict[str, Any]) -> list[str]:
    return [hardware(group), backend(group), model(group), members(group)]


def _beside_published(
    report: dict[str, Any],
    title: str,
    columns: list[str],
    cells: Callable[[Callable[[str], float | None], Callable[[float | None], str]], list[str]],
) -> Table:
    rows = []
    for group in report["groups"]:
        medians = {name: value["median"] for name, value in group["metrics"].items()}
        rows.append([*_who(group), *cells(medians.get, figure)])
        compared = group["published"]
        if compared and compared["comparable"]:
            source = f"{group['engine']} ({compared['label']})"
            rows.append(["  published", source, "", "", *cells(compared["metrics"].get, figure)])
            rows.append(["  measured / published", "", "", "", *cells(compared["ratio"].get, ratio)])
    return Table(title, [*_WHO, *columns], rows, text_columns=len(_WHO), notes=_notes(report))


def _notes(report: dict[str, Any]) -> list[str]:
    """What a reader must know to read the figures: workload, simulated, why nothing published stands beside them."""
    groups = report["groups"]
    notes = [f"{each}." for each in [*models(report), *measured(report)]]
    notes += [f"Workload: {text}." for text in dict.fromkeys(group["workload_label"] for group in groups)]
    if any(len(group["hosts"]) > 1 for group in groups):
        notes.append("Each figure is the median over the hosts of its row.")
    compared = [group for group in groups if group["published"]]
    reasons = [group["published"]["reason"] for group in compared if group["published"]["reason"]]
    notes += [f"Not compared with published figures: {reason}." for reason in dict.fromkeys(reasons)]
    taken = {group["model"]: name for group in compared if (name := group["published"]["taken_as"])}
    notes += [f"The model in {folder} is taken as {name}." for folder, name in taken.items()]
    return notes


def _change(change: dict[str, Any]) -> str:
    if change["low"] is None:
        return percent(change["change"])
    return f"{percent(change['change'])} [{percent(change['low'])}, {percent(change['high'])}]"


def _gpu_state(get: Callable[[str], Any]) -> list[str]:
    return [figure(get(key)) for key in _GPU_STATE.values()]


def _throttling(row: dict[str, Any]) -> str:
    energy = mapping(row["energy"])
    return ", ".join(map(str, sequence(energy.get("throttle_reasons")))) or ("none" if energy else MISSING)


def _host(row: dict[str, Any]) -> list[str]:
    get = row["metrics"].get
    status = f"{row['status']}, {row['outlier']} outlier" if row["outlier"] else row["status"]
    latencies = [pair(figure(get(f"mean_{name}_ms")), figure(get(f"p99_{name}_ms"))) for _title, name in LATENCY]
    energy = figure(mapping(row["energy"]).get("energy_per_output_token_j"))
    standing = [percent(row["deviation"]), figure(row["robust_z"])]
    return [row["host"], row["gpu"], backend(row), status, str(row["finished_at"] or MISSING),
            figure(get(metric_table.JUDGED)), *standing, *latencies, energy]  # fmt: skip


def _origin(row: dict[str, Any]) -> list[str]:
    server, host = mapping(row["provenance"].get("server")), mapping(row["provenance"].get("host"))
    client = mapping(row["client"])
    cells = (
        row["run_id"],
        " ".join(str(part) for part in (row["backend"] or row["engine"], row["engine_version"]) if part),
        server.get("image_digest"),
        server.get("model_revision"),
        row["driver_version"],
        host.get("kernel"),
        " ".join(str(client[key]) for key in ("name", "version", "clock") if client.get(key)),
        row["provenance"].get("seed"),
        row["record_path"],
    )
    return [row["host"], *(MISSING if value in (None, "") else str(value) for value in cells)]


def _named_hosts(value: dict[str, Any]) -> str:
    return _few(value["hosts"], value["count"])


def _few(names: list[str], total: int | None = None) -> str:
    more = (total or len(names)) - len(names[:5])
    return ", ".join(names[:5]) + (f" and {more:,} more" if more else "")
