# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a benchmark are declared once, in _bench/options.py and settings.py; what repeats them says the same.

That is the module's documentation, the role's task, specification and defaults, and the docs.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.llmfleet.serving.plugins.action import bench_serve as action
from ansible_collections.llmfleet.serving.plugins.filter.server_spec import server_state_dir
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients.table import CLIENTS
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import (
    ARGUMENT_SPEC,
    NAMED_SETS,
    SLO_METRICS,
    make_settings,
)
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.settings import ENDPOINTS, Limits, Timeouts
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endings import ENDINGS, FINISH_REASONS
from ansible_collections.llmfleet.serving.plugins.modules import bench_serve

ROOT = Path(__file__).resolve().parents[2]
MODULE_UTILS = ROOT / "plugins" / "module_utils"
ROLE = ROOT / "roles" / "benchmark"
DOCUMENTED = yaml.safe_load(bench_serve.DOCUMENTATION)["options"]
SPECIFIED = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
(PASSED,) = [
    task["llmfleet.serving.bench_serve"]
    for task in yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    if "llmfleet.serving.bench_serve" in task
]
NOT_PASSED = {"wait", "lock_takeover"}  # a play waits for its result; the action fills in whose lock it takes
NOT_A_VARIABLE = {*NOT_PASSED, "server_fact"}  # the role knows the server
OWN_DEFAULT = {"model", "api_key_file", "fleet_run"}  # by the deployed server, or by the run
COMPARED = ("type", "elements", "choices", "default", "aliases", "required")


def text(description: Any) -> str:
    """A description in one piece."""
    return " ".join(description) if isinstance(description, list) else description


def declared(name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """What the module declares of an option."""
    return {key: ARGUMENT_SPEC[name][key] for key in keys if key in ARGUMENT_SPEC[name]}


def test_the_module_declares_its_options_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Declared(Exception):
        pass

    def module(**options: Any) -> None:
        raise Declared(options)

    monkeypatch.setattr(bench_serve, "AnsibleModule", module)
    with pytest.raises(Declared) as raised:
        bench_serve.main()
    assert raised.value.args[0]["argument_spec"] is ARGUMENT_SPEC


def test_the_documentation_has_every_option() -> None:
    assert list(DOCUMENTED) == list(ARGUMENT_SPEC)


@pytest.mark.parametrize("name", ARGUMENT_SPEC)
def test_the_documentation_says_of_each_option_what_is_declared(name: str) -> None:
    assert {key: DOCUMENTED[name][key] for key in COMPARED if key in DOCUMENTED[name]} == declared(name, COMPARED)


@pytest.mark.parametrize(("name", "defaults"), [("timeouts", Timeouts()), ("validity", Limits())])
def test_the_documentation_has_the_defaults_of_limits(name: str, defaults: Any) -> None:
    documented = DOCUMENTED[name]["suboptions"]
    assert [(key, each["default"]) for key, each in documented.items()] == list(asdict(defaults).items())
    assert {each["type"] for each in documented.values()} == {"float"}


@pytest.mark.parametrize(
    ("name", "table"), [("workload", NAMED_SETS), ("endpoint_type", ENDPOINTS), ("client", CLIENTS)]
)
def test_choices_are_what_there_is(name: str, table: dict[str, Any]) -> None:
    assert ARGUMENT_SPEC[name]["choices"] == list(table)


@pytest.mark.parametrize(("name", "values"), NAMED_SETS.items(), ids=NAMED_SETS)
def test_the_documentation_describes_each_named_workload(name: str, values: dict[str, Any]) -> None:
    (sentence,) = re.findall(rf"V\({name}\) is (.*?)\.(?= |$)", text(DOCUMENTED["workload"]["description"]))
    levels = values.get("sweep") or [values["max_concurrency"]]
    expected = [values["input_tokens"], values["output_tokens"], values["num_prompts"], *levels]
    assert list(map(int, re.findall(r"\d+", sentence.replace("one at a time", "1 at a time")))) == expected


def test_the_documentation_names_the_metrics_of_objectives() -> None:
    assert tuple(re.findall(r"C\((\w+)\)", text(DOCUMENTED["slo"]["description"]))) == SLO_METRICS


def test_the_defaults_are_a_workload() -> None:
    settings = make_settings({name: option.get("default") for name, option in ARGUMENT_SPEC.items()}, salt="s")
    assert (settings.workload.name, settings.timeouts, settings.limits) == ("published", Timeouts(), Limits())


def test_the_role_has_a_variable_for_every_option() -> None:
    assert set(SPECIFIED) == {f"benchmark_{name}" for name in ARGUMENT_SPEC if name not in NOT_A_VARIABLE}


@pytest.mark.parametrize("name", [name for name in ARGUMENT_SPEC if name not in NOT_A_VARIABLE])
def test_the_role_specifies_each_variable_as_the_module_its_option(name: str) -> None:
    variable, option = SPECIFIED[f"benchmark_{name}"], declared(name, ("type", "elements", "choices"))
    if option["type"] == "path":
        option["type"] = "str"  # a path on the host, which the controller must not expand
    assert {key: variable[key] for key in ("type", "elements", "choices") if key in variable} == option


@pytest.mark.parametrize("name", [name for name in ARGUMENT_SPEC if name not in {*NOT_A_VARIABLE, *OWN_DEFAULT}])
def test_a_default_of_the_role_is_the_modules(name: str) -> None:
    variable, default = SPECIFIED[f"benchmark_{name}"], ARGUMENT_SPEC[name].get("default")
    if name == "state_dir":
        assert "llmfleet.serving.server_state_dir" in variable["default"] and default == server_state_dir("")
    elif name == "base_url":
        assert variable["default"] == ""
    elif "default" in variable:
        assert variable["default"] == default


def test_the_role_passes_every_option() -> None:
    assert set(PASSED) == set(ARGUMENT_SPEC) - NOT_PASSED


@pytest.mark.parametrize("name", [name for name in ARGUMENT_SPEC if name not in NOT_A_VARIABLE])
def test_the_role_passes_each_variable_and_omits_what_is_not_set(name: str) -> None:
    setting = f"__benchmark_settings.typed.{name}"
    if name == "base_url":
        assert PASSED[name] == "{{ __benchmark_base_url }}"
    elif name in OWN_DEFAULT:
        assert setting in PASSED[name]
    elif "default" in SPECIFIED[f"benchmark_{name}"]:
        assert PASSED[name] == f"{{{{ {setting} }}}}"
    else:
        assert PASSED[name] == f"{{{{ {setting} | default(omit) }}}}"


def test_the_controller_shows_progress_as_often_as_the_module_says() -> None:
    assert DOCUMENTED["progress_interval"]["default"] == action._INTERVAL_S


def test_the_docs_have_the_limits_of_all_checks() -> None:
    table = (ROOT / "docs" / "benchmarking.md").read_text().partition("| check | limit |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]+`) \| ([\d.]+) \|", table, re.MULTILINE)
    limits = {name: float(limit) for names, limit in rows for name in re.findall(r"`(\w+)`", names)}
    assert limits.pop("engines") == 1  # has no option
    assert limits.pop("prompt_tokens_mismatch") == limits["generation_tokens_mismatch"]
    limits["counter_mismatch"] = limits.pop("generation_tokens_mismatch")
    assert limits == asdict(Limits())


def test_the_docs_have_every_ending_of_a_request() -> None:
    page = (ROOT / "docs" / "benchmarking.md").read_text()
    rows = re.findall(
        r"^\| `([^`]+)` \| (.+) \|$", page.partition("| class | meaning |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert dict(rows) == ENDINGS
    rows = re.findall(
        r"^\| `(\w+)` \| (.+) \|$", page.partition("| `finish_reason` |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert {reason: "" if kind == "success" else kind.strip("`") for reason, kind in rows} == FINISH_REASONS


def test_every_class_of_error_that_the_client_gives_is_an_ending() -> None:
    """Where it is written as text, and first in what makes an error."""
    sources = [path.read_text() for folder in ("_bench", "_openai") for path in (MODULE_UTILS / folder).rglob("*.py")]
    written = {kind for text in sources for kind in re.findall(r"(?:StreamError|\.fail|_end)\(\s*\"(\w+)\"", text)} | {
        "connect_refused",
        "connect_timeout",
        "rate_limited",
        *(f"http_{digit}xx" for digit in range(2, 7)),
    }
    assert {"stream_error", "oversized_answer", "bad_usage", "tls_error", "after_done"} <= written <= set(ENDINGS)
