# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every form of a report that has something in every section: golden files, schema, limits, escapes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import facts as sample
import jsonschema
import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import digest, forms, query
from reports import NASTY, mixed_fleet, past, report

GOLDEN = Path(__file__).resolve().parents[3] / "fixtures" / "golden"
SCHEMA = json.loads((sample.ROOT / "roles/report/files/report.schema.json").read_text())
PRICES = {"b200": 4.99, "h100": 2.99}

NOTHING = {"output_throughput": 0, "mean_tpot_ms": 0}

FLEETS: dict[str, Any] = {
    "demo": sample.demo_fleet,
    "simulated": sample.simulated_fleet,
    "mixed": mixed_fleet,
    "empty": dict,
    "nothing known": lambda: {"a": {}, "b": sample.bare_host()},
    "all failed": lambda: {name: sample.host_facts(name, status="failed", reason="died") for name in ("a", "b")},
    "all invalid": lambda: {name: sample.host_facts(name, status="invalid", reason="warm") for name in ("a", "b")},
    "other schema": lambda: {"a": sample.host_facts("a", schema_version=7)},
    "keys missing": lambda: {"a": {"llmfleet_benchmark": {"schema_version": 1, "status": "ok", "metrics": {"output_throughput": 1.0}}}},
    "wrong types": lambda: {"a": sample.host_facts("a", workload=3, client="x", sweep={}, repeats=0, energy=[], errors=None, validity=[1])},
    "not a number": lambda: {"a": sample.host_facts("a", metrics={"output_throughput": 5.0, "mean_ttft_ms": float("nan")})},
    "zero sweep": lambda: {"a": sample.host_facts("a", sweep=[{"max_concurrency": n, **NOTHING} for n in (1, 2)])},
    "zero": lambda: {name: sample.host_facts(name, metrics={"output_throughput": 0.0}) for name in "abcdef"},
    "markup": lambda: {NASTY: sample.host_facts(NASTY, reason=NASTY)},
}  # fmt: skip


@pytest.fixture(params=FLEETS, ids=str)
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    return report(FLEETS[request.param](), entries=past(), hourly_price=PRICES)


class Page(HTMLParser):
    """Collects what the tests ask of a page, and holds that each element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_every_form_of_every_fleet(found: dict[str, Any]) -> None:
    files = forms.render(found, list(forms.FORMS))
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(files["report.json"]))
    for text in files.values():
        assert "nan" not in text.lower().replace("nanosecond", "").split()
        assert "\x1b" not in text
    page = Page(files["report.html"])
    assert page.named("script") == []
    assert len(list(csv.reader(io.StringIO(files["report.csv"])))) == 1 + found["totals"]["hosts"]
    assert len(json.dumps(digest.digest(found, directory=None, sha256=None))) <= digest.LIMIT_BYTES


@pytest.mark.parametrize(
    ("fleet", "form"),
    [
        ("demo", "json"),
        ("demo", "csv"),
        ("demo", "markdown"),
        ("demo", "text"),
        ("mixed", "csv"),
        ("mixed", "markdown"),
        ("mixed", "text"),
    ],
)
def test_golden(fleet: str, form: str) -> None:
    """UPDATE_GOLDEN=1 pytest ... writes them again: look at the difference before it is committed."""
    (name, text), *_rest = forms.render(report(FLEETS[fleet](), entries=past(), hourly_price=PRICES), [form]).items()
    golden = GOLDEN / f"{fleet}-{name}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", list(forms.FORMS))
def test_every_form_says_which_model_and_revision_was_measured(form: str) -> None:
    (text,) = forms.render(report(mixed_fleet()), [form]).values()
    assert "LiquidAI/LFM2.5-8B-A1B" in text and "0123456789abcdef" in text
    if form in ("markdown", "html"):
        assert "0123456789abcdef" in text[: text.index("Token throughput")], "not in the head"


def test_the_schema_is_a_schema_and_knows_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    whole = report(mixed_fleet(), entries=past(), baseline="v1")
    assert set(SCHEMA["required"]) == set(whole)
    assert set(SCHEMA["$defs"]["host"]["required"]) == set(whole["hosts"][0])
    assert set(SCHEMA["$defs"]["group"]["required"]) == set(whole["groups"][0])


def test_the_page_is_whole_accessible_and_asks_for_nothing() -> None:
    page = Page(forms.render(report(mixed_fleet(), entries=past()), ["html"])["report.html"])
    anchors = {attributes["id"] for _tag, attributes in page.tags if "id" in attributes}
    links = [attributes["href"] or "" for attributes in page.named("a")]
    assert links and all(link[1:] in anchors for link in links)
    assert page.named("html") == [{"lang": "en"}]
    pictures = page.named("svg")
    assert len(pictures) == 7
    for picture in pictures:
        assert picture["role"] == "img"
        assert set((picture["aria-labelledby"] or "").split()) <= anchors
    assert all(attributes.get("scope") for attributes in page.named("th"))
    assert len(page.named("caption")) == len(page.named("table"))
    assert not any(key in attributes for _tag, attributes in page.tags for key in ("src", "onclick", "onload", "style"))
    assert [each["href"] for each in page.named("link")] == ["data:,"]


def test_the_page_of_100_hosts_is_small() -> None:
    assert len(forms.render(report(sample.fleet(100)), ["html"])["report.html"].encode()) < 1_000_000


@pytest.mark.parametrize(
    "fleet",
    [
        sample.fleet(1000),
        {
            f"h{number}": sample.host_facts(f"h{number}", status="failed", reason="long " * 100)
            for number in range(1000)
        },
    ],
)
def test_a_large_fleet_still_fits_an_issue_and_the_statistics(fleet: dict[str, Any]) -> None:
    found = report(fleet)
    assert len(forms.render(found, ["markdown"])["report.md"]) < 65_536
    summary = digest.digest(found, directory="reports/x", sha256="0" * 64, answer=["x"] * 100_000)
    assert len(json.dumps(summary)) <= digest.LIMIT_BYTES
    assert summary["counts"]["problems"] == found["totals"]["failed"]
    assert summary["answer"] is None


def test_the_digest_has_a_line_for_each_host_and_no_figure_where_there_is_none() -> None:
    found = report(mixed_fleet())
    lines = digest.digest(found, directory=None, sha256=None)["hosts"]
    assert [line["status"] for line in lines] == [row["status"] for row in found["hosts"]]
    assert not [line["host"] for line in lines if re.search(r"[\x00-\x1f]", line["host"])]
    assert all((line["output_throughput"] is None) == (line["status"] not in ("ok", "invalid")) for line in lines)
    assert {line["status"] for line in lines} > {"ok"}


def test_runs_of_the_same_second_are_drawn() -> None:
    entries = [{**entry, "generated_at": "2026-11-22T13:00:00Z", "run": "now"} for entry in past()]
    assert "Throughput over time" in forms.render(report(mixed_fleet(), entries=entries), ["html"])["report.html"]


def csv_rows(found: dict[str, Any]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(forms.render(found, ["csv"])["report.csv"])))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        *((f"{sign}1+1", f"'{sign}1+1") for sign in "=+-@＝＋－＠"),
        ("a;=1+1; @x", "a;'=1+1; '@x"),
        ("a=1+1, b-c", "a=1+1, b-c"),
        ("\n\t=1+1\x1b[2J", "'=1+1 [2J"),
    ],
)
def test_csv_takes_no_formula_from_a_host(text: str, cell: str) -> None:
    found = report({"one": sample.host_facts("one")})
    found["hosts"][0].update(host=text, metrics={text: 1.5, "output_throughput": 3787.0}, energy={text: -2.0})
    header, row = csv_rows(found)
    assert row[0] == cell and header.count(cell) == 2
    assert [row[at] for at, name in enumerate(header) if name == cell] == ["1.5", "-2.0"]
    assert float(row[header.index("output_throughput")]) == 3787.0


@pytest.mark.parametrize(
    ("expression", "answer"),
    [("totals.hosts", 3), ("hosts[?status=='ok'].host | [0]", "demo-b200"), ("nothing", None)],
)
def test_query(expression: str, answer: Any) -> None:
    assert query.search(report(sample.demo_fleet()), expression) == answer


def test_a_query_that_cannot_be_read_is_explained() -> None:
    with pytest.raises(UserError, match="report_query"):
        query.search({}, "hosts[")


def test_gpus_that_are_left_alone_are_named_once():
    left = "GPU 4 (NVIDIA DGX Display, 4 GiB): not of class a100"
    fleet = {name: sample.host_facts(name, "a100") for name in ("a100-01", "a100-02", "a100-03")}
    for name in ("a100-01", "a100-02"):
        facts = fleet[name]["ansible_facts"]
        for server in (facts["llmfleet_server"], facts["llmfleet_benchmark"]["provenance"]["server"]):
            server["gpu"]["left"] = [left]
    found = report(fleet)
    for text in (forms.markdown.render(found), forms.page.render(found)):
        assert text.count("Left alone on a100-01, a100-02: GPU 4 (NVIDIA DGX Display, 4 GiB): not of class a100.") == 1
        assert text.count("Left alone") == 1
