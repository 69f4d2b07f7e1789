# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What earlier reports measured, one JSON document per line, and how this report compares. Pure.

JSON lines, not a database: appended in one write, readable by eye and by any tool, mergeable, and safe on a network
file system, where SQLite's locks are not. A year of nightly runs of 1,000 hosts is some 25 MB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import BY_KEY, HISTORY, JUDGED, keys_in

from .._plain import mapping, number, sequence
from .statistics import lone_change, relative_change

SCHEMA_VERSION = 1
METRICS = keys_in(HISTORY)
_MOST_POINTS = 60
_SMALLEST = 1e-6  # of a figure that is compared: the logarithms of a smaller one lead out of all bounds


def parse(text: str) -> list[dict[str, Any]]:
    """The entries of a history file, oldest first; a line that cannot be read (a crash cut it) is left out."""
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("schema_version") == SCHEMA_VERSION and _whole(entry):
            entries.append(entry)
    return entries


def _whole(entry: dict[str, Any]) -> bool:
    """Whether an entry has all that this module looks up in it, of the types that it computes with."""
    groups, names = entry.get("groups"), (entry.get("label", 0), entry.get("fleet_run"))
    return (
        all(isinstance(entry.get(key), str) for key in ("run", "generated_at"))
        and all(name is None or isinstance(name, str) for name in names)
        and isinstance(groups, dict)
        and all(_whole_group(mapping(group)) for group in groups.values())
    )


def _whole_group(group: dict[str, Any]) -> bool:
    types = {"measured": str, "hosts": int, "values": dict}
    return all(isinstance(group.get(key), kind) for key, kind in types.items()) and all(
        isinstance(result, str) for result in mapping(group.get("results")).values()
    )


def entry(report: dict[str, Any], run: str, label: str | None) -> dict[str, Any]:
    """What the history keeps of a report: by group, the values of each counted host."""
    rows = {row["host"]: row for row in report["hosts"]}
    groups = {}
    for group in report["groups"]:
        members = [rows[host] for host in group["hosts"]]
        if members:
            groups[group["id"]] = {
                "measured": _measured(members),
                "results": {row["host"]: _result(row) for row in members},
                "hosts": len(members),
                "values": _values(members),
            }
    generated_at = report["generated_at"]
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "label": label,
        "fleet_run": report["fleet_run"] or _only(rows[host]["fleet_run"] for host in rows),
        "generated_at": generated_at,
        "groups": groups,
    }


def _only(names: Iterable[str | None]) -> str | None:
    """The one name that all have; None where they have none, or several."""
    found = set(names)
    return found.pop() if len(found) == 1 else None


def is_new(candidate: dict[str, Any], entries: Sequence[dict[str, Any]]) -> bool:
    """Whether the history lacks something: a host that was measured again, or a run that is given a name."""
    groups = [group for past in entries for group in past["groups"].values()]
    sets = {group["measured"] for group in groups}
    known = {item for group in groups for item in mapping(group.get("results")).items()}
    fresh = any(
        group["measured"] not in sets and not known.issuperset(group["results"].items())
        for group in candidate["groups"].values()
    )
    return fresh or bool(candidate["label"] and candidate["groups"])


def runs_of(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries, oldest first, with those of one run over the fleet as one: its slices and its nodes write one each."""
    runs: dict[object, dict[str, Any]] = {}
    for position, past in enumerate(entries):
        key = past.get("fleet_run") or position
        runs[key] = _joined(runs[key], past) if key in runs else past
    return list(runs.values())


def _joined(first: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Two entries of one run."""
    groups = dict(first["groups"])
    for name, group in later["groups"].items():
        groups[name] = _joined_group(groups[name], group) if name in groups else group
    return {**later, "label": later["label"] or first["label"], "groups": groups}


def _joined_group(first: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Two parts of one group; what came later counts for the hosts that are in both."""
    old, new = mapping(first.get("results")), mapping(later.get("results"))
    if set(old) <= set(new):
        return later
    values = {
        name: {**mapping(first["values"].get(name)), **mapping(later["values"].get(name))}
        for name in {**first["values"], **later["values"]}
    }
    return {**later, "results": {**old, **new}, "hosts": len({**old, **new}), "values": values}


def compared(
    report: dict[str, Any],
    current: dict[str, Any],
    entries: Sequence[dict[str, Any]],
    baseline: str | None,
    threshold: float,
) -> dict[str, Any]:
    """`report` with each group's change against the previous run and against `baseline`, and its course over time.

    Its `regressions` are against the baseline where there is one, else against the previous run.
    Raises UserError when no entry bears the name `baseline`.
    """
    runs = runs_of(entries)
    references = {"previous": runs, "baseline": _named(baseline, entries) if baseline else []}
    groups = []
    for group in report["groups"]:
        measured = current["groups"].get(group["id"])
        changes = {
            name: _change(group["id"], current, candidates, runs, threshold) if measured else None
            for name, candidates in references.items()
        }
        course = _course(group["id"], runs_of([*entries, current] if is_new(current, entries) else entries))
        groups.append({**group, "change": changes, "course": course})
    judge = "baseline" if baseline else "previous"
    return {
        **report,
        "groups": groups,
        "regression_threshold": threshold,
        "baseline": baseline,
        "regressions": [
            {
                "group": group["id"],
                "against": judge,
                "run": change["label"] or change["run"],
                **change["metrics"][JUDGED],
            }
            for group in groups
            if (change := group["change"][judge]) and change["verdict"] == "regression"
        ],
    }


def _named(name: str, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    runs = [past for past in entries if name in (past["label"], past["run"])]
    if not runs:
        names = list(dict.fromkeys(past["label"] or past["run"] for past in reversed(entries)))[:10]
        newest = f"one of the newest: {', '.join(names)}" if names else "one of a history that is empty"
        raise UserError(Problem(f"no run in the history is called {name!r}", newest, "correct report_baseline"))
    return runs


def _change(
    group_id: str,
    current: dict[str, Any],
    candidates: Sequence[dict[str, Any]],
    runs: Sequence[dict[str, Any]],
    threshold: float,
) -> dict[str, Any] | None:
    """The change against the newest candidate that measured the same group at another time."""
    measured = current["groups"][group_id]
    for past in reversed(candidates):
        before = past["groups"].get(group_id)
        if before and not _is_part(past, current, group_id):
            earlier = [run for run in _runs(group_id, runs) if not _is_part(run["at"], current, group_id)]
            metrics = {name: _metric(name, before, measured, earlier) for name in METRICS}
            verdict = _verdict(metrics[JUDGED], threshold)
            return {"run": past["run"], "label": past["label"], "verdict": verdict, "metrics": metrics}
    return None


def _is_part(past: dict[str, Any], current: dict[str, Any], group_id: str) -> bool:
    """Whether both are of one run: by its name, or because a result of a host is in both."""
    before, now = past["groups"][group_id], current["groups"][group_id]
    same = before["measured"] == now["measured"] or bool(
        mapping(before.get("results")).items() & now["results"].items()
    )
    return same or (bool(current["fleet_run"]) and past.get("fleet_run") == current["fleet_run"])


def _metric(
    name: str, before: dict[str, Any], now: dict[str, Any], earlier: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The change of one metric, and what its interval is based on.

    `hosts`: each host against itself, where two or more are in both runs. `runs`: the chance changes between earlier
    runs, for a lone host that has three of them. `groups`: the values of one run against those of the other.
    """
    old, new = _positive(before["values"].get(name)), _positive(now["values"].get(name))
    if not old or not new:
        return {"change": None, "low": None, "high": None, "hosts": 0, "basis": None}
    both = [host for host in new if host in old]
    means = [_mean(run["values"].get(name)) for run in earlier] if now["hosts"] == 1 else []
    usable = [mean for mean in means if mean]
    if len(both) > 1:
        change = relative_change([old[host] for host in both], [new[host] for host in both], paired=True)
        basis = "hosts"
    elif len(usable) > 2:
        steps = [after / first for first, after in zip(usable, usable[1:])]
        change, basis = lone_change(fmean(old.values()), fmean(new.values()), steps), "runs"
    else:
        change, basis = relative_change(list(old.values()), list(new.values()), paired=False), "groups"
    return {**change, "hosts": now["hosts"], "basis": None if change["low"] is None else basis}


def _runs(group_id: str, runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that measured a group, oldest first, each once."""
    newest = {past["groups"][group_id]["measured"]: past for past in runs if group_id in past["groups"]}
    return [past["groups"][group_id] | {"at": past} for past in newest.values()]


def _mean(values: Any) -> float | None:
    numbers = _positive(values).values()
    return fmean(numbers) if numbers else None


def _positive(values: Any) -> dict[str, float]:
    numbers = {host: number(value) for host, value in mapping(values).items()}
    return {host: value for host, value in numbers.items() if value is not None and value >= _SMALLEST}


def _verdict(change: dict[str, Any], threshold: float) -> str:
    """`regression` or `improvement` beyond the threshold; `unclear` when chance may explain it, as far as is known."""
    size = change["change"]
    if size is None or abs(size) < threshold:
        return "unchanged"
    if change["low"] is None or change["low"] <= 0 <= change["high"]:
        return "unclear"
    return "improvement" if (size > 0) == BY_KEY[JUDGED].larger_is_better else "regression"


def _course(group_id: str, runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The median of the judged metric in each run that measured the group, oldest first, at most sixty."""
    points = []
    for run in _runs(group_id, runs):
        values = _positive(run["values"].get(JUDGED)).values()
        if values:
            at = run["at"]
            points.append({"run": at["run"], "generated_at": at["generated_at"], JUDGED: median(values)})
    return points[-_MOST_POINTS:]


def _measured(members: list[dict[str, Any]]) -> str:
    """A name for exactly these measurements, so that a second report of the same results is not a second run."""
    text = "\n".join(sorted(f"{row['host']} {row['run_id']} {row['finished_at']}" for row in members))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _result(row: dict[str, Any]) -> str:
    """A name for exactly this measurement of a host."""
    return hashlib.sha256(f"{row['run_id']} {row['finished_at']}".encode()).hexdigest()[:8]


def _values(members: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Metric -> host -> value. A lone host that repeated its run gives each repeat a name of its own."""
    samples = [(row["host"], row["metrics"]) for row in members]
    if len(members) == 1:
        row = members[0]
        repeats = [mapping(repeat) for repeat in sequence(row["repeats"])]
        if len(repeats) > 1:
            samples = [(f"{row['host']} {row['run_id']} {turn}", repeat) for turn, repeat in enumerate(repeats, 1)]
    return {name: _rounded(samples, name) for name in METRICS}


def _rounded(samples: list[tuple[str, dict[str, Any]]], name: str) -> dict[str, float]:
    values = {sample: number(metrics.get(name)) for sample, metrics in samples}
    return {sample: round(value, 3) for sample, value in values.items() if value is not None}
