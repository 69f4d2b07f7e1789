# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import reports
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import forms

from tests import browser

WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Browser]:
    program = browser.find()
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with browser.Browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = reports.report(reports.mixed_fleet(), entries=reports.past(), hourly_price={"b200": 4.99, "h100": 2.99})
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(forms.render(report, ["html"])["report.html"], encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_quiet_whole_and_fits(tab: browser.Browser, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width=width, dark=dark)
    assert tab.seen("Log.entryAdded") == []
    assert tab.seen("Runtime.consoleAPICalled") == []
    assert tab.seen("Runtime.exceptionThrown") == []
    asked = {sent["request"]["url"] for sent in tab.seen("Network.requestWillBeSent")}
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.evaluate("document.querySelectorAll('svg').length") == 7
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 22, 26)" if dark else "rgb(255, 255, 255)"
    )
    outside = (
        "[...document.querySelectorAll('svg text')].filter(t => {const s = t.ownerSVGElement.getBoundingClientRect(),"
    )
    outside += " b = t.getBoundingClientRect(); return b.right > s.right + 1 || b.left < s.left - 1 || b.bottom > s.bottom + 1})"
    assert tab.evaluate(f"{outside}.map(t => t.textContent)") is None or tab.evaluate(f"{outside}.length") == 0


def test_the_keyboard_reaches_everything_that_scrolls(tab: browser.Browser, page: Path) -> None:
    tab.open(page, width=390)
    stops = tab.evaluate("document.querySelectorAll('a, summary, [tabindex=\"0\"]').length")
    reached = []
    for _press in range(stops):
        tab.press_tab()
        reached.append(
            tab.evaluate(
                "(e => e.getAttribute('href') || e.getAttribute('aria-label') || e.tagName)(document.activeElement)"
            )
        )
    assert reached[0] == "#throughput"
    assert {"Token throughput", "Latency", "Hosts", "#hosts"} <= set(reached)
    assert "BODY" not in reached


def test_a_screen_reader_hears_names_for_pictures_tables_and_sections(tab: browser.Browser, page: Path) -> None:
    tab.open(page, width=1280)
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and "role" in node
    ]
    for role, least in (("image", 7), ("table", 9), ("region", 9), ("columnheader", 50), ("rowheader", 30)):
        names = [name for kind, name in named if kind.lower() == role]
        assert len(names) >= least, role
        assert all(names), role
