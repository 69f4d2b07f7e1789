# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The charts of the report, drawn as plain SVG: no library to keep, no script, some kilobytes each. Pure.

Each function returns None when there is nothing to draw.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._metric_table import JUDGED

from .._plain import mapping, number, sequence
from .markup import Markup, join, tag
from .numbers import figure, percent
from .svg import (
    LEFT,
    RIGHT,
    WIDTH,
    Scale,
    axis,
    horizontal,
    line,
    mark,
    picture,
    stretch,
    text,
)
from .tables import backend, hardware

_ROW = 46.0
_COLOURS = 6


@dataclass(frozen=True)
class Chart:
    """A picture, its title, and the key to its marks."""

    title: str
    key: str
    picture: Markup


@dataclass(frozen=True)
class Point:
    """A point of a curve: its place, a word beside it, and its tooltip."""

    x: float
    y: float
    word: str
    title: str


@dataclass(frozen=True)
class Curve:
    """A named line through points."""

    name: str
    points: list[Point]


def throughput(report: dict[str, Any]) -> Chart | None:
    """A bar per group: the median, a line from the slowest to the fastest host, a tick at the published figure."""
    groups = [group for group in report["groups"] if group["hosts"]]
    if not groups:
        return None
    figures = [group["metrics"]["output_throughput"] for group in groups]
    published = [_published(group, "output_throughput") for group in groups]
    scale = horizontal(max(*(each["max"] for each in figures), *(value or 0 for value in published)))
    parts = []
    for row, (group, each, reference) in enumerate(zip(groups, figures, published)):
        top = row * _ROW
        end = scale.at(each["median"])
        parts += [_label(group, top), tag("rect", x=LEFT, y=top + 22, width=end - LEFT, height=14, class_=_fill(group))]
        if each["max"] > each["min"]:
            parts.append(line(scale.at(each["min"]), top + 29, scale.at(each["max"]), top + 29, "whisker"))
        parts.append(_reference(scale, reference, top))
        furthest = max(end, scale.at(each["max"]), scale.at(reference or 0))
        parts.append(text(furthest + 5, top + 33, figure(each["median"])))
    words = [f"{_name(group)}: {figure(each['median'])}" for group, each in zip(groups, figures)]
    return _rows("throughput", "Output tokens per second by hardware and backend", words, scale, parts, len(groups),
                 "output tokens per second", "Bar: median of the hosts. Thin line: slowest to fastest host. Long tick: "
                 "published (inferred). Broken outline: SIMULATED.")  # fmt: skip


def latency(report: dict[str, Any], name: str) -> Chart | None:
    """A line per group from the median to the 99th percentile of a latency; `name` is ttft, tpot or itl."""
    measured = []
    for group in report["groups"]:
        points = {key: _median(group, f"{key}_{name}_ms") for key in ("median", "p90", "p99")}
        points["median"] = _median(group, f"p50_{name}_ms") if points["median"] is None else points["median"]
        if points["median"] is not None and points["p99"] is not None:
            measured.append((group, points, _published(group, f"p99_{name}_ms")))
    if not measured:
        return None
    scale = horizontal(max(max(points["p99"], reference or 0) for _group, points, reference in measured))
    parts, words = [], []
    for row, (group, points, reference) in enumerate(measured):
        top = row * _ROW
        y = top + 29
        parts += [_label(group, top), line(scale.at(points["median"]), y, scale.at(points["p99"]), y, "range")]
        parts.append(mark(0, scale.at(points["median"]), y, "point"))
        if points["p90"] is not None:
            parts.append(line(scale.at(points["p90"]), y - 6, scale.at(points["p90"]), y + 6, "range"))
        parts.append(mark(2, scale.at(points["p99"]), y, "point"))
        parts.append(_reference(scale, reference, top))
        parts.append(text(max(scale.at(points["p99"]), scale.at(reference or 0)) + 9, y + 4, figure(points["p99"])))
        words.append(f"{_name(group)}: median {figure(points['median'])}, P99 {figure(points['p99'])}")
    return _rows(name, f"{name.upper()}, median to P99", words, scale, parts, len(measured), f"{name.upper()} (ms)",
                 "Circle: median. Tick: P90. Diamond: P99. Long tick: published P99 (inferred).")  # fmt: skip


def hosts(report: dict[str, Any]) -> Chart | None:
    """A point per host: how far it lies from the median of its group; outliers larger, and named."""
    groups = [group for group in report["groups"] if len(group["hosts"]) > 1]
    if not groups:
        return None
    rows = {row["host"]: row for row in report["hosts"]}
    deviations = [rows[host]["deviation"] or 0.0 for group in groups for host in group["hosts"]]
    reach = max(0.01, *(abs(value) for value in deviations)) * 110
    scale = stretch(-reach, reach, LEFT, WIDTH - RIGHT)
    parts: list[str] = []
    for index, group in enumerate(groups):
        top = index * _ROW
        parts.append(_label(group, top))
        for turn, host in enumerate(group["hosts"]):
            parts.append(_host(rows[host], scale, top + 29, turn * 5 % 17 - 8.0))
    marked = [f"{host} {percent(rows[host]['deviation'])}" for group in groups for host in group["outliers"]]
    words = [f"{len(deviations)} hosts in {len(groups)} groups", f"outliers: {', '.join(marked[:20]) or 'none'}"]
    return _rows("hosts", "Each host's throughput against the median of its group", words, scale, parts, len(groups),
                 "from the median of the group", "Circle: a host. Named triangle: an outlier.", unit=" %")  # fmt: skip


def sweep(report: dict[str, Any]) -> Chart | None:
    """Throughput against time per token at each concurrency that was tried; a line per group."""
    curves = [(group, _curve(group, report["hosts"])) for group in report["groups"]]
    curves = [(group, curve) for group, curve in curves if len(curve) > 1]
    if not curves:
        return None
    points = [point for _group, curve in curves for point in curve]
    high = max(point[1] for point in points)
    across = stretch(0, high, LEFT + 40, WIDTH - RIGHT - 24)
    upward = stretch(0, max(point[2] for point in points) * 1.1, 190, 10)

    def point(level: float, x: float, y: float) -> Point:
        title = f"concurrency {level:g}: {figure(x)} tok/s, {figure(y)} ms"
        return Point(across.at(x), upward.at(y), f"{level:g}", title)

    lines = [Curve(_name(group), [point(*step) for step in curve]) for group, curve in curves]
    return _lines(
        "sweep",
        "Throughput against time per output token",
        "Upward: mean TPOT in ms. The number at a point is the concurrency.",
        lines,
        join(*_levels(upward), axis(across, 10, 190, "output tokens per second")),
    )


def history(report: dict[str, Any]) -> Chart | None:
    """The median throughput of each group in each run, against its first run."""
    courses = [(group, group.get("course") or []) for group in report["groups"]]
    courses = [(group, course) for group, course in courses if len(course) > 1]
    if not courses:
        return None
    runs = sorted({(point["generated_at"], point["run"]) for _group, course in courses for point in course})
    place = {run: index for index, run in enumerate(runs)}
    first = {group["id"]: course[0][JUDGED] for group, course in courses}
    changes = [point[JUDGED] / first[group["id"]] - 1 for group, course in courses for point in course]
    reach = max(1.0, *(abs(change) * 120 for change in changes))
    across = stretch(0, len(runs) - 1, LEFT + 40, WIDTH - RIGHT - 20)
    upward = stretch(-reach, reach, 190, 10)

    def point(group: dict[str, Any], past: dict[str, Any]) -> Point:
        change = past[JUDGED] / first[group["id"]] - 1
        title = f"{past['run']}: {figure(past[JUDGED])} tok/s, {percent(change)}"
        return Point(across.at(place[past["generated_at"], past["run"]]), upward.at(change * 100), "", title)

    lines = [Curve(_name(group), [point(group, past) for past in course]) for group, course in courses]
    label = f"runs from {runs[0][0][:10]} to {runs[-1][0][:10]}"
    return _lines(
        "history",
        "Throughput over time",
        "Upward: change of the median since the first run, in percent.",
        lines,
        join(*_levels(upward), text(WIDTH / 2, 222, label, anchor="middle", class_="soft")),
    )


def _reference(scale: Scale, value: float | None, top: float) -> Markup:
    """The long tick at a published figure; nothing where there is none."""
    return Markup("") if value is None else line(scale.at(value), top + 18, scale.at(value), top + 40, "reference")


def _rows(
    name: str,
    title: str,
    words: Sequence[str],
    scale: Scale,
    parts: Sequence[str],
    rows: int,
    label: str,
    key: str,
    unit: str = "",
) -> Chart:
    """A chart of one row per group over a common axis."""
    bottom = rows * _ROW + 2
    frame = axis(scale, 18, bottom, label, unit=unit)
    return Chart(title, key, picture(name, title, ". ".join(words), bottom + 42, frame, *parts))


def _lines(name: str, title: str, key: str, curves: list[Curve], frame: Markup) -> Chart:
    """A chart of curves, their names under it."""
    parts = [frame]
    for turn, curve in enumerate(curves):
        colour = f"c{turn % _COLOURS + 1}"
        path = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in curve.points)
        parts.append(tag("polyline", points=path, class_=f"curve {colour}"))
        for point in curve.points:
            word = text(point.x + 7, point.y - 6, point.word, class_="small") if point.word else Markup("")
            parts += [mark(turn, point.x, point.y, colour, point.title), word]
        legend = 246 + turn * 18
        parts += [mark(turn, LEFT + 6, legend - 4, colour), text(LEFT + 18, legend, curve.name)]
    words = ". ".join(f"{curve.name}: " + "; ".join(point.title for point in curve.points) for curve in curves)
    return Chart(title, key, picture(name, title, words, 246 + len(curves) * 18, *parts))


def _levels(upward: Scale) -> list[Markup]:
    """Horizontal grid lines with their values."""
    parts = []
    for value in upward.ticks():
        y = upward.at(value)
        parts += [line(LEFT + 36, y, WIDTH - RIGHT, y, "grid"), text(LEFT + 32, y + 4, f"{value:,.10g}", anchor="end")]
    return parts


def _host(row: dict[str, Any], scale: Scale, y: float, aside: float) -> Markup:
    """A host's point, moved a little aside so that equal hosts do not hide one another; an outlier stands in line."""
    deviation = row["deviation"] or 0.0
    x = scale.at(deviation * 100)
    title = f"{row['host']}: {figure(row['metrics']['output_throughput'])} tok/s, {percent(deviation)}"
    if not row["outlier"]:
        return mark(0, x, y + aside, "host", title)
    side, anchor = (9, "start") if x < WIDTH / 2 else (-9, "end")
    return join(mark(3, x, y, "outlier", title), text(x + side, y + 4, row["host"], anchor=anchor))


def _curve(group: dict[str, Any], rows: list[dict[str, Any]]) -> list[tuple[float, float, float]]:
    """Concurrency, output tokens per second and mean TPOT of each step, medians over the group's hosts."""
    names = set(group["hosts"])
    steps: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        for step in sequence(row["sweep"]) if row["host"] in names else []:
            get: Callable[[str], Any] = {**mapping(mapping(step).get("metrics")), **mapping(step)}.get
            level, x, y = (number(get(key)) for key in ("max_concurrency", "output_throughput", "mean_tpot_ms"))
            if level is not None and x is not None and y is not None:
                steps.setdefault(level, []).append((x, y))
    return [
        (level, statistics.median(x for x, _y in points), statistics.median(y for _x, y in points))
        for level, points in sorted(steps.items())
    ]


def _median(group: dict[str, Any], metric: str) -> Any:
    return mapping(group["metrics"].get(metric)).get("median")


def _published(group: dict[str, Any], metric: str) -> float | None:
    return mapping(mapping(group["published"]).get("metrics")).get(metric)


def _name(group: dict[str, Any]) -> str:
    return f"{hardware(group)}, {backend(group)}"


def _label(group: dict[str, Any], top: float) -> Markup:
    return text(LEFT, top + 14, _name(group))


def _fill(group: dict[str, Any]) -> str:
    return "bar simulated" if group["simulated"] else "bar"
