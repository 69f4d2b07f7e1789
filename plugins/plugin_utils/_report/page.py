# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as one HTML file that needs nothing else: no script, no font, no request. Pure but for its style sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import charts, tables
from .charts import Chart
from .markup import Markup, join, tag
from .numbers import figure
from .tables import Table

_STYLE = Markup(Path(__file__).with_name("page.css").read_text(encoding="utf-8"))
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LONG_CELL = 44  # characters; such a cell may take several lines
_FOLDED_ROWS = 30  # longer tables start folded


def render(report: dict[str, Any]) -> str:
    """The whole page."""
    sections = [part for part in _sections(report) if part[2]]
    title = f"Benchmark report, {report['generated_at']}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", _STYLE),
    )
    body = tag(
        "body",
        tag("a", "Skip to the figures", href="#throughput", class_="skip"),
        tag("header", tag("h1", title), *_alarms(report), _facts(report), _contents(sections)),
        tag("main", *(_section(*part) for part in sections)),
        tag("footer", tag("p", "Made by the collection llmfleet.serving.", class_="note")),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def table(content: Table) -> Markup:
    """A table with its caption, column and row headers, in a box that scrolls and takes the keyboard's focus."""
    head = tag(
        "tr", *(tag("th", cell, scope="col", class_=_side(content, at)) for at, cell in enumerate(content.header))
    )
    rows = [
        tag(
            "tr",
            tag("th", row[0].strip(), scope="row", class_="t"),
            *(tag("td", cell, class_=_side(content, at, cell)) for at, cell in enumerate(row[1:], 1)),
            class_="sub" if row[0].startswith("  ") else None,
        )
        for row in content.rows
    ]
    inside = tag("table", tag("caption", content.title), tag("thead", head), tag("tbody", *rows))
    box = tag("div", inside, class_="table", tabindex="0", role="region", aria_label=content.title)
    notes = [tag("p", note, class_="note") for note in content.notes]
    if len(content.rows) <= _FOLDED_ROWS:
        return join(box, *notes)
    summary = tag("summary", f"{content.title}: {len(content.rows):,} rows")
    return join(tag("details", summary, box), *notes)


def _sections(report: dict[str, Any]) -> list[tuple[str, str, Markup]]:
    """Anchor, heading and content of each section; an empty content is left out of the page."""
    latencies = [charts.latency(report, name) for _title, name in tables.LATENCY]
    return [
        ("problems", "Hosts without a valid result", _tables(tables.problems(report))),
        (
            "throughput",
            "Throughput",
            join(_charts(charts.throughput(report)), _tables(tables.throughput(report), tables.spread(report))),
        ),
        ("latency", "Latency", join(_charts(*latencies), _tables(tables.latency(report)))),
        ("change", "Change over time", join(_charts(charts.history(report)), _tables(tables.changes(report)))),
        ("sweep", "Throughput against latency", _charts(charts.sweep(report))),
        ("cost", "Cost and energy", _tables(tables.economy(report))),
        (
            "hosts",
            "Hosts",
            join(_charts(charts.hosts(report)), _tables(tables.outliers(report), tables.hosts(report))),
        ),
        ("differences", "Differences within a group", _tables(tables.drift(report))),
        ("provenance", "Provenance", _tables(tables.provenance(report), tables.commands(report))),
    ]


def _section(anchor: str, heading: str, content: Markup) -> Markup:
    return tag(
        "section", tag("h2", heading, id=f"{anchor}-heading"), content, id=anchor, aria_labelledby=f"{anchor}-heading"
    )


def _contents(sections: list[tuple[str, str, Markup]]) -> Markup:
    links = [tag("li", tag("a", heading, href=f"#{anchor}")) for anchor, heading, _content in sections]
    return tag("nav", tag("ul", *links), aria_label="Sections")


def _alarms(report: dict[str, Any]) -> list[Markup]:
    """What a reader must not miss: that figures are simulated, and each regression."""
    notices = [tables.SIMULATED_NOTE] if report["simulated"] else []
    notices += [f"Regression: {each}" for each in tables.regressions(report)]
    return [tag("p", notice, class_="alarm") for notice in notices]


def _facts(report: dict[str, Any]) -> Markup:
    totals = report["totals"]
    facts = {
        "Hosts with a valid result": f"{totals['ok']:,} of {totals['hosts']:,}",
        "Output tok/s of the fleet": figure(totals["output_throughput"]),
        "Outliers": f"{sum(len(group['outliers']) for group in report['groups']):,}",
        "Regressions": f"{len(report.get('regressions', [])):,}",
    }
    models = [tag("p", f"{each}.", class_="note") for each in tables.models(report)]
    figures = tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()), class_="facts"
    )
    return join(*models, figures)


def _charts(*drawn: Chart | None) -> Markup:
    figures = [_figure(each) for each in drawn if each]
    return tag("div", *figures, class_="charts") if figures else Markup("")


def _figure(chart: Chart) -> Markup:
    words = tag("figcaption", chart.title, tag("span", chart.key, class_="note"))
    box = tag("div", chart.picture, class_="scroll", tabindex="0", role="region", aria_label=chart.title)
    return tag("figure", words, box)


def _tables(*contents: Table) -> Markup:
    return join(*(table(content) for content in contents if content.rows))


def _side(content: Table, column: int, cell: str = "") -> str | None:
    """Text to the left, long text also in several lines."""
    if column >= content.text_columns:
        return None
    return "t long" if len(cell) > _LONG_CELL else "t"
