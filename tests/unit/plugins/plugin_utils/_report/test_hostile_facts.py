# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever the facts of some hosts hold, the report comes, and the figures of the others stay the same to the digit."""

from __future__ import annotations

import copy
import datetime
import json
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import facts as sample
import pytest
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import digest, forms
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report.facts import STATUSES, host_row
from reports import past, report

FORGED = "FORGED"
TEXTS = [
    "", "²", "٣", "1" * 5000, "nan", "Infinity", "{{ 7 * 7 }}", "None", "9999-99-99T99:99:99Z",
    f"x\n{FORGED}: 5 of 5 hosts", f"x\r{FORGED}", f"x\x85{FORGED}", f"x\u2028{FORGED}\v{FORGED}",
    "\x1b[2J\x1b]0;title\x07\x9b31m", "abc\u202edcba\u2066", "half\ud800", "\x00", "x" * 1_000_000,
    "=HYPERLINK(\"http://x\")", "<script>alert(1)</script>", "a|b\n---|---", "../../etc/passwd",
]  # fmt: skip
NUMBERS = [10**400, -(10**400), 10**5000, float("inf"), float("nan"), 1e308, -1e308, 5e-324, -1, 2**63, True]


def nested(depth: int, of: type) -> Any:
    """A list, or a dictionary, in a list or dictionary, and so on."""
    value: Any = of()
    for _level in range(depth):
        value = [value] if of is list else {"a": value}
    return value


THINGS = [
    [], {}, [[]], [{}], [None], {"a": 10**400}, {"a": float("nan")}, {1: 2}, {(1, 2): 3}, {None: None}, {"\x1b": "\x1b"},
    {f"=1+1\n{FORGED}": 1.5}, {str(key): key for key in range(5000)}, list(range(20_000)), nested(5000, list), nested(5000, dict),
    b"bytes", {1, 2}, (1, 2), object(), datetime.datetime(2026, 1, 1),
]  # fmt: skip
HOSTILE = [*TEXTS, *NUMBERS, *THINGS]

REAL = sample.demo_fleet()["demo-h100"]["llmfleet_benchmark"]
GOOD = {name: sample.host_facts(name, "b200") for name in ("good-1", "good-2")}
PAST = past(2)
BATCH = 100


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a document, the whole document first; of a list, in its first item."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


def with_value(path: tuple[Any, ...], value: Any) -> Any:
    """The real fact with something else in one place; nothing along the way is shared with it."""
    if not path:
        return value
    fact: Any = dict(REAL)
    at = fact
    for key in path[:-1]:
        at[key] = copy.copy(at[key])
        at = at[key]
    at[path[-1]] = value
    return fact


def spoilt() -> Iterator[tuple[str, Any]]:
    """Each place of a real fact with each hostile value: names and facts."""
    for path in paths(REAL):
        for turn, value in enumerate(HOSTILE):
            yield f"{path} {turn}", with_value(path, value)


def made_up(count: int) -> Iterator[tuple[str, Any]]:
    """Documents that hold anything anywhere, some of it under keys that a fact has."""
    source = random.Random(15)
    keys = [*REAL, *REAL["metrics"], *REAL["provenance"], "gpu", "class", "count", "checks", "argv", "a", "²"]

    def value(depth: int) -> Any:
        kind = source.random()
        if depth and kind < 0.3:
            return {source.choice(keys): value(depth - 1) for _each in range(source.randrange(6))}
        if depth and kind < 0.4:
            return [value(depth - 1) for _each in range(source.randrange(5))]
        plain = (source.uniform(-10, 1e4), source.randrange(-5, 10**6), None, source.choice(["ok", "vllm", "h100"]))
        return source.choice(plain) if kind < 0.8 else source.choice(HOSTILE)

    for turn in range(count):
        changed = {source.choice(keys): value(4) for _each in range(source.randrange(1, 8))}
        yield f"made up {turn}", {**REAL, **changed} if turn % 2 else {"schema_version": 1, "status": "ok", **changed}


def refuses_nothing(fleet: dict[str, Any]) -> dict[str, Any]:
    """The report over a fleet in every form; holds that each is fit to be read."""
    names = list(fleet)
    found = report(fleet, entries=PAST, hourly_price={"b200": 4.99, "h100": 2.99}, play_hosts=names, alive_hosts=names)
    files = forms.render(found, list(forms.FORMS))
    json.loads(files["report.json"], parse_constant=pytest.fail)
    for name, text in files.items():
        assert text.encode("utf-8")
        lines = text.split("\n")
        assert all(line.isprintable() for line in lines), name
        assert not any(line.startswith(FORGED) for line in lines), name
    assert max(map(len, files["report.txt"].split("\n"))) < 1500
    assert len(json.dumps(digest.digest(found, directory=None, sha256=None))) <= digest.LIMIT_BYTES
    for row in found["hosts"]:
        assert row["status"] in STATUSES
        assert bool(row["reason"]) == (row["status"] != "ok")
    return found


def of_the_good(found: dict[str, Any]) -> Any:
    """All that the report says of the good hosts, to the digit."""
    rows = [row for row in found["hosts"] if row["host"] in GOOD]
    return json.dumps([rows, [group for group in found["groups"] if set(group["hosts"]) & set(GOOD)]])


def test_no_odd_value_anywhere_in_a_fact_keeps_the_report_or_changes_a_good_figure() -> None:
    expected = of_the_good(refuses_nothing(GOOD))
    documents = [*spoilt(), *made_up(1000)]
    assert len(HOSTILE) >= 30 and len(documents) >= 10_000
    for start in range(0, len(documents), BATCH):
        batch = documents[start : start + BATCH]
        fleet = {**GOOD, **{name: {"llmfleet_benchmark": fact} for name, fact in batch}}
        assert of_the_good(refuses_nothing(fleet)) == expected


def test_the_same_holds_for_the_fact_of_the_server() -> None:
    expected = of_the_good(refuses_nothing(GOOD))
    server = REAL["provenance"]["server"]
    measured = with_value(("provenance", "server"), {})
    fleet: dict[str, Any] = dict(GOOD)
    for key in ("gpu", *server):
        for turn, value in enumerate(HOSTILE):
            fact = {**server, "gpu": {**server["gpu"], "class": value}} if key == "gpu" else {**server, key: value}
            fleet[f"{key} {turn}"] = {"llmfleet_server": fact, "llmfleet_benchmark": measured if turn % 2 else {}}
    assert of_the_good(refuses_nothing(fleet)) == expected


VARIABLES = (
    *("report_contact", "report_failure_reason", "report_failed_run", "gpu_preflight_summary", "gpu_profile"),
    *("group_names", "ansible_facts"),
)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", VARIABLES)
def test_the_same_holds_for_every_other_variable_of_a_host(name: str, value: Any) -> None:
    contact = {"unreachable": True, "failed": True, "msg": value}
    summary = {"verdict": "failed", "checks": [{"severity": "error", "name": value, "found": value}]}
    fleet = {
        **GOOD,
        "a": {name: value},
        "b": {"report_contact": contact},
        "c": {"gpu_preflight_summary": summary, "report_failure_reason": value},
        "e": {"report_failure_reason": "down", "report_failed_run": value},
        "f": {
            "report_failure_reason": "down",
            "report_failed_run": {"run_id": value, "workload": {"num_prompts": value}},
        },
        "d": {**sample.host_facts("d"), "gpu_profile": {"gpu_class": value, "name": value, "published_key": value}},
    }
    assert of_the_good(refuses_nothing(fleet)) == of_the_good(refuses_nothing(GOOD))


class Undefined:
    """What Ansible hands over in the place of a template that fails."""

    def __bool__(self) -> bool:
        raise RuntimeError("'gpu_kind' is undefined")

    __eq__ = __hash__ = None  # type: ignore[assignment]


class Unevaluated(dict[str, Any]):
    """A dictionary with a template that fails when it is looked at."""

    def get(self, key: str, default: Any = None) -> Any:
        if key in self:
            raise RuntimeError("'gpu_kind' is undefined")
        return default

    def items(self) -> Any:
        raise RuntimeError("'gpu_kind' is undefined")

    values = items


UNEVALUATED = [Undefined(), Unevaluated(unreachable=True, name="x", llmfleet_benchmark=1, ansible_local=2)]


@pytest.mark.parametrize("value", UNEVALUATED)
@pytest.mark.parametrize("name", [*VARIABLES, "llmfleet_benchmark", "llmfleet_server"])
def test_a_variable_that_cannot_be_evaluated_costs_its_host_alone(name: str, value: Any) -> None:
    expected = of_the_good(refuses_nothing(GOOD))
    places = {
        "variable": {name: value},
        "fact": {"ansible_facts": {name: value}},
        "local": {"ansible_facts": {"ansible_local": {name: value}}},
    }
    assert of_the_good(refuses_nothing({**GOOD, **places, "all": Unevaluated({name: 1})})) == expected


def test_a_profile_that_cannot_be_evaluated_is_none() -> None:
    for value in UNEVALUATED:
        fleet = {"a": {**sample.host_facts("a"), "gpu_profile": value}}
        assert [row["status"] for row in refuses_nothing(fleet)["hosts"]] == ["ok"]


def test_secrets_in_old_facts_are_in_no_report() -> None:
    words = "the server says: Incorrect API key provided: hf_" + "secretpart" * 3
    checks = [{"name": "engines", "status": "fail", "message": words}]
    errors = {"http_4xx": {"count": 1, "example": words}}
    argv = ["vllm", "--api-key", "secretpart"]
    old = {**REAL, "status": "invalid", "validity": {"checks": checks}, "errors": errors}
    fleet = {
        "checks": {"llmfleet_benchmark": old},
        "reason": {"llmfleet_benchmark": {**old, "reason": words}},
        "argv": {"llmfleet_benchmark": with_value(("provenance", "server", "argv"), argv)},
        "contact": {"report_contact": {"unreachable": True, "msg": words}},
    }
    found = refuses_nothing(fleet)
    assert "secretpart" not in "".join(forms.render(found, list(forms.FORMS)).values())


HUGE = {
    "text": lambda: "x" * 100_000_000,
    "list": lambda: [0] * 12_000_000,
    "keys": lambda: {str(key): 0 for key in range(1_000_000)},
}


@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.parametrize("path", [("junk",), ("reason",), ("repeats",), ("metrics",), ("provenance", "server", "argv")])
def test_a_fact_of_a_hundred_megabytes_is_refused_and_not_copied(kind: str, path: tuple[str, ...]) -> None:
    fact = with_value(path, HUGE[kind]())
    tracemalloc.start()
    row = host_row("h", {"llmfleet_benchmark": fact}, in_play=True, alive=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (row["status"], row["metrics"]) == ("failed", {})
    assert "more than 256 KiB" in row["reason"]
    assert peak < 16e6


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("metrics", "output_throughput"), "²", "metrics.output_throughput is '²', expected a number from 0 to 1e+15"),
        (("metrics", "output_throughput"), 10**400, "metrics.output_throughput is a number of some 401 digits"),
        (("metrics", "output_throughput"), float("nan"), "metrics.output_throughput is NaN"),
        (("metrics", "output_throughput"), 1e-300, "0 or at least 1e-06"),
        (("metrics", "mean_ttft_ms"), "fast", "metrics.mean_ttft_ms is 'fast'"),
        (("metrics", "failed"), -1, "metrics.failed is -1"),
        (("metrics", "=1+1"), 1.0, "a name in metrics is '=1+1', expected letters, digits, _ and ."),
        (("provenance", "server", "gpu", "count"), True, "provenance.server.gpu.count is true"),
        (("provenance", "server", "gpu", "class"), ["h100"], "provenance.server.gpu.class is a list of 1, expected text"),
        (("workload", "sweep"), [1, "²"], "workload.sweep[1] is '²'"),
        (("finished_at",), "tomorrow", "finished_at is 'tomorrow', expected text like"),
        (("validity", "checks"), {}, "validity.checks is a dictionary, expected a list of at most 4,096 items"),
        (("energy",), {"mean_power_w": "600 W"}, "energy.mean_power_w is '600 W'"),
        (("steady_state",), nested(100, dict), "nested more than 24 deep"),
        (("metrics",), {7: 1}, "one of its keys is 7, expected text"),
        ((), "error loading fact as JSON", "it is 'error loading fact as JSON', expected a dictionary"),
    ],
)  # fmt: skip
def test_the_row_says_what_was_found_where_and_what_was_expected(path: tuple[Any, ...], value: Any, words: str) -> None:
    variables = {"ansible_facts": {"llmfleet_benchmark": with_value(path, value)}}
    row = host_row("h", variables, in_play=True, alive=True)
    assert (row["status"], row["metrics"]) == ("failed", {})
    assert words in row["reason"] and row["reason"].startswith("its fact llmfleet_benchmark cannot be used: ")
    assert row["reason"].endswith("run bench.yml -l h")


def test_a_failed_run_keeps_its_own_reason_before_what_is_wrong_with_its_fact() -> None:
    fact = {
        **REAL,
        "status": "failed",
        "reason": "every request was refused",
        "metrics": {"mean_ttft_ms": float("nan")},
    }
    row = host_row("h", {"llmfleet_benchmark": fact}, in_play=True, alive=True)
    assert row["reason"].startswith(
        "every request was refused; its fact llmfleet_benchmark cannot be used: metrics.mean"
    )


def test_a_file_of_the_host_that_cannot_be_read_does_not_hide_what_this_run_measured() -> None:
    for broken in (
        "error loading",
        {**REAL, "metrics": 5, "finished_at": None},
        {**REAL, "metrics": 5, "finished_at": "2020-01-01T00:00:00Z"},
    ):
        variables = {"llmfleet_benchmark": REAL, "ansible_facts": {"ansible_local": {"llmfleet_benchmark": broken}}}
        assert host_row("h", variables, in_play=True, alive=True)["status"] == "ok"
    alone = {"ansible_facts": {"ansible_local": {"llmfleet_benchmark": "error loading"}}}
    assert host_row("h", alone, in_play=True, alive=True)["status"] == "failed"


def test_a_bad_fact_of_this_run_is_not_replaced_by_an_older_good_one() -> None:
    local = {"ansible_local": {"llmfleet_benchmark": REAL}}
    row = host_row(
        "h", {"llmfleet_benchmark": {**REAL, "finished_at": 5}, "ansible_facts": local}, in_play=True, alive=True
    )
    assert row["status"] == "failed" and "finished_at is 5" in row["reason"]
